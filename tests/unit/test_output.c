/* writer/output.c: whole records, through real pipes and files, full disks and absent readers. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "stop.h"

#define LARGE 3000
#define HUGE (64u << 10)
#define HUGE_RECORD (4 + HUGE)
#define HUGE_RECORDS 40 /* more than a pipe takes */

static uint8_t large[LARGE];
static uint8_t huge[HUGE];

/*
 * Each test gathers and writes in a child whose stdout is `out`, and judges there: the module keeps
 * its state for the life of a process, and cmocka keeps its own stdout.
 */
static pid_t start_child(int out, void (*body)(void))
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGPIPE, SIG_IGN);
		alarm(60);
		if (dup2(out, STDOUT_FILENO) < 0)
			_exit(1);
		close(out);
		body();
		_exit(0);
	}
	close(out);
	return child;
}

static void assert_child_content(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void in_child(int out, void (*body)(void))
{
	assert_child_content(start_child(out, body));
}

#define CHECK(condition)                                                            \
	do                                                                          \
		if (!(condition)) {                                                 \
			dprintf(STDERR_FILENO, "%d: %s, errno %d\n", __LINE__, #condition, errno); \
			_exit(1);                                                   \
		}                                                                   \
	while (0)

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
	in_child(dup(file), write_three_records);
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
	in_child(dup(file), write_in_pieces);
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
	in_child(dup(file), write_ending_with_reference);
	assert_file_holds(file, "headabc");
	assert_int_equal(pipe(pipes), 0);
	in_child(pipes[1], write_ending_with_reference);
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
	in_child(dup(file), flush_nothing);
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
	in_child(make_file(), fill_with_copies);
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
	in_child(make_file(), fill_with_small_records);
}

static void fill_with_references(void)
{
	size_t count = 0;

	for (; output_has_room(28 + 20 + 8); count++) {
		copy(large, 28);
		output_reference(large, LARGE);
		copy(large, 8);
		output_end_record();
	}
	CHECK(count > IOV_MAX / 4 && count <= IOV_MAX / 2);
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == count * (28 + LARGE + 8));
}

static void room_ends_with_the_vectors(void **state)
{
	(void)state;
	in_child(make_file(), fill_with_references);
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
	in_child(make_file(), room_asks);
}

/* A reader of a 4096-byte pipe that takes a few bytes at a time. */
static size_t read_slowly(int fd, size_t piece, uint8_t *content, size_t size)
{
	size_t length = 0;
	ssize_t count;

	while ((count = read(fd, content + length, piece < size - length ? piece : size - length)) > 0)
		length += (size_t)count;
	return length;
}

static void write_large_records(void)
{
	for (int i = 0; i < 40; i++)
		referenced_record(LARGE);
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == 40 * (4 + LARGE));
}

static void write_through_small_pipe(bool nonblocking)
{
	static uint8_t content[40 * (4 + LARGE) + 1];
	int pipes[2];
	pid_t child;

	for (size_t i = 0; i < sizeof large; i++)
		large[i] = (uint8_t)(i * 7);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	fcntl(pipes[0], F_SETPIPE_SZ, 4096);
	if (nonblocking)
		fcntl(pipes[1], F_SETFL, O_WRONLY | O_NONBLOCK);
	child = start_child(pipes[1], write_large_records);
	assert_int_equal(read_slowly(pipes[0], 333, content, sizeof content), 40 * (4 + LARGE));
	for (size_t at = 0; at < sizeof content - 1; at += 4 + LARGE) {
		assert_memory_equal(content + at, "head", 4);
		assert_memory_equal(content + at + 4, large, LARGE);
	}
	close(pipes[0]);
	assert_child_content(child);
}

static void partial_writes_lose_and_repeat_nothing(void **state)
{
	(void)state;
	write_through_small_pipe(false);
}

static void a_nonblocking_stdout_is_waited_for(void **state)
{
	(void)state;
	write_through_small_pipe(true);
}

static void write_to_nobody(void)
{
	copied_record("lost");
	CHECK(output_flush() == OUTPUT_READER_GONE);
	CHECK(output_written() == 0);
	CHECK(output_pending() == 0);
}

static void a_closed_pipe_means_the_reader_is_gone(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	close(pipes[0]);
	in_child(pipes[1], write_to_nobody);
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
	in_child(dup(file), write_beyond_disk);
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
	in_child(dup(file), write_up_to_disk);
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
	in_child(dup(file), write_first_record_beyond_disk);
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
	in_child(dup(file), write_beyond_disk_after_old);
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
	in_child(full, write_to_full_device);
}

/* As a user who has asked to stop: once, or once more. */
static void ask_to_stop(int times)
{
	CHECK(stop_watch() == 0);
	for (int i = 0; i < times; i++)
		CHECK(raise(SIGINT) == 0);
}

static void gather_huge_records(void)
{
	CHECK(output_prepare() == NULL);
	for (int i = 0; i < HUGE_RECORDS; i++) {
		copy("head", 4);
		output_reference(huge, HUGE);
		output_end_record();
	}
}

static void expect_whole_records(enum output_result result, size_t length)
{
	CHECK(result == OUTPUT_ABANDONED);
	CHECK(output_written() > 0);
	CHECK(output_written() % length == 0);
	CHECK(!output_torn());
}

static void write_to_stalled_pipe(void)
{
	ask_to_stop(1);
	gather_huge_records();
	expect_whole_records(output_flush(), HUGE_RECORD);
}

static void write_to_pipe_urgently(void)
{
	ask_to_stop(2);
	gather_huge_records();
	expect_whole_records(output_flush(), HUGE_RECORD);
}

/* A socket with little room, and more than that to write. */
static void gather_for_socket(void)
{
	const int least = 4608;

	CHECK(setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
	CHECK(output_prepare() == NULL);
	for (int i = 0; i < 100; i++)
		referenced_record(LARGE);
}

static void write_to_stalled_socket(void)
{
	ask_to_stop(1);
	gather_for_socket();
	expect_whole_records(output_flush(), 4 + LARGE);
}

static void write_to_socket_urgently(void)
{
	ask_to_stop(2);
	gather_for_socket();
	expect_whole_records(output_flush(), 4 + LARGE);
}

static void assert_whole_records(int fd, size_t record_length)
{
	static uint8_t content[4 << 20];
	size_t length = read_slowly(fd, sizeof content, content, sizeof content);

	assert_true(length > 0);
	assert_int_equal(length % record_length, 0);
	close(fd);
}

static void assert_pipe_gets_whole_records(void (*body)(void))
{
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	in_child(pipes[1], body);
	assert_whole_records(pipes[0], HUGE_RECORD);
}

static void assert_socket_gets_whole_records(void (*body)(void))
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	in_child(pair[1], body);
	assert_whole_records(pair[0], 4 + LARGE);
}

static void a_pipe_that_stalls_at_a_stop_holds_whole_records(void **state)
{
	(void)state;
	assert_pipe_gets_whole_records(write_to_stalled_pipe);
}

static void a_socket_that_stalls_at_a_stop_holds_whole_records(void **state)
{
	(void)state;
	assert_socket_gets_whole_records(write_to_stalled_socket);
}

static void a_second_signal_ends_at_the_next_record_boundary(void **state)
{
	(void)state;
	assert_pipe_gets_whole_records(write_to_pipe_urgently);
	assert_socket_gets_whole_records(write_to_socket_urgently);
}

static void write_huge_records(void)
{
	gather_huge_records();
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == HUGE_RECORDS * HUGE_RECORD);
}

static void a_slow_reader_of_a_pipe_gets_everything(void **state)
{
	static uint8_t content[HUGE_RECORDS * HUGE_RECORD + 1];
	int pipes[2];
	pid_t child;

	(void)state;
	for (size_t i = 0; i < sizeof huge; i++)
		huge[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child = start_child(pipes[1], write_huge_records);
	assert_int_equal(read_slowly(pipes[0], 3333, content, sizeof content), sizeof content - 1);
	for (size_t at = 0; at < sizeof content - 1; at += HUGE_RECORD)
		assert_memory_equal(content + at + 4, huge, HUGE);
	close(pipes[0]);
	assert_child_content(child);
}

static void write_record_larger_than_pipe(void)
{
	static const uint8_t giant[OUTPUT_PIPE_BYTES + 5];

	CHECK(output_prepare() == NULL);
	output_reference(giant, sizeof giant);
	output_end_record();
	copied_record("next");
	CHECK(output_flush() == OUTPUT_OK);
}

static void a_record_larger_than_the_pipe_arrives_in_pieces(void **state)
{
	static uint8_t content[OUTPUT_PIPE_BYTES + 100];
	int pipes[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child = start_child(pipes[1], write_record_larger_than_pipe);
	assert_int_equal(read_slowly(pipes[0], 10000, content, sizeof content), OUTPUT_PIPE_BYTES + 5 + 4);
	assert_memory_equal(content + OUTPUT_PIPE_BYTES + 5, "next", 4);
	close(pipes[0]);
	assert_child_content(child);
}

/* The child must not hold the reading end itself. */
static int reading_end;

static void write_until_reader_is_gone(void)
{
	close(reading_end);
	gather_huge_records();
	CHECK(output_flush() == OUTPUT_READER_GONE);
}

static void a_reader_that_leaves_a_full_pipe_is_noticed(void **state)
{
	int pipes[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	reading_end = pipes[0];
	child = start_child(pipes[1], write_until_reader_is_gone);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	assert_child_content(child);
}

static void write_urgently_up_to_a_boundary(void)
{
	CHECK(fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 4096) == 4096);
	ask_to_stop(2);
	for (int i = 0; i < 2; i++) {
		output_reference(large, 2048);
		copy(large, 2048);
		output_end_record();
	}
	CHECK(output_flush() == OUTPUT_ABANDONED);
	CHECK(output_written() == 4096);
	CHECK(!output_torn());
}

static void at_a_record_boundary_no_further_record_is_begun(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	in_child(pipes[1], write_urgently_up_to_a_boundary);
	close(pipes[0]);
}

static void write_urgently_to_file(void)
{
	ask_to_stop(2);
	copied_record("all");
	CHECK(output_flush() == OUTPUT_OK);
	CHECK(output_written() == 3);
}

static void a_second_signal_abandons_nothing_that_was_written_whole(void **state)
{
	int file = make_file();

	(void)state;
	in_child(dup(file), write_urgently_to_file);
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
	in_child(make_file(), expect_closed);
}

static void expect_unwritable(void)
{
	CHECK(output_prepare() != NULL);
}

static void a_stdout_opened_for_reading_is_refused(void **state)
{
	(void)state;
	in_child(open("/dev/null", O_RDONLY | O_CLOEXEC), expect_unwritable);
}

static void expect_enlarged_pipe(void)
{
	CHECK(output_prepare() == NULL);
	CHECK(fcntl(STDOUT_FILENO, F_GETPIPE_SZ) > 65536);
	CHECK(!output_is_terminal());
}

static void a_pipe_is_enlarged(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	in_child(pipes[1], expect_enlarged_pipe);
	close(pipes[0]);
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
	in_child(terminal, expect_terminal);
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
		cmocka_unit_test(no_room_is_promised_beyond_the_buffer),
		cmocka_unit_test(partial_writes_lose_and_repeat_nothing),
		cmocka_unit_test(a_nonblocking_stdout_is_waited_for),
		cmocka_unit_test(a_closed_pipe_means_the_reader_is_gone),
		cmocka_unit_test(a_full_disk_keeps_whole_records_only),
		cmocka_unit_test(a_disk_that_is_full_at_a_record_end_loses_no_record),
		cmocka_unit_test(a_torn_first_record_of_a_batch_is_taken_back),
		cmocka_unit_test(what_stood_in_the_file_before_stays),
		cmocka_unit_test(a_full_device_says_enospc),
		cmocka_unit_test(a_pipe_that_stalls_at_a_stop_holds_whole_records),
		cmocka_unit_test(a_socket_that_stalls_at_a_stop_holds_whole_records),
		cmocka_unit_test(a_slow_reader_of_a_pipe_gets_everything),
		cmocka_unit_test(a_record_larger_than_the_pipe_arrives_in_pieces),
		cmocka_unit_test(a_reader_that_leaves_a_full_pipe_is_noticed),
		cmocka_unit_test(a_second_signal_ends_at_the_next_record_boundary),
		cmocka_unit_test(at_a_record_boundary_no_further_record_is_begun),
		cmocka_unit_test(a_second_signal_abandons_nothing_that_was_written_whole),
		cmocka_unit_test(a_closed_stdout_is_refused),
		cmocka_unit_test(a_stdout_opened_for_reading_is_refused),
		cmocka_unit_test(a_pipe_is_enlarged),
		cmocka_unit_test(a_terminal_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
