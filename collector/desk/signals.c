/* desk: starts the commands; what streams hold is never looked at here. */
/* Signals as bytes in a pipe. */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "base/clock.h"

#define SAME_MS 100 /* timeout(1) and a terminal send one to the process and to its group */

static const int WATCHED[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };

/* A handler has no other way to anything. */
static int pipe_end = -1;

static void on_signal(int number)
{
	const int saved = errno;
	const unsigned char byte = (unsigned char)number;

	(void)!write(pipe_end, &byte, sizeof byte); /* full: enough is there to wake up for */
	errno = saved;
}

/* What nohup(1) asks for. */
static bool is_left_alone(int number)
{
	struct sigaction before;

	return number == SIGHUP && sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
}

int signals_watch(struct signals *signals)
{
	struct sigaction action = { .sa_handler = on_signal };
	int ends[2];

	if (pipe(ends) != 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0)
			return -1;
	signals->fd = ends[0];
	pipe_end = ends[1];
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof WATCHED / sizeof *WATCHED; i++)
		if (!is_left_alone(WATCHED[i]) && sigaction(WATCHED[i], &action, NULL) != 0)
			return -1;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

void signals_look(const struct signals *signals, struct signals_seen *seen)
{
	unsigned char byte;

	while (read(signals->fd, &byte, sizeof byte) == (ssize_t)sizeof byte) {
		if (byte == SIGCHLD)
			continue;
		if (seen->stops == 0 || clock_ms() - seen->stop_ms >= SAME_MS) {
			seen->stops++;
			seen->stop_ms = clock_ms();
		}
		seen->number = byte;
	}
}
