/* capture: inside the sandbox, with the packets. */
/* What had arrived when a stop was requested, by the kernel's count and no clock. */
#include "tail.h"

#include "base/clock.h"
#include "base/log.h"
#include "ring.h"

void tail_begin(struct tail *tail, struct drops *drops)
{
	tail->begun = true;
	tail->counted = drops_finish(drops);
	tail->end = drops_in_ring(drops);
	tail->moved_ms = clock_ms();
}

uint64_t tail_left(const struct tail *tail, uint64_t seen)
{
	if (!tail->begun || !tail->counted)
		return UINT64_MAX;
	return tail->end > seen ? tail->end - seen : 0;
}

bool tail_is_seen(const struct tail *tail, uint64_t seen)
{
	return tail->begun && tail->counted && seen >= tail->end;
}

bool tail_is_overdue(struct tail *tail, uint64_t seen)
{
	const int64_t now = clock_ms();

	if (!tail->begun)
		return false;
	if (!tail->counted)
		return now - tail->moved_ms >= ring_retire_most_ms();
	if (seen != tail->seen) {
		tail->seen = seen;
		tail->moved_ms = now;
	}
	return now - tail->moved_ms >= TAIL_PATIENCE_MS;
}

void tail_report_missing(const struct tail *tail, uint64_t seen)
{
	if (tail->begun && tail->counted && seen < tail->end)
		log_record(LOG_WARN, "the kernel does not hand over the last packets, they are missing",
			   LOG_FIELDS(LOG_NUMBER("missing", tail_left(tail, seen))));
}
