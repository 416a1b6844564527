/* writer/output.c: whole records in batches, into real files, also when the disk is full. */
#include "output/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scratch.h"
#include "base/stop.h"

#define LARGE 3000

static uint8_t large[LARGE];

static int make_file(void)
{
	int fd = memfd_create("output", 0);

	assert_true(fd >= 0);
	return fd;
}

static void assert_file_holds(int fd, const char *expected)
{
	char content[256] = "";
	ssize_t length = pread(fd, content, sizeof content - 1, 0);

	assert_int_equal(length, strlen(expected));
	assert_string_equal(content, expected);
	close(fd);
}

static void copy(const void *bytes, size_t length)
{
	memcpy(output_space(), bytes, length);
	output_commit(length);
}

static void copy_text(const char *text)
{
	copy(text, strlen(text));
}

static void copied_record(const char *text)
{
	copy_text(text);
	output_end_record();
}

/* As a pcap record of a large packet is built: the last copy is empty. */
static void referenced_record(size_t length)
{
	copy("head", 4);
	output_reference(large, length);
	copy("", 0);
	output_end_record();
}

/* As one of a large packet, with the block's length at its end. */
static void pcapng_record(void)
{
	copy(large, 28);
	output_reference(large, LARGE);
	copy(large, 8);
	output_end_record();
}

static void write_three_records(void)
{
	copied_record("one,");
	copied_record("two,");
	copied_record("three");
	CHECK(output_pending() == 13);
	CHECK(output_written() == 0);
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_pending() == 0);
	CHECK(output_written() == 13);
	CHECK(!output_torn());
}

static void records_are_written_in_order_by_one_flush(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), write_three_records);
	assert_file_holds(file, "one,two,three");
}

static void write_in_pieces(void)
{
	static const char body[] = "-body-";

	copy_text("head");
	output_reference(body, 6);
	copy_text("tail");
	output_end_record();
	CHECK(output_flush() == OUTPUT_OK);
	copy_text("again");
	output_end_record();
	CHECK(output_flush() == OUTPUT_OK);
}

static void copied_and_referenced_bytes_keep_their_order(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), write_in_pieces);
	assert_file_holds(file, "head-body-tailagain");
}

static void write_ending_with_reference(void)
{
	referenced_record(3);
	errno = EIO; /* nobody may look at it: nothing fails */
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == 7);
}

static void a_batch_may_end_with_a_referenced_packet(void **state)
{
	int file = make_file(), pipes[2];

	(void)state;
	memcpy(large, "abc", 3);
	scratch_in_child(dup(file), write_ending_with_reference);
	assert_file_holds(file, "headabc");
	assert_int_equal(pipe(pipes), 0);
	scratch_in_child(pipes[1], write_ending_with_reference);
	close(pipes[0]);
}

static void flush_nothing(void)
{
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == 0);
}

static void a_flush_of_nothing_succeeds(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), flush_nothing);
	assert_file_holds(file, "");
}

static void fill_with_copies(void)
{
	static const uint8_t record[128];
	size_t count = 0;

	for (; output_has_room(sizeof record); count++) {
		copy(record, sizeof record);
		output_end_record();
	}
	CHECK(count == (512 << 10) / sizeof record);
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_has_room(sizeof record));
	CHECK(output_written() == count * sizeof record);
}

static void room_ends_with_the_copies(void **state)
{
	(void)state;
	scratch_in_child(make_file(), fill_with_copies);
}

static void fill_with_small_records(void)
{
	size_t count = 0;

	for (; output_has_room(1); count++)
		copied_record("x");
	CHECK(count == 8192);
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_has_room(1));
}

static void room_ends_with_the_records(void **state)
{
	(void)state;
	scratch_in_child(make_file(), fill_with_small_records);
}

static void fill_with_references(void)
{
	size_t count = 0;

	for (; output_has_room(28 + 20 + 8); count++)
		pcapng_record();
	CHECK(count > IOV_MAX / 4 && count <= IOV_MAX / 2);
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == count * (28 + LARGE + 8));
}

static void room_ends_with_the_vectors(void **state)
{
	(void)state;
	scratch_in_child(make_file(), fill_with_references);
}

/* More vectors than one writev(2) takes, and more bytes than one batch. */
static void queue_references(void)
{
	size_t count = 0;

	for (; count < 5000 && output_has_space(28 + 20 + 8); count++)
		pcapng_record();
	CHECK(count > 2 * IOV_MAX && !output_has_space(28 + 20 + 8) && !output_has_room(1));
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_lost_records() == 0);
	CHECK(output_written() == count * (28 + LARGE + 8));
}

static void a_queue_is_longer_than_a_batch(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), queue_references);
	assert_true(lseek(file, 0, SEEK_END) > 2 * IOV_MAX * LARGE);
	close(file);
}

static void detach_and_change(void)
{
	static char one[] = "one", two[] = "two";

	copy_text("<");
	output_reference(one, 3);
	copy_text(">");
	output_end_record();
	copied_record("-");
	CHECK(output_detach());
	memset(one, '!', 3);
	copied_record("<");
	output_reference(two, 3);
	copied_record(">");
	CHECK(output_detach() && output_detach());
	memset(two, '!', 3);
	copied_record(".");
	CHECK(output_pending() == 12);
	CHECK(output_flush() == OUTPUT_OK);
}

static void what_was_detached_may_change(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), detach_and_change);
	assert_file_holds(file, "<one>-<two>.");
}

static void detach_too_much(void)
{
	static uint8_t huge[9 << 20];

	output_reference(huge, sizeof huge);
	output_end_record();
	CHECK(output_detach());
	output_reference(huge, sizeof huge);
	output_end_record();
	CHECK(!output_detach());
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == 2 * sizeof huge);
}

static void what_does_not_fit_stays_where_it_is(void **state)
{
	(void)state;
	scratch_in_child(make_file(), detach_too_much);
}

static void room_asks(void)
{
	CHECK(output_has_room(512 << 10));
	CHECK(!output_has_room((512 << 10) + 1));
	CHECK(!output_has_room(SIZE_MAX));
}

static void no_room_is_promised_beyond_the_buffer(void **state)
{
	(void)state;
	scratch_in_child(make_file(), room_asks);
}

static void limit_file(rlim_t bytes)
{
	const struct rlimit limit = { bytes, bytes };

	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void write_beyond_disk(void)
{
	limit_file(10);
	copied_record("four");
	copied_record("5five");
	copied_record("torn");
	CHECK(output_flush() == OUTPUT_FAILED);
	CHECK(errno == EFBIG);
	CHECK(output_written() == 9);
	CHECK(!output_torn());
}

static void a_full_disk_keeps_whole_records_only(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), write_beyond_disk);
	assert_file_holds(file, "four5five");
}

static void write_up_to_disk(void)
{
	limit_file(9);
	copied_record("four");
	copied_record("5five");
	copied_record("none");
	CHECK(output_flush() == OUTPUT_FAILED);
	CHECK(output_written() == 9);
	CHECK(!output_torn());
}

static void a_disk_that_is_full_at_a_record_end_loses_no_record(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), write_up_to_disk);
	assert_file_holds(file, "four5five");
}

static void write_first_record_beyond_disk(void)
{
	limit_file(12);
	copied_record("whole,");
	CHECK(output_flush() == OUTPUT_OK);
	copied_record("long torn record");
	CHECK(output_flush() == OUTPUT_FAILED);
	CHECK(output_written() == 6);
	CHECK(!output_torn());
}

static void a_torn_first_record_of_a_batch_is_taken_back(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), write_first_record_beyond_disk);
	assert_file_holds(file, "whole,");
}

static void write_beyond_disk_after_old(void)
{
	limit_file(10);
	copied_record("four");
	copied_record("torn");
	CHECK(output_flush() == OUTPUT_FAILED);
	CHECK(output_written() == 4);
}

static void what_stood_in_the_file_before_stays(void **state)
{
	int file = make_file();

	(void)state;
	assert_int_equal(write(file, "old", 3), 3);
	scratch_in_child(dup(file), write_beyond_disk_after_old);
	assert_file_holds(file, "oldfour");
}

static void write_to_full_device(void)
{
	copied_record("x");
	CHECK(output_flush() == OUTPUT_FAILED);
	CHECK(errno == ENOSPC);
	CHECK(output_written() == 0);
	CHECK(!output_torn());
}

static void a_full_device_says_enospc(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(full >= 0);
	scratch_in_child(full, write_to_full_device);
}

static void write_urgently_to_file(void)
{
	CHECK(stop_watch() == 0 && raise(SIGINT) == 0 && raise(SIGINT) == 0);
	copied_record("all");
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == 3);
}

static void a_second_signal_abandons_nothing_that_was_written_whole(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), write_urgently_to_file);
	assert_file_holds(file, "all");
}

static void expect_closed(void)
{
	close(STDOUT_FILENO);
	CHECK(output_prepare() != NULL);
}

static void a_closed_stdout_is_refused(void **state)
{
	(void)state;
	scratch_in_child(make_file(), expect_closed);
}

static void expect_unwritable(void)
{
	CHECK(output_prepare() != NULL);
}

static void a_stdout_opened_for_reading_is_refused(void **state)
{
	(void)state;
	scratch_in_child(open("/dev/null", O_RDONLY | O_CLOEXEC), expect_unwritable);
}

static void expect_terminal(void)
{
	CHECK(output_is_terminal());
}

static void a_terminal_is_seen(void **state)
{
	int controller = posix_openpt(O_RDWR | O_NOCTTY), terminal;

	(void)state;
	assert_true(controller >= 0 && grantpt(controller) == 0 && unlockpt(controller) == 0);
	terminal = open(ptsname(controller), O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	scratch_in_child(terminal, expect_terminal);
	close(controller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_written_in_order_by_one_flush),
		cmocka_unit_test(copied_and_referenced_bytes_keep_their_order),
		cmocka_unit_test(a_batch_may_end_with_a_referenced_packet),
		cmocka_unit_test(a_flush_of_nothing_succeeds),
		cmocka_unit_test(room_ends_with_the_copies),
		cmocka_unit_test(room_ends_with_the_records),
		cmocka_unit_test(room_ends_with_the_vectors),
		cmocka_unit_test(a_queue_is_longer_than_a_batch),
		cmocka_unit_test(what_was_detached_may_change),
		cmocka_unit_test(what_does_not_fit_stays_where_it_is),
		cmocka_unit_test(no_room_is_promised_beyond_the_buffer),
		cmocka_unit_test(a_full_disk_keeps_whole_records_only),
		cmocka_unit_test(a_disk_that_is_full_at_a_record_end_loses_no_record),
		cmocka_unit_test(a_torn_first_record_of_a_batch_is_taken_back),
		cmocka_unit_test(what_stood_in_the_file_before_stays),
		cmocka_unit_test(a_full_device_says_enospc),
		cmocka_unit_test(a_second_signal_abandons_nothing_that_was_written_whole),
		cmocka_unit_test(a_closed_stdout_is_refused),
		cmocka_unit_test(a_stdout_opened_for_reading_is_refused),
		cmocka_unit_test(a_terminal_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
