/* writer/output/output.c: whole records in batches, into real files, also when the disk is full. */
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

#define LARGE 3000

static uint8_t large[LARGE];
static struct output output;

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

static void need_output(void)
{
	if (output.copies == NULL)
		CHECK(output_open(&output, OUTPUT_QUEUE_BYTES, PIPE_ROOM_WANTED) == NULL);
}

static void copy(const void *bytes, size_t length)
{
	need_output();
	memcpy(output_at(&output), bytes, length);
	output_commit(&output, length);
}

/* Everything, to what never makes it wait. Returns as output_step(); then nothing is pending. */
static enum output_result flush(void)
{
	enum output_result result = OUTPUT_OK;

	while (result == OUTPUT_OK && output_pending(&output) > 0)
		result = output_step(&output);
	output_forget(&output);
	return result;
}

static bool fits(size_t records, size_t bytes, size_t vectors)
{
	const struct output_space need = { records, bytes, vectors };

	need_output();
	return output_fits(&output, &need);
}

static void copy_text(const char *text)
{
	copy(text, strlen(text));
}

static void copied_record(const char *text)
{
	copy_text(text);
	output_end_record(&output);
}

/* As a pcap record of a large packet is built: the last copy is empty. */
static void referenced_record(size_t length)
{
	copy("head", 4);
	output_reference(&output, large, length);
	copy("", 0);
	output_end_record(&output);
}

/* As one of a large packet, with the block's length at its end. */
static void pcapng_record(void)
{
	copy(large, 28);
	output_reference(&output, large, LARGE);
	copy(large, 8);
	output_end_record(&output);
}

static void write_three_records(void)
{
	copied_record("one,");
	copied_record("two,");
	copied_record("three");
	CHECK(output_pending(&output) == 13);
	CHECK(output_written(&output) == 0);
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_pending(&output) == 0);
	CHECK(output_written(&output) == 13);
	CHECK(!output.torn);
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
	output_reference(&output, body, 6);
	copy_text("tail");
	output_end_record(&output);
	CHECK(flush() == OUTPUT_OK);
	copy_text("again");
	output_end_record(&output);
	CHECK(flush() == OUTPUT_OK);
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
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == 7);
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
	need_output();
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == 0);
}

static void a_flush_of_nothing_succeeds(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), flush_nothing);
	assert_file_holds(file, "");
}

static void batch_of_copies(void)
{
	static const uint8_t record[128];
	size_t count = 0;

	for (; !output_is_batch(&output); count++) {
		copy(record, sizeof record);
		output_end_record(&output);
	}
	CHECK(count == (512 << 10) / sizeof record);
	CHECK(flush() == OUTPUT_OK);
	CHECK(!output_is_batch(&output));
	CHECK(output_written(&output) == count * sizeof record);
}

static void a_batch_is_512_kib_of_copies(void **state)
{
	(void)state;
	scratch_in_child(make_file(), batch_of_copies);
}

static void batch_of_small_records(void)
{
	size_t count = 0;

	for (; !output_is_batch(&output); count++)
		copied_record("x");
	CHECK(count == 8192);
	CHECK(flush() == OUTPUT_OK);
	CHECK(!output_is_batch(&output));
}

static void a_batch_is_8192_small_records(void **state)
{
	(void)state;
	scratch_in_child(make_file(), batch_of_small_records);
}

static void batch_of_references(void)
{
	size_t count = 0;

	for (; !output_is_batch(&output); count++)
		pcapng_record();
	CHECK(count > IOV_MAX / 4 && count <= IOV_MAX / 2);
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == count * (28 + LARGE + 8));
}

static void a_batch_is_what_one_write_takes(void **state)
{
	(void)state;
	scratch_in_child(make_file(), batch_of_references);
}

/* More vectors than one writev(2) takes, and more bytes than one batch. */
static void queue_references(void)
{
	size_t count = 0;

	for (; fits(1, 56, 2); count++)
		pcapng_record();
	CHECK(count > 2 * IOV_MAX && output_is_batch(&output));
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == count * (28 + LARGE + 8));
}

static void a_queue_is_longer_than_a_batch(void **state)
{
	int file = make_file();

	(void)state;
	scratch_in_child(dup(file), queue_references);
	assert_true(lseek(file, 0, SEEK_END) > 2 * IOV_MAX * LARGE);
	close(file);
}

/* Records of 17 to 64 bytes fill the queue by their number, larger ones by their bytes. */
static void fill_queue(size_t record)
{
	static const uint8_t bytes[128];
	const size_t records = OUTPUT_QUEUE_BYTES / (record < 64 ? 64 : record);

	need_output();
	for (size_t i = 0; i < records; i++) {
		CHECK(fits(records - i, (records - i) * record, 1)); /* what is left, to the last byte */
		CHECK(!fits(records - i + 1, (records - i + 1) * record, 1));
		copy(bytes, record);
		output_end_record(&output);
	}
	CHECK(!fits(1, record, 1) && fits(0, 0, 1));
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == records * record);
	CHECK(fits(records, records * record, 1));
}

static void fill_queue_with_17(void) { fill_queue(17); }
static void fill_queue_with_63(void) { fill_queue(63); }
static void fill_queue_with_64(void) { fill_queue(64); }
static void fill_queue_with_65(void) { fill_queue(65); }

static void a_queue_takes_what_it_says_and_not_one_record_more(void **state)
{
	(void)state;
	scratch_in_child(make_file(), fill_queue_with_17);
	scratch_in_child(make_file(), fill_queue_with_63);
	scratch_in_child(make_file(), fill_queue_with_64);
	scratch_in_child(make_file(), fill_queue_with_65);
}

static void detach_and_change(void)
{
	static char one[] = "one", two[] = "two";

	copy_text("<");
	output_reference(&output, one, 3);
	copy_text(">");
	output_end_record(&output);
	copied_record("-");
	CHECK(output_detach(&output));
	memset(one, '!', 3);
	copied_record("<");
	output_reference(&output, two, 3);
	copied_record(">");
	CHECK(output_detach(&output) && output_detach(&output));
	memset(two, '!', 3);
	copied_record(".");
	CHECK(output_pending(&output) == 12);
	CHECK(flush() == OUTPUT_OK);
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

	need_output();
	output_reference(&output, huge, sizeof huge);
	output_end_record(&output);
	CHECK(output_detach(&output));
	output_reference(&output, huge, sizeof huge);
	output_end_record(&output);
	CHECK(!output_detach(&output));
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == 2 * sizeof huge);
}

static void what_does_not_fit_stays_where_it_is(void **state)
{
	(void)state;
	scratch_in_child(make_file(), detach_too_much);
}

static void ask_for_too_much(void)
{
	CHECK(fits(OUTPUT_QUEUE_BYTES / 64, OUTPUT_QUEUE_BYTES, 8 * IOV_MAX - 1));
	CHECK(!fits(OUTPUT_QUEUE_BYTES / 64 + 1, 0, 1) && !fits(SIZE_MAX, 0, 1));
	CHECK(!fits(1, OUTPUT_QUEUE_BYTES + 1, 1) && !fits(1, SIZE_MAX, 1));
	CHECK(!fits(1, 1, 8 * IOV_MAX) && !fits(1, 1, SIZE_MAX));
}

static void no_room_is_promised_beyond_the_queue(void **state)
{
	(void)state;
	scratch_in_child(make_file(), ask_for_too_much);
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
	CHECK(flush() == OUTPUT_FAILED);
	CHECK(output.error == EFBIG);
	CHECK(output_written(&output) == 9);
	CHECK(!output.torn);
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
	CHECK(flush() == OUTPUT_FAILED);
	CHECK(output_written(&output) == 9);
	CHECK(!output.torn);
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
	CHECK(flush() == OUTPUT_OK);
	copied_record("long torn record");
	CHECK(flush() == OUTPUT_FAILED);
	CHECK(output_written(&output) == 6);
	CHECK(!output.torn);
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
	CHECK(flush() == OUTPUT_FAILED);
	CHECK(output_written(&output) == 4);
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
	CHECK(flush() == OUTPUT_FAILED);
	CHECK(output.error == ENOSPC);
	CHECK(output_written(&output) == 0);
	CHECK(!output.torn);
}

static void a_full_device_says_enospc(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(full >= 0);
	scratch_in_child(full, write_to_full_device);
}

static void expect_closed(void)
{
	close(STDOUT_FILENO);
	CHECK(output_open(&output, OUTPUT_QUEUE_BYTES, PIPE_ROOM_WANTED) != NULL);
}

static void a_closed_stdout_is_refused(void **state)
{
	(void)state;
	scratch_in_child(make_file(), expect_closed);
}

static void expect_unwritable(void)
{
	CHECK(output_open(&output, OUTPUT_QUEUE_BYTES, PIPE_ROOM_WANTED) != NULL);
}

static void a_stdout_opened_for_reading_is_refused(void **state)
{
	(void)state;
	scratch_in_child(open("/dev/null", O_RDONLY | O_CLOEXEC), expect_unwritable);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_written_in_order_by_one_flush),
		cmocka_unit_test(copied_and_referenced_bytes_keep_their_order),
		cmocka_unit_test(a_batch_may_end_with_a_referenced_packet),
		cmocka_unit_test(a_flush_of_nothing_succeeds),
		cmocka_unit_test(a_batch_is_512_kib_of_copies),
		cmocka_unit_test(a_batch_is_8192_small_records),
		cmocka_unit_test(a_batch_is_what_one_write_takes),
		cmocka_unit_test(a_queue_is_longer_than_a_batch),
		cmocka_unit_test(a_queue_takes_what_it_says_and_not_one_record_more),
		cmocka_unit_test(what_was_detached_may_change),
		cmocka_unit_test(what_does_not_fit_stays_where_it_is),
		cmocka_unit_test(no_room_is_promised_beyond_the_queue),
		cmocka_unit_test(a_full_disk_keeps_whole_records_only),
		cmocka_unit_test(a_disk_that_is_full_at_a_record_end_loses_no_record),
		cmocka_unit_test(a_torn_first_record_of_a_batch_is_taken_back),
		cmocka_unit_test(what_stood_in_the_file_before_stays),
		cmocka_unit_test(a_full_device_says_enospc),
		cmocka_unit_test(a_closed_stdout_is_refused),
		cmocka_unit_test(a_stdout_opened_for_reading_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
