/* sd_notify's protocol: readiness, status and watchdog of a systemd service. */
#pragma once

#include "gateway/base/base.h"

/* Sends `state` ("READY=1\nSTATUS=…") to $NOTIFY_SOCKET as it was at start; nothing without it. */
void notify_open(void);
void notify_send(const char *state);
