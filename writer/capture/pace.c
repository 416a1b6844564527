/* capture: inside the sandbox, with the packets. */
/*
 * When to look into the ring again.
 *
 * A wake-up costs as much as hundreds of small packets, and the kernel would give us one for
 * every block, that is, for every retire timeout. So while packets are many, sleep through a few
 * of them, for as long as the ring can bear at the present rate. While packets are rare, wait
 * for the socket: each one is printed as its block retires.
 */
#include "pace.h"

#include "base/clock.h"
#include "output/pipe_room.h"

#define BUSY_PACKETS_PER_MS 2 /* from here on wake-ups outweigh the packets */
#define SLEEP_MOST_MS 50      /* a packet is printed so late at most, and the retire timeout */
#define FULL_SHARE 4          /* a sleep is to fill a quarter of the ring at most */
#define WRITTEN_MOST (PIPE_ROOM_WANTED / 8 * 7) /* and bring no more than such a pipe takes at once */

void pace_start(struct pace *pace)
{
	*pace = (struct pace){ .drained_ms = clock_ms() };
}

static int64_t at_most(int64_t value, int64_t bound)
{
	return value < bound ? value : bound;
}

/* At most twice the last one: the first packets of a burst are printed soon. */
static int64_t next_sleep(const struct pace *pace, const struct ring *ring, int64_t elapsed,
			  const struct drain_stats *drained)
{
	int64_t sleep = pace->sleep_ms > 0 ? 2 * pace->sleep_ms : RING_RETIRE_TIMEOUT_MS;

	sleep = at_most(sleep, elapsed * ring->block_count / FULL_SHARE / (drained->blocks + 1));
	sleep = at_most(sleep, elapsed * (int64_t)WRITTEN_MOST / (int64_t)(drained->bytes + 1));
	return at_most(sleep, SLEEP_MOST_MS);
}

void pace_drained(struct pace *pace, const struct ring *ring, const struct drain_stats *drained)
{
	int64_t now = clock_ms(), elapsed = now - pace->drained_ms;

	if (elapsed == 0)
		return;
	pace->drained_ms = now;
	pace->sleep_ms = drained->packets < (uint64_t)elapsed * BUSY_PACKETS_PER_MS ?
				 0 : next_sleep(pace, ring, elapsed, drained);
}

int pace_sleep(const struct pace *pace)
{
	int64_t left = pace->drained_ms + pace->sleep_ms - clock_ms();

	return left > 0 ? (int)left : 0;
}
