/*
 * cf-pcap, the helper: the only file with a capability (cap_net_raw=p). It becomes two processes:
 *
 *   the child opens two packet sockets, gives up every privilege, and serves one request;
 *   the parent, which the shell waits for, gives up every privilege and becomes cf-pcap-writer.
 *
 * Neither reads an argument, a file or the environment for itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "channel.h"
#include "image.h"
#include "privilege.h"
#include "protocol.h"
#include "serve.h"
#include "sockets.h"
#include "start.h"

static _Noreturn void die(const char *what)
{
	dprintf(STDERR_FILENO, "level=ERROR msg=\"cannot start: %s: %s\"\n", what, strerror(errno));
	_exit(1);
}

int main(int argc, char **argv)
{
	int capture[2], lookup[2];
	struct start_state state;
	pid_t child;

	/* Exec made us so when it granted the capability; fs.suid_dumpable=1 would undo that. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		die("becoming non-dumpable");
	if (start_lower_capabilities(&state) != 0)
		die("lowering capabilities");
	if (start_fill_standard_fds() != 0 || start_close_other_fds() != 0)
		die("tidying up file descriptors");
	start_reset_signals();

	/* Descriptors are known numbers now: 3 and 4, 5 and 6; then 4 again. */
	if (channel_pair(capture) != 0 || channel_pair(lookup) != 0)
		die("making a socket pair");
	child = fork();
	if (child < 0)
		die("starting a process");
	if (child == 0) {
		close(capture[0]);
		close(lookup[0]);
		serve(capture[1], lookup[1], &state);
	}
	close(capture[1]);
	close(lookup[1]);
	if (privilege_drop_all() != 0)
		die("dropping privileges");
	image_exec_writer(argc, argv, state.has_something_to_protect);
	die(image_error());
}
