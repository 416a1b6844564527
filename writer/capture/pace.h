/* capture: inside the sandbox, with the packets. */
/* When to look into the ring again: at once while packets are rare, seldom while they are many. */
#pragma once

#include <stdint.h>

#include "ring.h"

struct pace {
	int64_t drained_ms; /* when the ring was last drained, CLOCK_MONOTONIC */
	int64_t sleep_ms;   /* how long to sleep after that */
};

/* The ring was made just now. */
void pace_start(struct pace *pace);

/* What one look into the ring has found. */
struct drain_stats {
	uint64_t packets;
	uint64_t bytes;      /* of output */
	unsigned int blocks; /* of the ring */
};

/* To be told after each drain what there was. */
void pace_drained(struct pace *pace, const struct ring *ring, const struct drain_stats *drained);

/* How long to sleep now without waiting for the packet socket, in ms; 0 to wait for it instead. */
int pace_sleep(const struct pace *pace);
