/* capture: inside the sandbox, with the packets. */
/* The progress line: what there is so far, redrawn in place on a terminal. */
#include "progress.h"

#include <stdio.h>

#include "base/log.h"

bool progress_is_due(const struct progress *progress, int64_t now_ms)
{
	return now_ms - progress->shown_ms >= PROGRESS_INTERVAL_MS;
}

void progress_show(struct progress *progress, int64_t now_ms, uint64_t packets, uint64_t bytes,
		   uint64_t dropped)
{
	uint64_t elapsed_ms = (uint64_t)(now_ms - progress->shown_ms);
	uint64_t rate = (packets - progress->packets) * 1000 / elapsed_ms;
	char line[128];

	snprintf(line, sizeof line, "%llu packet%s, %llu bytes, %llu dropped, %llu packets/s",
		 (unsigned long long)packets, packets == 1 ? "" : "s", (unsigned long long)bytes,
		 (unsigned long long)dropped, (unsigned long long)rate);
	*progress = (struct progress){ now_ms, packets };
	log_progress(line);
}
