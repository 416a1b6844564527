/*
 * When to look into the ring again.
 *
 * Each wake-up costs as much as dozens of small packets, and the kernel would give us one for
 * every block, that is, for every retire timeout. So while packets are many, sleep through a few
 * of them; the sleep is cut into slices short enough that a sudden flood cannot fill the ring
 * unseen. While packets are rare, wait for the socket: each one is printed as its block retires.
 */
#include "pace.h"

#include <time.h>

#define BUSY_PACKETS_PER_MS 2 /* from here on wake-ups outweigh the packets */
#define SLEEP_MOST_MS 48      /* what a reader may notice as delay */
/* 10 Gbit/s of full-size packets fill a ring of 32 MiB in 27 ms. */
#define SLICE_MS 24
#define SLICE_RING_BYTES (32u << 20)
#define FULL_SHARE 4 /* a sleep is to fill a quarter of the ring at most */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pace_start(struct pace *pace, const struct ring *ring)
{
	size_t bytes = ring->block_size * ring->block_count;
	size_t slice = SLICE_MS * bytes / SLICE_RING_BYTES;

	*pace = (struct pace){ .slice_ms = slice > SLICE_MS ? SLICE_MS : (int)slice, .last_ms = now_ms() };
}

/* As long as the ring can take it at the present rate. */
static int64_t longest_sleep(const struct ring *ring, int64_t elapsed, unsigned int blocks)
{
	int64_t bearable = elapsed * ring->block_count / FULL_SHARE / (blocks > 0 ? blocks : 1);

	return bearable < SLEEP_MOST_MS ? bearable : SLEEP_MOST_MS;
}

void pace_drained(struct pace *pace, const struct ring *ring, uint64_t packets, unsigned int blocks)
{
	int64_t now = now_ms(), elapsed = now - pace->last_ms, most;

	if (elapsed == 0)
		return;
	most = longest_sleep(ring, elapsed, blocks);
	pace->last_ms = now;
	if (packets < (uint64_t)elapsed * BUSY_PACKETS_PER_MS)
		pace->sleep_ms = 0;
	else if (pace->sleep_ms == 0)
		pace->sleep_ms = RING_RETIRE_TIMEOUT_MS;
	else
		pace->sleep_ms *= 2;
	if (pace->sleep_ms > most)
		pace->sleep_ms = (int)most;
	pace->until_ms = now + pace->sleep_ms;
}

int pace_sleep(struct pace *pace, const struct ring *ring)
{
	int64_t left = pace->until_ms - now_ms();

	if (left <= 0 || ring_ready_block(ring, ring->block_count / FULL_SHARE) != NULL)
		return 0;
	return left < pace->slice_ms ? (int)left : pace->slice_ms;
}
