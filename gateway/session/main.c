/* `sallyport-session`, started by the monitor alone: `sallyport internal session SIZE`,
 * where SIZE is the largest disk's, beyond which no file may be written. */
#include <stdio.h>
#include "gateway/base/log.h"
#include "gateway/base/sandbox.h"
#include "gateway/session/messages.h"

int main(int argc, char **argv)
{
	if (argc != 4 || strcmp(argv[1], "internal") != 0 || strcmp(argv[2], "session") != 0) {
		fprintf(stderr, "sallyport-session is started by `sallyport run`\n");
		return 2;
	}
	log_start("session");
	if (process_harden() < 0)
		return 3;
	return session_main(argv[3]);
}
