/* writer/pace.c: decisions, on a clock of the test's own. */
#include <time.h>

static int test_clock(clockid_t clock, struct timespec *now);

#define clock_gettime test_clock
#include "../../writer/pace.c"
#undef clock_gettime

#include <stdlib.h>

#include "scratch.h"

#define BLOCK_SIZE (256u << 10)
#define BLOCKS 128 /* 32 MiB */

static int64_t clock_ms;
static struct ring ring;
static struct pace pace;

static int test_clock(clockid_t clock, struct timespec *now)
{
	assert_int_equal(clock, CLOCK_MONOTONIC);
	now->tv_sec = clock_ms / 1000;
	now->tv_nsec = clock_ms % 1000 * 1000000;
	return 0;
}

static struct tpacket_hdr_v1 *block_header(unsigned int index)
{
	return &((struct tpacket_block_desc *)(void *)(ring.blocks + (size_t)index * BLOCK_SIZE))->hdr.bh1;
}

static int begin(void **state)
{
	(void)state;
	clock_ms = 1000000;
	ring = (struct ring){ calloc(BLOCKS, BLOCK_SIZE), BLOCK_SIZE, BLOCKS, 0 };
	pace_start(&pace, &ring);
	return ring.blocks == NULL;
}

static int finish(void **state)
{
	(void)state;
	free(ring.blocks);
	return 0;
}

/* A drain `elapsed` ms after the last one. */
static void drain_after(int64_t elapsed, uint64_t packets, unsigned int blocks)
{
	clock_ms += elapsed;
	pace_drained(&pace, &ring, packets, blocks);
}

static int64_t planned_ms(void)
{
	return pace.until_ms - clock_ms;
}

static void at_the_start_it_waits_for_the_socket(void **state)
{
	(void)state;
	assert_int_equal(pace_sleep(&pace, &ring), 0);
}

static void rare_packets_are_waited_for_at_the_socket(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		drain_after(10, 19, 1);
		assert_int_equal(pace_sleep(&pace, &ring), 0);
	}
}

static void many_packets_make_it_sleep_for_a_retire_timeout(void **state)
{
	(void)state;
	drain_after(10, 20, 1);
	assert_int_equal(pace_sleep(&pace, &ring), RING_RETIRE_TIMEOUT_MS);
}

static void under_lasting_load_sleeps_grow_to_their_limit(void **state)
{
	int64_t before = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		drain_after(100, 100000, 1);
		assert_true(planned_ms() >= before && planned_ms() <= SLEEP_MOST_MS);
		before = planned_ms();
	}
	assert_int_equal(before, SLEEP_MOST_MS);
}

static void one_quiet_drain_ends_the_sleeping(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		drain_after(100, 100000, 1);
	drain_after(100, 10, 1);
	assert_int_equal(pace_sleep(&pace, &ring), 0);
}

static void a_sleep_comes_in_slices(void **state)
{
	int slept = 0, slice;

	(void)state;
	for (int i = 0; i < 10; i++)
		drain_after(100, 100000, 1);
	while ((slice = pace_sleep(&pace, &ring)) > 0) {
		assert_true(slice <= SLICE_MS);
		clock_ms += slice;
		slept += slice;
	}
	assert_int_equal(slept, SLEEP_MOST_MS);
}

static void a_ring_that_fills_up_ends_the_sleep(void **state)
{
	(void)state;
	drain_after(100, 100000, 1);
	block_header(BLOCKS / FULL_SHARE - 1)->block_status = TP_STATUS_USER;
	assert_true(pace_sleep(&pace, &ring) > 0);
	block_header(BLOCKS / FULL_SHARE)->block_status = TP_STATUS_USER;
	assert_int_equal(pace_sleep(&pace, &ring), 0);
}

static void at_a_rate_that_fills_the_ring_sleeps_get_shorter(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		drain_after(10, 100000, BLOCKS / 8); /* the whole ring in 80 ms */
	assert_true(planned_ms() <= 20);
	drain_after(10, 100000, BLOCKS * 10);
	assert_int_equal(pace_sleep(&pace, &ring), 0);
}

static void a_small_ring_is_never_slept_on(void **state)
{
	struct ring small = { ring.blocks, 64u << 10, 4, 0 };

	(void)state;
	pace_start(&pace, &small);
	clock_ms += 100;
	pace_drained(&pace, &small, 100000, 1);
	assert_int_equal(pace_sleep(&pace, &small), 0);
}

static void a_large_ring_has_no_longer_slices(void **state)
{
	struct ring large = { ring.blocks, BLOCK_SIZE, 2 * BLOCKS, 0 };

	(void)state;
	pace_start(&pace, &large);
	assert_int_equal(pace.slice_ms, SLICE_MS);
}

static void two_drains_in_one_millisecond_count_as_one(void **state)
{
	(void)state;
	drain_after(10, 100000, 1);
	drain_after(0, 0, 0);
	assert_int_equal(pace_sleep(&pace, &ring), RING_RETIRE_TIMEOUT_MS);
}

#define PACE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACE_TEST(at_the_start_it_waits_for_the_socket),
		PACE_TEST(rare_packets_are_waited_for_at_the_socket),
		PACE_TEST(many_packets_make_it_sleep_for_a_retire_timeout),
		PACE_TEST(under_lasting_load_sleeps_grow_to_their_limit),
		PACE_TEST(one_quiet_drain_ends_the_sleeping),
		PACE_TEST(a_sleep_comes_in_slices),
		PACE_TEST(a_ring_that_fills_up_ends_the_sleep),
		PACE_TEST(at_a_rate_that_fills_the_ring_sleeps_get_shorter),
		PACE_TEST(a_small_ring_is_never_slept_on),
		PACE_TEST(a_large_ring_has_no_longer_slices),
		PACE_TEST(two_drains_in_one_millisecond_count_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
