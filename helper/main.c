/* helper: what runs with the capability. */
/*
 * cf-pcap, the helper: the only file with a capability (cap_net_raw=p). It becomes two processes:
 *
 *   the child opens two packet sockets, lowers its privilege, serves one request, and keeps the socket;
 *   the parent, which the shell waits for, lowers its privilege and becomes the writer.
 *
 * Neither reads an argument or the environment for itself. Every failure ends the process.
 */
#include <fcntl.h>
#include <unistd.h>

#include "common/channel.h"
#include "image.h"
#include "serve.h"
#include "start.h"

int main(int argc, char **argv)
{
	const struct start_state state = start_lower_capabilities();
	int slot[2], capture[2], lookup[2], ready;
	pid_t child;

	start_tidy_fds();
	start_reset_signals();

	/*
	 * The pairs get known numbers: 3 alone; 4 and 5; 6 and 7. Both processes keep 3; the writer gives it
	 * a name, which is the capture's slot. The slot must not be free before the packet sockets are: when
	 * a process exits the kernel releases higher descriptors first, task_work_add(), and theirs are higher.
	 */
	if (channel_pair(slot) != 0 || close(slot[1]) != 0 || channel_pair(capture) != 0 ||
	    channel_pair(lookup) != 0 || (child = fork()) < 0)
		die("cannot start the capture process (does AppArmor deny unix sockets?)");
	if (child == 0) {
		close(capture[0]);
		close(lookup[0]);
		serve(capture[1], lookup[1], &state);
	}
	close(capture[1]);
	close(lookup[1]);
	/*
	 * No writer before the helper is bound to end with it. The writer's children hold its end of the channel for a
	 * moment: if one was stopped then, the helper would not see that the writer has gone.
	 */
	if (channel_receive(capture[0], &ready, sizeof ready) < 0)
		die("cannot hear from the capture process");
	fcntl(slot[0], F_SETOWN, child); /* no signal ever comes of it; the writer reads there which process to wait for */
	image_exec_writer(argc, argv, &state);
}
