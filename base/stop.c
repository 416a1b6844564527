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

static volatile sig_atomic_t first_signal;
static volatile sig_atomic_t urgent;
static volatile sig_atomic_t time_is_up;
static volatile sig_atomic_t begun;
static volatile sig_atomic_t timer_runs;
static struct timespec requested_at;
static int64_t requested_ms;

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
		clock_gettime(CLOCK_REALTIME, &requested_at);
		requested_ms = clock_ms();
		*why = value;
		timer_runs = 1;
		setitimer(ITIMER_REAL, &KICK, NULL);
	}
}

static void on_signal(int number)
{
	int saved = errno;

	if (number == SIGALRM && timer_runs) /* not one that somebody sent */
		request_stop(&time_is_up, 1);
	else if (!stop_requested())
		request_stop(&first_signal, number);
	else if (first_signal == 0 || clock_ms() - requested_ms >= STOP_SAME_MS)
		urgent = 1;
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
		timer_runs = 1;
		result = setitimer(ITIMER_REAL, &once, NULL);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

void stop_begin(void)
{
	request_stop(&begun, 1);
}

bool stop_requested(void)
{
	return first_signal != 0 || time_is_up != 0 || begun != 0;
}

bool stop_asked(void)
{
	return first_signal != 0 || time_is_up != 0;
}

bool stop_urgent(void)
{
	return urgent != 0;
}

const char *stop_signal_name(void)
{
	for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++)
		if (SIGNALS[i].number == first_signal)
			return SIGNALS[i].name;
	return NULL;
}

struct timespec stop_time(void)
{
	return requested_at;
}
