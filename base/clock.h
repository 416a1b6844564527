/* base: no packets, no privilege. */
/* Time, as the capture needs it. */
#pragma once

#include <stdint.h>
#include <time.h>

#define NANOSECONDS 1000000000u /* in a second */

/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_ms(void);

/* The kernel's tick in milliseconds, 1 to 10: how late a timer of its may be. */
int clock_tick_ms(void);

/* Of two times to wait, in milliseconds, the shorter; -1 is for ever. */
int clock_sooner(int one, int other);

/* CLOCK_REALTIME, the clock of packet timestamps, in nanoseconds since the epoch. */
uint64_t clock_wall(void);

/* A timespec in nanoseconds. */
uint64_t clock_nanoseconds(struct timespec time);
