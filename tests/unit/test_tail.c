/* writer/capture/tail.c and heartbeat.c: by the kernel's count, on clocks and counts of the test's own. */
#include <stdint.h>
#include <string.h>

static int64_t test_clock(void);
static uint64_t test_wall(void);

#define clock_ms test_clock
#define clock_wall test_wall
#include "writer/capture/drops.h"
#define drops_count test_count
#define drops_finish test_count
static bool test_count(struct drops *drops);
#include "writer/capture/heartbeat.c"
#include "writer/capture/tail.c"
#undef clock_ms
#undef clock_wall

#include "scratch.h"

static int64_t now_ms;
static uint64_t wall_ns;
static bool answers;
static uint64_t passed, lost; /* what the kernel has counted so far */
static struct drops drops;
static struct tail tail;
static struct heartbeat heartbeat;

static int64_t test_clock(void)
{
	return now_ms;
}

static uint64_t test_wall(void)
{
	return wall_ns;
}

static bool test_count(struct drops *counted)
{
	if (!answers)
		return false;
	counted->received = passed;
	counted->dropped = lost;
	return true;
}

static int begin(void **state)
{
	(void)state;
	now_ms = 1000000;
	wall_ns = UINT64_C(1700000000000000000);
	answers = true;
	passed = lost = 0;
	drops = (struct drops){ 0 };
	tail = (struct tail){ 0 };
	heartbeat_start(&heartbeat, UINT64_C(500000000));
	return 0;
}

static void before_a_stop_everything_is_taken(void **state)
{
	(void)state;
	assert_true(tail_left(&tail, 7) == UINT64_MAX);
	assert_false(tail_is_seen(&tail, 7));
	assert_false(tail_is_overdue(&tail, 7));
}

static void a_quiet_capture_is_over_at_once(void **state)
{
	(void)state;
	passed = 10;
	tail_begin(&tail, &drops);
	assert_true(tail_is_seen(&tail, 10));
	assert_int_equal(tail_left(&tail, 10), 0);
}

static void dropped_packets_are_not_waited_for(void **state)
{
	(void)state;
	passed = 100;
	lost = 40;
	tail_begin(&tail, &drops);
	assert_int_equal(tail_left(&tail, 50), 10);
	assert_false(tail_is_seen(&tail, 59));
	assert_true(tail_is_seen(&tail, 60));
}

static void what_comes_later_is_left_out(void **state)
{
	(void)state;
	passed = 60;
	tail_begin(&tail, &drops);
	passed = 1000;
	assert_int_equal(tail_left(&tail, 55), 5);
	assert_true(tail_is_seen(&tail, 60));
}

static void a_timer_that_is_seconds_late_is_waited_for(void **state)
{
	(void)state;
	passed = 10;
	tail_begin(&tail, &drops);
	for (uint64_t seen = 0; seen < 10; seen++) {
		now_ms += TAIL_PATIENCE_MS - 1;
		assert_false(tail_is_overdue(&tail, seen + 1));
	}
	assert_true(tail_is_seen(&tail, 10));
}

static void packets_that_never_come_are_given_up_and_told_of(void **state)
{
	(void)state;
	passed = 10;
	tail_begin(&tail, &drops);
	assert_false(tail_is_overdue(&tail, 7));
	now_ms += TAIL_PATIENCE_MS;
	assert_true(tail_is_overdue(&tail, 7));
	scratch_begin_capture(STDERR_FILENO);
	tail_report_missing(&tail, 7);
	assert_non_null(strstr(scratch_end_capture(), "they are missing\" missing=3\n"));
	scratch_begin_capture(STDERR_FILENO);
	tail_report_missing(&tail, 10);
	assert_string_equal(scratch_end_capture(), "");
}

static void without_an_answer_what_shows_soon_is_taken(void **state)
{
	(void)state;
	answers = false;
	tail_begin(&tail, &drops);
	assert_true(tail_left(&tail, 7) == UINT64_MAX);
	assert_false(tail_is_seen(&tail, UINT64_MAX));
	now_ms += ring_retire_most_ms() - 1;
	assert_false(tail_is_overdue(&tail, 7));
	now_ms += 1;
	assert_true(tail_is_overdue(&tail, 8)); /* though there is always more */
}

static void a_beat_comes_after_silence_with_the_time_of_its_count(void **state)
{
	(void)state;
	passed = 5;
	now_ms += 499;
	assert_false(heartbeat_is_due(&heartbeat, &drops, 5, 0));
	assert_int_equal(heartbeat_timeout(&heartbeat), 1);
	now_ms += 1;
	assert_true(heartbeat_is_due(&heartbeat, &drops, 5, 0));
	assert_true(heartbeat.time == wall_ns - (uint64_t)HEARTBEAT_MARGIN_MS * 1000000);
	assert_int_equal(heartbeat_timeout(&heartbeat), 500);
}

static void a_beat_waits_until_what_was_counted_is_seen(void **state)
{
	const uint64_t counted_at = wall_ns - (uint64_t)HEARTBEAT_MARGIN_MS * 1000000;

	(void)state;
	passed = 5;
	now_ms += 500;
	assert_false(heartbeat_is_due(&heartbeat, &drops, 4, 0));
	assert_int_equal(heartbeat_timeout(&heartbeat), -1);
	passed = 50;
	now_ms += 20;
	wall_ns += 20000000;
	assert_true(heartbeat_is_due(&heartbeat, &drops, 5, 0));
	assert_true(heartbeat.time == counted_at);
}

static void what_is_written_takes_its_place(void **state)
{
	(void)state;
	passed = 5;
	now_ms += 500;
	assert_false(heartbeat_is_due(&heartbeat, &drops, 4, 0));
	assert_false(heartbeat_is_due(&heartbeat, &drops, 5, 66));
	assert_int_equal(heartbeat_timeout(&heartbeat), 500);
}

static void without_an_answer_there_is_no_beat_and_no_hurry(void **state)
{
	(void)state;
	answers = false;
	now_ms += 500;
	assert_false(heartbeat_is_due(&heartbeat, &drops, 0, 0));
	assert_int_equal(heartbeat_timeout(&heartbeat), 500);
}

static void none_is_due_unless_asked_for(void **state)
{
	(void)state;
	heartbeat_start(&heartbeat, 0);
	now_ms += 100000000;
	assert_int_equal(heartbeat_timeout(&heartbeat), -1);
	assert_false(heartbeat_is_due(&heartbeat, &drops, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(before_a_stop_everything_is_taken, begin),
		cmocka_unit_test_setup(a_quiet_capture_is_over_at_once, begin),
		cmocka_unit_test_setup(dropped_packets_are_not_waited_for, begin),
		cmocka_unit_test_setup(what_comes_later_is_left_out, begin),
		cmocka_unit_test_setup(a_timer_that_is_seconds_late_is_waited_for, begin),
		cmocka_unit_test_setup(packets_that_never_come_are_given_up_and_told_of, begin),
		cmocka_unit_test_setup(without_an_answer_what_shows_soon_is_taken, begin),
		cmocka_unit_test_setup(a_beat_comes_after_silence_with_the_time_of_its_count, begin),
		cmocka_unit_test_setup(a_beat_waits_until_what_was_counted_is_seen, begin),
		cmocka_unit_test_setup(what_is_written_takes_its_place, begin),
		cmocka_unit_test_setup(without_an_answer_there_is_no_beat_and_no_hurry, begin),
		cmocka_unit_test_setup(none_is_due_unless_asked_for, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
