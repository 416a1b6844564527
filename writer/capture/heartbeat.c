/* capture: inside the sandbox, with the packets. */
/* While nothing is written: up to what time a reader has got everything. */
#include "heartbeat.h"

#include <limits.h>

#include "base/clock.h"

#define MARGIN_NS ((uint64_t)HEARTBEAT_MARGIN_MS * (NANOSECONDS / 1000))

void heartbeat_start(struct heartbeat *heartbeat, uint64_t every_ns)
{
	*heartbeat = (struct heartbeat){ .every_ms = (int64_t)(every_ns / (NANOSECONDS / 1000)), .quiet_ms = clock_ms() };
}

int heartbeat_timeout(const struct heartbeat *heartbeat)
{
	int64_t left = heartbeat->quiet_ms + heartbeat->every_ms - clock_ms();

	if (heartbeat->every_ms == 0 || heartbeat->counted) /* then a block that retires is waited for */
		return -1;
	return left <= 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX;
}

static void begin_silence(struct heartbeat *heartbeat)
{
	heartbeat->quiet_ms = clock_ms();
	heartbeat->counted = false;
}

bool heartbeat_is_due(struct heartbeat *heartbeat, struct drops *drops, uint64_t seen, uint64_t written)
{
	if (heartbeat->every_ms == 0)
		return false;
	if (heartbeat->written != written)
		begin_silence(heartbeat);
	heartbeat->written = written;
	if (!heartbeat->counted && heartbeat_timeout(heartbeat) == 0) {
		begin_silence(heartbeat);
		heartbeat->time = clock_wall() - MARGIN_NS;
		heartbeat->counted = drops_count(drops);
		heartbeat->end = drops_in_ring(drops);
	}
	if (!heartbeat->counted || seen < heartbeat->end)
		return false;
	begin_silence(heartbeat);
	return true;
}
