/* base: no packets, no privilege. */
/* Being asked to stop: by a signal, by time running out, for the user's sake, or by the capture itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* While a stop is under way, every blocking call is interrupted (EINTR) this often. */
#define STOP_KICK_MS 20
/* A second signal so soon is the same one: timeout(1) sends it to the process and to its group. */
#define STOP_SAME_MS 100
/* While it is asked for, they are interrupted this often without a stop. */
#define STOP_LOOK_MS 50

enum stop_reason {
	STOP_NONE,
	STOP_SIGNAL,
	STOP_TIME,        /* the duration is over */
	STOP_INPUT_ENDED, /* standard input, and that was to be a stop */
	STOP_USER_GONE,   /* nobody is there any more who could read messages */
	STOP_BEGUN,       /* the capture ends for a reason of its own */
};

/*
 * Handles the signals that ask a process to end, whatever they were set to, and SIGALRM, which is mostly
 * the timer's. None is blocked from then on.
 * Returns 0, or -1 with errno.
 */
int stop_watch(void);

/* From now on, after `duration` nanoseconds (0: never) a stop is due. Returns 0, or -1 with errno. */
int stop_after(uint64_t duration);

/* From now on, or no longer, a blocking call is interrupted now and then, so that one can look up from it. */
void stop_look_up(bool on);

/* STOP_INPUT_ENDED or STOP_USER_GONE: as if a signal had come. The first reason counts. */
void stop_ask(enum stop_reason reason);

/* The capture ends for a reason of its own: from here on as if a signal had come. */
void stop_begin(void);

/* Something has asked to stop. Blocking calls return EINTR soon after this becomes true. */
bool stop_requested(void);

/* Somebody has asked, or the time was over, before the capture came to an end by itself. */
bool stop_asked(void);

/* Which of them it was. */
enum stop_reason stop_reason(void);

/* A second signal has come, not at once: do not wait for anything. */
bool stop_urgent(void);

/* The first signal's name in Go's words ("interrupt"); NULL if none was the reason. */
const char *stop_signal_name(void);
