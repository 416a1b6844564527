/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* A process of the writer's, for what others wrote: nothing in it leads to a packet socket. */
#include "child.h"

#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/privilege.h"
#include "common/protocol.h"

pid_t child_fork(void)
{
	static const int WRITERS[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 }; /* to handle, when all of a group get one */
	const pid_t writer = getpid();
	pid_t child = fork();

	if (child != 0)
		return child;
	/*
	 * The order matters. No outside input is read while the capture channel is open; and it is closed
	 * while a capability, if the writer has one, still keeps others of this uid off a dying process.
	 */
	close(WRITER_CAPTURE_CHANNEL_FD);
	close(WRITER_SLOT_FD);
	/* 0: the writer is outside of our PID namespace. If it is gone, the helper is, and with it the channel. */
	if (privilege_drop_all() != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    (getppid() != writer && getppid() != 0))
		_exit(1);
	signal(SIGALRM, SIG_DFL); /* the writer's handlers were inherited */
	for (size_t i = 0; i < sizeof WRITERS / sizeof *WRITERS; i++)
		signal(WRITERS[i], SIG_IGN);
	return 0;
}
