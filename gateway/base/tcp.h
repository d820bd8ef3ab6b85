/* What every TCP connection of ours is set to. */
#pragma once

#include "gateway/base/address.h"

/* What is written is sent at once; and what stays on this machine is not paced. */
void tcp_tune(int fd, const struct ip *peer);
