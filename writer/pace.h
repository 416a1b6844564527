/* When to look into the ring again: at once while packets are rare, seldom while they are many. */
#pragma once

#include <stdint.h>

#include "ring.h"

struct pace {
	int slice_ms;     /* longest sleep without a look at how full the ring is; 0: never sleep */
	int64_t last_ms;  /* when the ring was last drained, CLOCK_MONOTONIC */
	int64_t until_ms; /* end of the present sleep */
	int sleep_ms;     /* how long the next sleep may be */
};

/* For a ring of this size. */
void pace_start(struct pace *pace, const struct ring *ring);

/* To be told after each drain how many packets there were, in how many blocks. */
void pace_drained(struct pace *pace, const struct ring *ring, uint64_t packets, unsigned int blocks);

/*
 * How long to sleep now without waiting for the packet socket, in ms; 0 to wait for it instead.
 * Asked again after each sleep, it ends the sleep early when the ring fills up.
 */
int pace_sleep(struct pace *pace, const struct ring *ring);

