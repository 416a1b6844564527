/* writer/capture/pace.c: decisions, on a clock of the test's own. */
#include <stdint.h>

static int64_t test_clock(void);

#define clock_ms test_clock
#include "writer/capture/pace.c"
#undef clock_ms

#include "scratch.h"

#define BLOCKS 128

static int64_t now_ms;
static const struct ring ring = { NULL, 256u << 10, BLOCKS, 0 };
static struct pace pace;

static int64_t test_clock(void)
{
	return now_ms;
}

static int begin(void **state)
{
	(void)state;
	now_ms = 1000000;
	pace_start(&pace);
	return 0;
}

/* A drain `elapsed` ms after the last one. */
static void drain_bytes_after(int64_t elapsed, uint64_t packets, unsigned int blocks, uint64_t bytes)
{
	const struct drain_stats drained = { .packets = packets, .bytes = bytes, .blocks = blocks };

	now_ms += elapsed;
	pace_drained(&pace, &ring, &drained);
}

static void drain_after(int64_t elapsed, uint64_t packets, unsigned int blocks)
{
	drain_bytes_after(elapsed, packets, blocks, 0);
}

static void at_the_start_it_waits_for_the_socket(void **state)
{
	(void)state;
	assert_int_equal(pace_sleep(&pace), 0);
}

static void rare_packets_are_waited_for_at_the_socket(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		drain_after(10, 19, 1);
		assert_int_equal(pace_sleep(&pace), 0);
	}
}

static void many_packets_make_it_sleep_for_a_retire_timeout(void **state)
{
	(void)state;
	drain_after(10, 20, 1);
	assert_int_equal(pace_sleep(&pace), RING_RETIRE_TIMEOUT_MS);
}

static void under_lasting_load_sleeps_double_up_to_their_limit(void **state)
{
	int expected = RING_RETIRE_TIMEOUT_MS;

	(void)state;
	for (int i = 0; i < 10; i++) {
		drain_after(100, 100000, 1);
		assert_int_equal(pace_sleep(&pace), expected);
		expected = 2 * expected < SLEEP_MOST_MS ? 2 * expected : SLEEP_MOST_MS;
	}
}

static void one_quiet_drain_ends_the_sleeping(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		drain_after(100, 100000, 1);
	drain_after(100, 10, 1);
	assert_int_equal(pace_sleep(&pace), 0);
}

static void a_sleep_that_was_interrupted_is_slept_to_its_end(void **state)
{
	(void)state;
	drain_after(100, 100000, 1);
	now_ms += 3;
	assert_int_equal(pace_sleep(&pace), RING_RETIRE_TIMEOUT_MS - 3);
	now_ms += RING_RETIRE_TIMEOUT_MS - 3;
	assert_int_equal(pace_sleep(&pace), 0);
	now_ms += 1000;
	assert_int_equal(pace_sleep(&pace), 0);
}

static void a_sleep_fills_a_quarter_of_the_ring_at_most(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		drain_after(10, 100000, BLOCKS / 8 - 1); /* the whole ring in 80 ms */
	assert_int_equal(pace_sleep(&pace), 20);
	drain_after(10, 100000, BLOCKS - 1);
	assert_int_equal(pace_sleep(&pace), 2);
	drain_after(1, 100000, BLOCKS - 1);
	assert_int_equal(pace_sleep(&pace), 0);
}

static void a_sleep_fills_a_pipe_at_most(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		drain_bytes_after(10, 100000, 1, PIPE_ROOM_WANTED / 2 - 1);
	assert_int_equal(pace_sleep(&pace), 17);
	drain_bytes_after(10, 100000, 1, UINT32_MAX);
	assert_int_equal(pace_sleep(&pace), 0);
}

static void packets_in_no_block_are_no_division_by_zero(void **state)
{
	(void)state;
	drain_after(10, 100000, 0);
	assert_int_equal(pace_sleep(&pace), RING_RETIRE_TIMEOUT_MS);
}

static void two_drains_in_one_millisecond_count_as_one(void **state)
{
	(void)state;
	drain_after(10, 100000, 1);
	drain_after(0, 0, 0);
	assert_int_equal(pace_sleep(&pace), RING_RETIRE_TIMEOUT_MS);
}

#define PACE_TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PACE_TEST(at_the_start_it_waits_for_the_socket),
		PACE_TEST(rare_packets_are_waited_for_at_the_socket),
		PACE_TEST(many_packets_make_it_sleep_for_a_retire_timeout),
		PACE_TEST(under_lasting_load_sleeps_double_up_to_their_limit),
		PACE_TEST(one_quiet_drain_ends_the_sleeping),
		PACE_TEST(a_sleep_that_was_interrupted_is_slept_to_its_end),
		PACE_TEST(a_sleep_fills_a_quarter_of_the_ring_at_most),
		PACE_TEST(a_sleep_fills_a_pipe_at_most),
		PACE_TEST(packets_in_no_block_are_no_division_by_zero),
		PACE_TEST(two_drains_in_one_millisecond_count_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
