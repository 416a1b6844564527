/* base: no packets, no privilege. */
/*
 * Being asked to stop: by a signal, by time running out, or by the capture itself.
 *
 * Handlers without SA_RESTART interrupt a blocked write. A signal that comes just before the
 * write blocks would be missed, so the first one starts a timer that keeps interrupting.
 */
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#include "clock.h"

/* What the handlers write: they have no other way to anything. */
static struct {
	volatile sig_atomic_t first_signal, urgent, time_is_up, begun, timer_runs;
	struct timespec requested_at;
	int64_t requested_ms;
} stop;

/* All that would end the process in the middle of a record, but for those that nobody sends by chance. */
static const struct {
	int number;
	const char *name; /* Go's */
} SIGNALS[] = {
	{ SIGINT, "interrupt" },
	{ SIGTERM, "terminated" },
	{ SIGHUP, "hangup" },
	{ SIGQUIT, "quit" },
	{ SIGUSR1, "user defined signal 1" },
	{ SIGUSR2, "user defined signal 2" },
	{ SIGXCPU, "CPU time limit exceeded" },
	{ SIGALRM, "alarm clock" },
};

static const struct itimerval KICK = { { 0, STOP_KICK_MS * 1000L }, { 0, STOP_KICK_MS * 1000L } };

static void request_stop(volatile sig_atomic_t *why, int value)
{
	if (!stop_requested()) {
		clock_gettime(CLOCK_REALTIME, &stop.requested_at);
		stop.requested_ms = clock_ms();
		*why = value;
		stop.timer_runs = 1;
		setitimer(ITIMER_REAL, &KICK, NULL);
	}
}

static void on_signal(int number)
{
	int saved = errno;

	if (number == SIGALRM && stop.timer_runs) /* not one that somebody sent */
		request_stop(&stop.time_is_up, 1);
	else if (!stop_requested())
		request_stop(&stop.first_signal, number);
	else if (stop.first_signal == 0 || clock_ms() - stop.requested_ms >= STOP_SAME_MS)
		stop.urgent = 1;
	errno = saved;
}

static int handle(int number)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigfillset(&action.sa_mask);
	return sigaction(number, &action, NULL);
}

int stop_watch(void)
{
	for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++)
		if (handle(SIGNALS[i].number) != 0)
			return -1;
	return 0;
}

int stop_after(uint64_t duration)
{
	struct itimerval once = { { 0, 0 }, { 0, 0 } };
	sigset_t every, before;
	int result = 0;

	if (duration == 0)
		return 0;
	once.it_value.tv_sec = (time_t)(duration / NANOSECONDS);
	once.it_value.tv_usec = (suseconds_t)(duration % NANOSECONDS / 1000);
	if (duration < 1000)
		once.it_value.tv_usec = 1; /* 0 would mean never */
	/* A signal's kicks use the same timer: they must not be overwritten. */
	sigfillset(&every);
	sigprocmask(SIG_BLOCK, &every, &before);
	if (!stop_requested()) {
		stop.timer_runs = 1;
		result = setitimer(ITIMER_REAL, &once, NULL);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

void stop_begin(void)
{
	request_stop(&stop.begun, 1);
}

bool stop_requested(void)
{
	return stop.first_signal != 0 || stop.time_is_up != 0 || stop.begun != 0;
}

bool stop_asked(void)
{
	return stop.first_signal != 0 || stop.time_is_up != 0;
}

bool stop_urgent(void)
{
	return stop.urgent != 0;
}

const char *stop_signal_name(void)
{
	for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++)
		if (SIGNALS[i].number == stop.first_signal)
			return SIGNALS[i].name;
	return NULL;
}

struct timespec stop_time(void)
{
	return stop.requested_at;
}
