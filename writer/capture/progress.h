/* capture: inside the sandbox, with the packets. */
/* The progress line: what there is so far, redrawn in place on a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_INTERVAL_MS 250

struct progress {
	int64_t shown_ms; /* CLOCK_MONOTONIC: when it was drawn last, at first when the capture began */
	uint64_t packets; /* as it was then */
};

/* It is time to draw it anew. */
bool progress_is_due(const struct progress *progress, int64_t now_ms);

/* Draws it, with the rate since it was drawn last. Only when it is due. */
void progress_show(struct progress *progress, int64_t now_ms, uint64_t packets, uint64_t bytes,
		   uint64_t dropped);
