/* `sallyport-session`, for portals that are plain: started by the monitor alone. */
#include "gateway/session/messages.h"

int main(int argc, char **argv)
{
	return session_program(argc, argv, NULL);
}
