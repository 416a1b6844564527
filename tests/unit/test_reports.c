/* collector/merge/reports.c: reports wait while nobody takes them, and none is lost or torn. */
#include <sys/socket.h>
#include <unistd.h>

#include "collector/merge/reports.h"
#include "scratch.h"

#define STREAMS 2000

static void what_is_not_taken_waits_and_comes_whole_and_in_order(void **state)
{
	const int least = 1;
	struct reports reports;
	struct report report;
	int pair[2], taken = 0;

	(void)state;
	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
	assert_int_equal(reports_open(&reports, STREAMS), 0);
	alarm(60); /* ends a send that waits */
	for (uint32_t i = 0; i < STREAMS; i++) {
		reports_put(&reports, REPORT_BEGAN, i, ENDING_COUNT);
		reports_put(&reports, REPORT_ENDED, i, ENDING_WHOLE);
		reports_send(&reports, pair[0]);
	}
	assert_true(reports_wait(&reports));
	for (; taken < 2 * STREAMS; taken++) {
		assert_int_equal(wire_receive_report(pair[1], &report), 1);
		assert_int_equal(report.stream, taken / 2);
		assert_int_equal(report.kind, taken % 2 == 0 ? REPORT_BEGAN : REPORT_ENDED);
		reports_send(&reports, pair[0]);
	}
	alarm(0);
	assert_false(reports_wait(&reports));
	reports_close(&reports);
	close(pair[0]);
	close(pair[1]);
}

static void without_the_other_end_they_only_wait(void **state)
{
	struct reports reports;

	(void)state;
	assert_int_equal(reports_open(&reports, 1), 0);
	for (int i = 0; i < 1000; i++) /* more than there is room for */
		reports_put(&reports, REPORT_FILE_WANTED, 0, ENDING_COUNT);
	reports_send(&reports, -1);
	assert_true(reports_wait(&reports));
	reports_close(&reports);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_taken_waits_and_comes_whole_and_in_order),
		cmocka_unit_test(without_the_other_end_they_only_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
