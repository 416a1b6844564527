/* collector/merge/merge.c and queue.c: each guarantee of the merge, on a clock of the test's own. */
#include <string.h>

#include "collector/merge/merge.h"
#include "collector/merge/queue.h"
#include "scratch.h"

#define WINDOW_MS 500
#define STREAMS 4
#define RECORD_HEAD 16
#define MS UINT64_C(1000000)

static struct merge merge;

static int begin(void **state)
{
	(void)state;
	assert_int_equal(merge_open(&merge, STREAMS, WINDOW_MS), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	merge_close(&merge);
	return 0;
}

static void live(size_t count)
{
	for (size_t i = 0; i < count; i++)
		merge_set_lives(&merge, i, true);
}

static void a_packet_waits_for_a_silent_stream_as_long_as_the_window(void **state)
{
	(void)state;
	live(2);
	merge_push(&merge, 0, 10 * MS, 1000);
	assert_true(merge_first(&merge, 1000, true) == MERGE_NONE);
	assert_int_equal(merge_timeout(&merge, 1000), WINDOW_MS);
	assert_true(merge_first(&merge, 1000 + WINDOW_MS - 1, true) == MERGE_NONE);
	assert_int_equal(merge_timeout(&merge, 1000 + WINDOW_MS - 1), 1);
	assert_int_equal(merge_first(&merge, 1000 + WINDOW_MS, true), 0);
	assert_int_equal(merge_pop(&merge), 0);
	assert_int_equal(merge_timeout(&merge, 2000), -1);
}

static void a_heartbeat_of_the_silent_stream_lets_it_go_at_once(void **state)
{
	(void)state;
	live(2);
	merge_push(&merge, 0, 10 * MS, 1000);
	merge_watermark(&merge, 1, 10 * MS - 1);
	assert_true(merge_first(&merge, 1000, true) == MERGE_NONE);
	merge_watermark(&merge, 1, 10 * MS);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
}

static void a_watermark_never_goes_back(void **state)
{
	(void)state;
	live(2);
	merge_watermark(&merge, 1, 20 * MS);
	merge_watermark(&merge, 1, 5 * MS);
	merge_push(&merge, 0, 20 * MS, 1000);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
	merge_pop(&merge);
	merge_push(&merge, 1, 5 * MS, 1000); /* its clock went back */
	merge_pop(&merge);
	merge_push(&merge, 0, 20 * MS, 1000);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
}

static void a_stream_counts_from_its_header_until_its_end(void **state)
{
	(void)state;
	live(1);
	merge_push(&merge, 0, 10 * MS, 1000);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
	merge_set_lives(&merge, 1, true);
	assert_true(merge_first(&merge, 1000, true) == MERGE_NONE);
	merge_set_lives(&merge, 1, false);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
}

static void what_waits_of_a_stream_that_ended_is_written(void **state)
{
	(void)state;
	live(2);
	merge_push(&merge, 0, 10 * MS, 1000);
	merge_push(&merge, 1, 5 * MS, 1000);
	merge_set_lives(&merge, 1, false);
	assert_int_equal(merge_first(&merge, 1000, true), 1);
	merge_pop(&merge);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
}

static void streams_with_packets_hold_nothing_back(void **state)
{
	(void)state;
	live(3);
	merge_push(&merge, 2, 30 * MS, 1000);
	merge_push(&merge, 0, 10 * MS, 1000);
	merge_push(&merge, 1, 20 * MS, 1000);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
	merge_replace(&merge, 25 * MS, 1000);
	assert_int_equal(merge_first(&merge, 1000, true), 1);
	merge_pop(&merge);
	assert_true(merge_first(&merge, 1000, true) == MERGE_NONE); /* 1 may send 24 ms next */
}

static void equal_times_come_out_in_the_order_of_streams(void **state)
{
	(void)state;
	for (size_t i = STREAMS; i-- > 0;)
		merge_push(&merge, i, 10 * MS, 1000);
	for (size_t i = 0; i < STREAMS; i++) {
		assert_int_equal(merge_first(&merge, 1000, true), i);
		merge_pop(&merge);
	}
}

static void what_stands_before_a_packet_that_is_due_is_written_first(void **state)
{
	(void)state;
	live(3);
	merge_push(&merge, 0, 10 * MS, 1000);
	merge_push(&merge, 1, 9 * MS, 1400);
	assert_int_equal(merge_first(&merge, 1500, true), 1);
	merge_pop(&merge);
	assert_int_equal(merge_first(&merge, 1500, true), 0);
	merge_pop(&merge);
}

static void a_full_stream_is_not_waited_with(void **state)
{
	(void)state;
	live(2);
	merge_push(&merge, 0, 10 * MS, 1000);
	merge_set_full(&merge, 0, true);
	merge_set_full(&merge, 0, true);
	assert_int_equal(merge_first(&merge, 1000, true), 0);
	merge_set_full(&merge, 0, false);
	assert_true(merge_first(&merge, 1000, true) == MERGE_NONE);
}

static void nothing_is_due_while_something_that_was_sent_is_not_read(void **state)
{
	(void)state;
	live(2);
	merge_push(&merge, 0, 10 * MS, 1000);
	merge_set_full(&merge, 0, true);
	assert_true(merge_first(&merge, 9000, false) == MERGE_NONE);
	assert_int_equal(merge_first(&merge, 9000, true), 0);
	merge_watermark(&merge, 1, 10 * MS);
	assert_int_equal(merge_first(&merge, 1000, false), 0);
}

static void a_late_packet_is_written_at_once_and_it_is_told_how_late(void **state)
{
	(void)state;
	live(2);
	merge_push(&merge, 0, 100 * MS, 1000);
	assert_int_equal(merge_first(&merge, 1500, true), 0);
	assert_int_equal(merge_pop(&merge), 0);
	merge_push(&merge, 1, 40 * MS, 1501);
	assert_int_equal(merge_first(&merge, 1501, true), 1);
	assert_true(merge_replace(&merge, 90 * MS, 1501) == 60 * MS);
	assert_int_equal(merge_first(&merge, 1501, true), 1);
	assert_true(merge_pop(&merge) == 10 * MS);
}

/* Packets of streams with skew and lag, as they arrive. */
struct arrival {
	uint64_t time;
	int64_t at_ms;
};

static uint64_t random_below(uint64_t limit)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

#define ARRIVALS 3000

/*
 * The clock of the first stream is ahead by so much. Returns how many came out late, not counting what that clock says;
 * each comes out within the window.
 */
static uint64_t run_with(uint64_t lag_most_ms, uint64_t ahead_ms)
{
	static struct arrival arrivals[STREAMS][ARRIVALS];
	size_t next[STREAMS] = { 0 }, head[STREAMS] = { 0 };
	uint64_t late = 0, written = 0, total = 0;

	for (size_t stream = 0; stream < STREAMS; stream++) {
		int64_t before = 0;
		for (uint64_t i = 0; i < ARRIVALS; i++) {
			const uint64_t time_ms = 1000 + 3 * i + random_below(3);
			int64_t at = (int64_t)(time_ms + random_below(lag_most_ms));
			before = at > before ? at : before; /* a stream keeps its order */
			arrivals[stream][i] = (struct arrival){ (time_ms + (stream == 0) * ahead_ms) * MS, before };
		}
	}
	live(STREAMS);
	for (int64_t now = 0; total < STREAMS * ARRIVALS; now++) {
		for (size_t stream = 0; stream < STREAMS; stream++) {
			while (next[stream] < ARRIVALS && arrivals[stream][next[stream]].at_ms <= now)
				next[stream]++;
			if (head[stream] < next[stream] && !merge.streams[stream].waits) {
				const struct arrival *one = &arrivals[stream][head[stream]];
				merge_lag(&merge, stream, one->at_ms * (int64_t)MS - (int64_t)one->time);
				merge_push(&merge, stream, one->time, one->at_ms);
			}
		}
		for (size_t stream; (stream = merge_first(&merge, now, true)) != MERGE_NONE; total++) {
			const struct arrival *one = &arrivals[stream][head[stream]++], *other = &arrivals[stream][head[stream]];
			assert_true(now - one->at_ms <= WINDOW_MS);
			if (ahead_ms == 0 || stream != 0) {
				late += one->time < written;
				written = one->time > written ? one->time : written;
			}
			if (head[stream] < next[stream])
				merge_replace(&merge, other->time, other->at_ms);
			else
				merge_pop(&merge);
		}
	}
	return late;
}

static void all_is_sorted_while_lag_and_skew_stay_below_the_window(void **state)
{
	(void)state;
	assert_int_equal(run_with(WINDOW_MS - 10, 0), 0);
}

static void a_clock_that_is_ahead_leaves_the_others_in_order(void **state)
{
	static const uint64_t AHEAD_MS[] = { 600, 1000, 3600000, 1000000000000 };

	for (size_t i = 0; i < sizeof AHEAD_MS / sizeof *AHEAD_MS; i++) {
		begin(state);
		assert_int_equal(run_with(100, AHEAD_MS[i]), 0);
		end(state);
	}
}

static void a_packet_ahead_goes_out_alone_and_does_not_make_others_late(void **state)
{
	(void)state;
	live(3);
	merge_lag(&merge, 0, -3600000 * (int64_t)MS);
	merge_lag(&merge, 1, 0);
	merge_push(&merge, 0, 3600000 * MS, 0);
	assert_int_equal(merge_first(&merge, WINDOW_MS, true), 0); /* alone it may be right */
	assert_int_equal(merge_ahead(&merge), 0);
	assert_int_equal(merge_replace(&merge, 3600010 * MS, 10), 0);
	merge_push(&merge, 1, 400 * MS, 400);
	assert_int_equal(merge_first(&merge, WINDOW_MS + 10, true), 0);
	assert_true(merge_ahead(&merge) == (3600010 - 400) * MS);
	assert_int_equal(merge_pop(&merge), 0);
	assert_true(merge_first(&merge, WINDOW_MS + 10, true) == MERGE_NONE);
	assert_int_equal(merge_first(&merge, WINDOW_MS + 400, true), 1);
	assert_int_equal(merge_pop(&merge), 0);
}

static void a_full_stream_that_is_ahead_lets_no_other_out(void **state)
{
	(void)state;
	live(3);
	merge_lag(&merge, 0, -3600000 * (int64_t)MS);
	merge_lag(&merge, 1, 0);
	merge_push(&merge, 0, 3600000 * MS, 0);
	merge_push(&merge, 1, MS, 0);
	merge_set_full(&merge, 0, true);
	assert_int_equal(merge_first(&merge, 0, true), 0);
	assert_int_equal(merge_pop(&merge), 0);
	merge_set_full(&merge, 0, false);
	merge_watermark(&merge, 2, MS);
	assert_int_equal(merge_first(&merge, 0, true), 1);
}

static void beyond_the_window_late_packets_are_counted_and_none_is_lost(void **state)
{
	(void)state;
	assert_true(run_with(4 * WINDOW_MS, 0) > 0);
}

/* The queue. */

static struct queue queue;

static void put(const void *bytes, size_t length, int64_t now_ms)
{
	size_t room;
	uint8_t *at = queue_room(&queue, &room);

	assert_true(room >= length);
	memcpy(at, bytes, length);
	queue_received(&queue, length, now_ms);
}

static void put_pcap_header(int64_t now_ms)
{
	const uint32_t header[] = { 0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1 };

	put(header, sizeof header, now_ms);
}

static void put_packet(uint32_t seconds, uint32_t length, int64_t now_ms)
{
	static uint8_t record[RECORD_HEAD + READER_PACKET_MOST];
	const uint32_t head[] = { seconds, 0, length, length };

	memcpy(record, head, sizeof head);
	put(record, sizeof head + length, now_ms);
}

static void a_packet_keeps_the_time_of_its_arrival(void **state)
{
	(void)state;
	assert_int_equal(queue_open(&queue, QUEUE_LEAST, 15), 0);
	put_pcap_header(100);
	assert_int_equal(queue_look(&queue), READER_INTERFACE);
	assert_int_equal(queue_arrived_ms(&queue), 100);
	queue_take(&queue);
	put_packet(1, 50, 200);
	put_packet(2, 50, 214); /* within the grain: as come at once */
	put_packet(3, 50, 215);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(queue_look(&queue), READER_PACKET);
		assert_true(queue.reader.packet.time == UINT64_C(1000000000) * i);
		assert_int_equal(queue_arrived_ms(&queue), i < 3 ? 200 : 215);
		queue_take(&queue);
	}
	assert_int_equal(queue_look(&queue), READER_MORE);
	assert_int_equal(queue_length(&queue), 0);
	queue_close(&queue);
}

static void after_more_arrivals_than_there_are_marks_nothing_counts_as_younger_than_it_is(void **state)
{
	(void)state;
	assert_int_equal(queue_open(&queue, QUEUE_LEAST, 0), 0);
	put_pcap_header(0);
	queue_look(&queue);
	queue_take(&queue);
	for (int i = 1; i <= 3 * QUEUE_MARKS; i++)
		put_packet(1, 0, i);
	for (int i = 1; i <= 3 * QUEUE_MARKS; i++) {
		assert_int_equal(queue_look(&queue), READER_PACKET);
		assert_true(queue_arrived_ms(&queue) <= i);
		queue_take(&queue);
	}
	queue_close(&queue);
}

static void a_full_queue_wants_nothing_until_a_quarter_is_free(void **state)
{
	size_t fed = 0, taken = 0;

	(void)state;
	assert_int_equal(queue_open(&queue, QUEUE_LEAST, 15), 0);
	put_pcap_header(0);
	queue_look(&queue);
	queue_take(&queue);
	for (; queue_wants(&queue); fed++)
		put_packet((uint32_t)fed, 1000, 0);
	assert_true(queue_length(&queue) <= QUEUE_LEAST && queue_length(&queue) > QUEUE_LEAST / 2);
	for (; !queue_wants(&queue); taken++) {
		assert_int_equal(queue_look(&queue), READER_PACKET);
		assert_true(queue.reader.packet.time == taken * UINT64_C(1000000000));
		queue_take(&queue);
	}
	assert_true(taken == 1);
	queue_close(&queue);
}

static void the_longest_packet_fits_wherever_it_begins(void **state)
{
	(void)state;
	assert_int_equal(queue_open(&queue, QUEUE_LEAST, 15), 0);
	put_pcap_header(0);
	queue_look(&queue);
	queue_take(&queue);
	for (uint32_t i = 0; i < 200; i++) {
		static uint8_t record[RECORD_HEAD + READER_PACKET_MOST];
		const uint32_t length = i % 2 == 0 ? READER_PACKET_MOST : i * 700;
		const uint32_t head[] = { i, 0, length, length };
		size_t at = 0;
		memcpy(record, head, sizeof head);
		for (; queue_look(&queue) == READER_MORE; at += 40000 < sizeof head + length - at ? 40000 : sizeof head + length - at) {
			assert_true(queue_wants(&queue));
			put(record + at, 40000 < sizeof head + length - at ? 40000 : sizeof head + length - at, i);
		}
		assert_int_equal(at, sizeof head + length);
		assert_true(queue.reader.packet.captured == length && queue.reader.packet.time == i * UINT64_C(1000000000));
		queue_take(&queue);
	}
	queue_close(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_packet_waits_for_a_silent_stream_as_long_as_the_window, begin, end),
		cmocka_unit_test_setup_teardown(a_heartbeat_of_the_silent_stream_lets_it_go_at_once, begin, end),
		cmocka_unit_test_setup_teardown(a_watermark_never_goes_back, begin, end),
		cmocka_unit_test_setup_teardown(a_stream_counts_from_its_header_until_its_end, begin, end),
		cmocka_unit_test_setup_teardown(what_waits_of_a_stream_that_ended_is_written, begin, end),
		cmocka_unit_test_setup_teardown(streams_with_packets_hold_nothing_back, begin, end),
		cmocka_unit_test_setup_teardown(equal_times_come_out_in_the_order_of_streams, begin, end),
		cmocka_unit_test_setup_teardown(what_stands_before_a_packet_that_is_due_is_written_first, begin, end),
		cmocka_unit_test_setup_teardown(a_full_stream_is_not_waited_with, begin, end),
		cmocka_unit_test_setup_teardown(nothing_is_due_while_something_that_was_sent_is_not_read, begin, end),
		cmocka_unit_test_setup_teardown(a_late_packet_is_written_at_once_and_it_is_told_how_late, begin, end),
		cmocka_unit_test_setup_teardown(all_is_sorted_while_lag_and_skew_stay_below_the_window, begin, end),
		cmocka_unit_test_setup_teardown(beyond_the_window_late_packets_are_counted_and_none_is_lost, begin, end),
		cmocka_unit_test(a_clock_that_is_ahead_leaves_the_others_in_order),
		cmocka_unit_test_setup_teardown(a_packet_ahead_goes_out_alone_and_does_not_make_others_late, begin, end),
		cmocka_unit_test_setup_teardown(a_full_stream_that_is_ahead_lets_no_other_out, begin, end),
		cmocka_unit_test(a_packet_keeps_the_time_of_its_arrival),
		cmocka_unit_test(after_more_arrivals_than_there_are_marks_nothing_counts_as_younger_than_it_is),
		cmocka_unit_test(a_full_queue_wants_nothing_until_a_quarter_is_free),
		cmocka_unit_test(the_longest_packet_fits_wherever_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
