/* writer/capture/capture.c: whole records, for readers of pipes and sockets that are slow, stall or leave. */
#include "writer/capture/capture.c"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "scratch.h"

#define LARGE 3000
#define HUGE (64u << 10)
#define HUGE_RECORD (4 + HUGE)
#define HUGE_RECORDS 40 /* more than a pipe takes */
#define SEEDS 100
#define AT_ONCE 10

static uint8_t large[LARGE];
static uint8_t huge[HUGE];
static struct output output;

static void need_output(void)
{
	if (output.copies == NULL)
		CHECK(output_open(&output, OUTPUT_QUEUE_BYTES, PIPE_ROOM_WANTED) == NULL);
}

static enum output_result flush(void)
{
	struct run run = { .output = &output,
			   .capture = &(struct capture){ .output = &output },
			   .socket = { .gone = true }, /* nobody to ask */
			   .drops = { .socket = &run.socket } };

	write_out(&run, false);
	return run.result;
}

static void copy(const void *bytes, size_t length)
{
	need_output();
	memcpy(output_at(&output), bytes, length);
	output_commit(&output, length);
}

static void copied_record(const char *text)
{
	copy(text, strlen(text));
	output_end_record(&output);
}

static void referenced_record(size_t length)
{
	copy("head", 4);
	output_reference(&output, large, length);
	output_end_record(&output);
}

/* A reader of a pipe of one page that takes a few bytes at a time. */
static size_t read_slowly(int fd, size_t piece, uint8_t *content, size_t size)
{
	size_t length = 0;
	ssize_t count;

	while ((count = read(fd, content + length, piece < size - length ? piece : size - length)) > 0)
		length += (size_t)count;
	return length;
}

static void write_urgently_to_file(void)
{
	CHECK(stop_watch() == 0 && raise(SIGINT) == 0);
	usleep((STOP_SAME_MS + 10) * 1000);
	CHECK(raise(SIGINT) == 0);
	copied_record("all");
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == 3);
}

static void a_second_signal_abandons_nothing_that_was_written_whole(void **state)
{
	(void)state;
	scratch_in_child(memfd_create("output", MFD_CLOEXEC), write_urgently_to_file);
}

static void write_large_records(void)
{
	for (int i = 0; i < 40; i++)
		referenced_record(LARGE);
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == 40 * (4 + LARGE));
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
	child = scratch_start_child(pipes[1], write_large_records);
	assert_int_equal(read_slowly(pipes[0], 333, content, sizeof content), 40 * (4 + LARGE));
	for (size_t at = 0; at < sizeof content - 1; at += 4 + LARGE) {
		assert_memory_equal(content + at, "head", 4);
		assert_memory_equal(content + at + 4, large, LARGE);
	}
	close(pipes[0]);
	scratch_assert_content(child);
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
	CHECK(flush() == OUTPUT_READER_GONE);
	CHECK(output_written(&output) == 0);
	CHECK(output_pending(&output) == 0);
}

static void a_closed_pipe_means_the_reader_is_gone(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	close(pipes[0]);
	scratch_in_child(pipes[1], write_to_nobody);
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
	need_output();
	for (int i = 0; i < HUGE_RECORDS; i++) {
		copy("head", 4);
		output_reference(&output, huge, HUGE);
		output_end_record(&output);
	}
}

static void expect_whole_records(enum output_result result, size_t length)
{
	CHECK(result == OUTPUT_ABANDONED);
	CHECK(output_written(&output) > 0);
	CHECK(output_written(&output) % length == 0);
	CHECK(!output.torn);
}

static void write_to_stalled_pipe(void)
{
	ask_to_stop(1);
	gather_huge_records();
	expect_whole_records(flush(), HUGE_RECORD);
}

static void write_to_pipe_urgently(void)
{
	ask_to_stop(2);
	gather_huge_records();
	expect_whole_records(flush(), HUGE_RECORD);
}

/* A socket with little room, and more than that to write. */
static void gather_for_socket(void)
{
	const int least = 4608;

	CHECK(setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
	need_output();
	for (int i = 0; i < 100; i++)
		referenced_record(LARGE);
}

static void write_to_stalled_socket(void)
{
	ask_to_stop(1);
	gather_for_socket();
	expect_whole_records(flush(), 4 + LARGE);
}

static void write_to_socket_urgently(void)
{
	ask_to_stop(2);
	gather_for_socket();
	expect_whole_records(flush(), 4 + LARGE);
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
	scratch_in_child(pipes[1], body);
	assert_whole_records(pipes[0], HUGE_RECORD);
}

static void assert_socket_gets_whole_records(void (*body)(void))
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	scratch_in_child(pair[1], body);
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
	CHECK(flush() == OUTPUT_OK);
	CHECK(output_written(&output) == HUGE_RECORDS * HUGE_RECORD);
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
	child = scratch_start_child(pipes[1], write_huge_records);
	assert_int_equal(read_slowly(pipes[0], 3333, content, sizeof content), sizeof content - 1);
	for (size_t at = 0; at < sizeof content - 1; at += HUGE_RECORD)
		assert_memory_equal(content + at + 4, huge, HUGE);
	close(pipes[0]);
	scratch_assert_content(child);
}

static void write_record_larger_than_pipe(void)
{
	static const uint8_t giant[PIPE_ROOM_WANTED + 5];

	need_output();
	output_reference(&output, giant, sizeof giant);
	output_end_record(&output);
	copied_record("next");
	CHECK(flush() == OUTPUT_OK);
}

static void a_record_larger_than_the_pipe_arrives_in_pieces(void **state)
{
	static uint8_t content[PIPE_ROOM_WANTED + 100];
	int pipes[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child = scratch_start_child(pipes[1], write_record_larger_than_pipe);
	assert_int_equal(read_slowly(pipes[0], 10000, content, sizeof content), PIPE_ROOM_WANTED + 5 + 4);
	assert_memory_equal(content + PIPE_ROOM_WANTED + 5, "next", 4);
	close(pipes[0]);
	scratch_assert_content(child);
}

/* The child must not hold the reading end itself. */
static int reading_end;

static void write_until_reader_is_gone(void)
{
	close(reading_end);
	gather_huge_records();
	CHECK(flush() == OUTPUT_READER_GONE);
}

static void a_reader_that_leaves_a_full_pipe_is_noticed(void **state)
{
	int pipes[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	reading_end = pipes[0];
	child = scratch_start_child(pipes[1], write_until_reader_is_gone);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
	scratch_assert_content(child);
}

static void write_urgently_up_to_a_boundary(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	need_output();
	CHECK(fcntl(STDOUT_FILENO, F_SETPIPE_SZ, page) == (int)page);
	output.pipe.capacity = 0; /* written to as if it were none */
	ask_to_stop(2);
	for (int i = 0; i < 2; i++) {
		output_reference(&output, huge, page - 2048);
		copy(large, 2048);
		output_end_record(&output);
	}
	CHECK(flush() == OUTPUT_ABANDONED);
	CHECK(output_written(&output) == page);
	CHECK(!output.torn);
}

static void at_a_record_boundary_no_further_record_is_begun(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	scratch_in_child(pipes[1], write_urgently_up_to_a_boundary);
	close(pipes[0]);
}

static void expect_enlarged_pipe(void)
{
	need_output();
	CHECK(fcntl(STDOUT_FILENO, F_GETPIPE_SZ) > 65536);
}

static void a_pipe_is_enlarged(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	scratch_in_child(pipes[1], expect_enlarged_pipe);
	close(pipes[0]);
}

/* Records of any size, each with its length in front, and now and then a flush. */
static unsigned int seed;

static void write_at_random(void)
{
	need_output();
	CHECK(stop_watch() == 0);
	srand(seed);
	for (;;) {
		uint32_t length = (uint32_t)rand() % (rand() % 4 == 0 ? LARGE : 100);
		enum output_result result = OUTPUT_OK;

		if (rand() % 8 == 0 || output_is_batch(&output))
			result = flush();
		CHECK(result == OUTPUT_OK || (result == OUTPUT_ABANDONED && !output.torn));
		if (result != OUTPUT_OK)
			return;
		copy(&length, sizeof length);
		if (rand() % 2 == 0)
			copy(large, length);
		else if (length > 0)
			output_reference(&output, large, length);
		output_end_record(&output);
	}
}

/* Who reads what one of them writes. */
static struct random_reader {
	int fd;
	pid_t child;
	size_t length;
	uint8_t content[5u << 20];
} readers[AT_ONCE];

static void start_writing_at_random(struct random_reader *reader)
{
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	reader->child = scratch_start_child(pipes[1], write_at_random);
	reader->fd = pipes[0];
	reader->length = 0;
}

/* In pieces of any size, and from then on nothing, for a while. */
static void read_at_random(struct random_reader *reader)
{
	size_t wanted = (size_t)rand() % (3u << 20);

	while (reader->length < wanted) {
		ssize_t count = read(reader->fd, reader->content + reader->length, (size_t)rand() % 9000 + 1);
		assert_true(count > 0);
		reader->length += (size_t)count;
	}
	usleep((useconds_t)rand() % 3000);
}

static void assert_ends_with_whole_record(struct random_reader *reader)
{
	uint32_t record;
	size_t at;

	assert_int_equal(kill(reader->child, SIGINT), 0);
	scratch_assert_content(reader->child);
	reader->length += read_slowly(reader->fd, sizeof reader->content, reader->content + reader->length,
				      sizeof reader->content - reader->length);
	close(reader->fd);
	for (at = 0; at < reader->length; at += sizeof record + record) {
		assert_true(reader->length - at >= sizeof record);
		memcpy(&record, reader->content + at, sizeof record);
	}
	assert_int_equal(at, reader->length);
}

static void a_pipe_never_holds_a_torn_record_wherever_its_reader_stops(void **state)
{
	(void)state;
	for (seed = 0; seed < SEEDS;) {
		for (int i = 0; i < AT_ONCE; i++, seed++) {
			start_writing_at_random(&readers[i]);
			read_at_random(&readers[i]);
			assert_int_equal(kill(readers[i].child, SIGINT), 0);
		}
		usleep((STOP_SAME_MS + 10) * 1000);
		for (int i = 0; i < AT_ONCE; i++)
			assert_ends_with_whole_record(&readers[i]);
	}
}

static void write_and_wait(void)
{
	close(reading_end);
	gather_huge_records();
	CHECK(flush() == OUTPUT_READER_GONE);
}

static void a_reader_that_stalls_finds_most_of_the_pipe_filled(void **state)
{
	int pipes[2], unread = 0, wanted = (int)PIPE_ROOM_WANTED / 4 * 3;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	reading_end = pipes[0];
	child = scratch_start_child(pipes[1], write_and_wait);
	for (int tries = 0; tries < 5000 && unread < wanted; tries++) {
		usleep(1000);
		assert_int_equal(ioctl(pipes[0], FIONREAD, &unread), 0);
	}
	assert_true(unread >= wanted);
	close(pipes[0]);
	scratch_assert_content(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_signal_abandons_nothing_that_was_written_whole),
		cmocka_unit_test(partial_writes_lose_and_repeat_nothing),
		cmocka_unit_test(a_nonblocking_stdout_is_waited_for),
		cmocka_unit_test(a_closed_pipe_means_the_reader_is_gone),
		cmocka_unit_test(a_pipe_that_stalls_at_a_stop_holds_whole_records),
		cmocka_unit_test(a_socket_that_stalls_at_a_stop_holds_whole_records),
		cmocka_unit_test(a_slow_reader_of_a_pipe_gets_everything),
		cmocka_unit_test(a_record_larger_than_the_pipe_arrives_in_pieces),
		cmocka_unit_test(a_reader_that_leaves_a_full_pipe_is_noticed),
		cmocka_unit_test(a_second_signal_ends_at_the_next_record_boundary),
		cmocka_unit_test(at_a_record_boundary_no_further_record_is_begun),
		cmocka_unit_test(a_pipe_is_enlarged),
		cmocka_unit_test(a_pipe_never_holds_a_torn_record_wherever_its_reader_stops),
		cmocka_unit_test(a_reader_that_stalls_finds_most_of_the_pipe_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
