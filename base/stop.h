/* base: no packets, no privilege. */
/* Being asked to stop: by a signal, by time running out, or by the capture itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* While a stop is under way, every blocking call is interrupted (EINTR) this often. */
#define STOP_KICK_MS 20
/* A second signal so soon is the same one: timeout(1) sends it to the process and to its group. */
#define STOP_SAME_MS 100

/*
 * Handles the signals that ask a process to end, whatever they were set to, and SIGALRM, which is mostly
 * the timer's.
 * Returns 0, or -1 with errno.
 */
int stop_watch(void);

/* From now on, after `duration` nanoseconds (0: never) a stop is due. Returns 0, or -1 with errno. */
int stop_after(uint64_t duration);

/* The capture ends for a reason of its own: from here on as if a signal had come. */
void stop_begin(void);

/* Something has asked to stop. Blocking calls return EINTR soon after this becomes true. */
bool stop_requested(void);

/* A signal or the duration has asked, before the capture came to an end by itself. */
bool stop_asked(void);

/* A second signal has come, not at once: do not wait for anything. */
bool stop_urgent(void);

/* The first signal's name in Go's words ("interrupt"); NULL if it was the time. */
const char *stop_signal_name(void);

/* When the stop was requested, CLOCK_REALTIME: the clock of packet timestamps. */
struct timespec stop_time(void);

