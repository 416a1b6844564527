/* When to look into the ring again: at once while packets are rare, seldom while they are many. */
#pragma once

#include <stdint.h>

#include "ring.h"

struct pace {
	int64_t drained_ms; /* when the ring was last drained, CLOCK_MONOTONIC */
	int64_t sleep_ms;   /* how long to sleep after that */
};

void pace_start(struct pace *pace);

/* To be told after each drain how many packets there were, in how many blocks. */
void pace_drained(struct pace *pace, const struct ring *ring, uint64_t packets, unsigned int blocks);

/* How long to sleep now without waiting for the packet socket, in ms; 0 to wait for it instead. */
int pace_sleep(const struct pace *pace);
