/* capture: inside the sandbox, with the packets. */
/* What the kernel counted: packets that passed the filter, and those the ring had no room for. */
#include "drops.h"

#include <linux/if_packet.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define INTERVAL_MS 100

/* Reading clears the kernel's counts: this is the one place that does. */
bool drops_count(struct drops *drops)
{
	struct tpacket_stats_v3 counted;
	socklen_t length = sizeof counted;

	if (drops->final)
		return false;
	drops->suspected = false;
	drops->counted_ms = clock_ms();
	if (getsockopt(drops->packet_fd, SOL_PACKET, PACKET_STATISTICS, &counted, &length) != 0)
		return false;
	if (drops->dropped == 0 && counted.tp_drops > 0)
		log_record(LOG_WARN, "packets are being dropped, the reader is too slow",
			   LOG_FIELDS(LOG_NUMBER("dropped", counted.tp_drops)));
	drops->received += counted.tp_packets;
	drops->dropped += counted.tp_drops;
	return true;
}

bool drops_finish(struct drops *drops)
{
	const bool counted = drops_count(drops);

	drops->final = true;
	return counted;
}

uint64_t drops_in_ring(const struct drops *drops)
{
	return drops->received - drops->dropped;
}

void drops_count_now_and_then(struct drops *drops)
{
	if (clock_ms() - drops->counted_ms >= INTERVAL_MS)
		drops_count(drops);
}
