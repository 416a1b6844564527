/* base: no packets, no privilege. */
/*
 * Being asked to stop: by a signal, by time running out, for the user's sake, or by the capture itself.
 *
 * Handlers without SA_RESTART interrupt a blocked write. A signal that comes just before the
 * write blocks would be missed, so the first one starts a timer that keeps interrupting.
 */
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#include "clock.h"

/* What the handlers write: they have no other way to anything. */
static struct {
	volatile sig_atomic_t reason, first_signal, urgent, looking_up;
	int64_t requested_ms;
	int64_t deadline_us; /* of the duration, CLOCK_MONOTONIC; 0: none */
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

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The one timer: for kicks, for looks, or for the duration, whichever is next; else it rests. */
static int set_timer(void)
{
	const int64_t left = stop.deadline_us - now_us();
	int64_t next = stop.deadline_us == 0 ? 0 : left > 0 ? left : 1;
	struct itimerval timer = { 0 };

	if (stop.looking_up && (next == 0 || next > STOP_LOOK_MS * 1000L))
		next = STOP_LOOK_MS * 1000L;
	if (stop_requested())
		next = timer.it_interval.tv_usec = STOP_KICK_MS * 1000L;
	timer.it_value.tv_sec = (time_t)(next / 1000000);
	timer.it_value.tv_usec = (suseconds_t)(next % 1000000);
	return setitimer(ITIMER_REAL, &timer, NULL);
}

static void request_stop(enum stop_reason reason)
{
	if (!stop_requested()) {
		stop.requested_ms = clock_ms();
		stop.reason = (sig_atomic_t)reason;
		set_timer();
	}
}

static void on_timer(void)
{
	if (stop.deadline_us != 0 && now_us() >= stop.deadline_us)
		request_stop(STOP_TIME);
	else if (!stop_requested()) /* else it comes again by itself */
		set_timer();
}

/* timeout(1) sends two, and a terminal that is hung up is an end of standard input too. */
static bool is_the_same_wish(void)
{
	return stop.reason != STOP_TIME && stop.reason != STOP_BEGUN && clock_ms() - stop.requested_ms < STOP_SAME_MS;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (number == SIGALRM && info->si_code == SI_KERNEL) { /* not one that somebody sent */
		on_timer();
	} else if (!stop_requested()) {
		stop.first_signal = number;
		request_stop(STOP_SIGNAL);
	} else if (!is_the_same_wish()) {
		stop.urgent = 1;
	}
	errno = saved;
}

static int handle(int number)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigfillset(&action.sa_mask);
	return sigaction(number, &action, NULL);
}

int stop_watch(void)
{
	sigset_t none;

	for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++)
		if (handle(SIGNALS[i].number) != 0)
			return -1;
	/* The helper has blocked them, for us to have handlers first. */
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A stop that comes meanwhile has kicks, which must not be overwritten. */
static int start_timer(void)
{
	const int result = set_timer();

	return stop_requested() ? set_timer() : result;
}

int stop_after(uint64_t duration)
{
	if (duration == 0)
		return 0;
	stop.deadline_us = now_us() + (int64_t)(duration / 1000);
	return start_timer();
}

void stop_look_up(bool on)
{
	stop.looking_up = on;
	start_timer();
}

void stop_ask(enum stop_reason reason)
{
	request_stop(reason);
}

void stop_begin(void)
{
	request_stop(STOP_BEGUN);
}

bool stop_requested(void)
{
	return stop.reason != STOP_NONE;
}

bool stop_asked(void)
{
	return stop_requested() && stop.reason != STOP_BEGUN;
}

enum stop_reason stop_reason(void)
{
	return (enum stop_reason)stop.reason;
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
