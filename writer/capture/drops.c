/* capture: inside the sandbox, with the packets. */
/* What the kernel counted: packets that passed the filter, and those the ring had no room for. */
#include "drops.h"

#include "base/clock.h"
#include "base/log.h"

#define INTERVAL_MS 100

bool drops_count(struct drops *drops)
{
	bool answered;

	if (drops->final)
		return false;
	drops->suspected = false;
	answered = kept_socket_ask(drops->socket);
	drops->counted_ms = clock_ms();
	drops->received = drops->socket->received;
	drops->dropped = drops->socket->dropped;
	if (drops->dropped > 0 && !drops->warned)
		log_record(LOG_WARN, "packets are being dropped, the reader is too slow",
			   LOG_FIELDS(LOG_NUMBER("dropped", drops->dropped)));
	drops->warned |= drops->dropped > 0;
	if (drops->socket->silent && !drops->warned_unknown)
		log_record(LOG_WARN, "the capture helper does not answer, dropped packets are not counted",
			   LOG_NO_FIELDS);
	drops->warned_unknown = drops->socket->silent;
	return answered;
}

bool drops_finish(struct drops *drops)
{
	bool counted;

	drops->socket->silent = false; /* it is worth another wait */
	counted = drops_count(drops);
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
