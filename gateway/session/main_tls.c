/* `sallyport-session-tls`, for portals with TLS: started by the monitor alone. */
#include "gateway/session/session.h"

int main(int argc, char **argv)
{
	return session_program(argc, argv, &session_tls_ops);
}
