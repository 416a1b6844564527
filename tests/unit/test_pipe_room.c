/* writer/output/pipe_room.c: what it promises about a real pipe. */
#include "output/pipe_room.h"

#include <fcntl.h>
#include <stdlib.h>

#include "scratch.h"

#define STEPS 40000
#define PIECE (100u << 10)

static struct pipe_room room;
static int reading_end;
static uint8_t bytes[PIPE_ROOM_WANTED];

static void in_child_with_pipe(void (*body)(void))
{
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	reading_end = pipes[0];
	scratch_in_child(pipes[1], body);
	close(pipes[0]);
}

static size_t some_size(void)
{
	static const size_t SIZES[] = { 1, 24, 100, 2048, 2049, 4095, 4096, 4097, 9000, 66000 };

	return rand() % 8 == 0 ? (size_t)rand() % PIECE + 1 : SIZES[(size_t)rand() % COUNT_OF(SIZES)];
}

static void read_some(void)
{
	static uint8_t content[PIECE];
	ssize_t count = read(reading_end, content, (size_t)rand() % sizeof content + 1);

	CHECK(count != 0);
}

static void start(void)
{
	pipe_room_start(&room, PIPE_ROOM_WANTED);
	CHECK(room.capacity == PIPE_ROOM_WANTED);
}

static void write_whole(size_t size)
{
	CHECK(write(STDOUT_FILENO, bytes, size) == (ssize_t)size);
	pipe_room_written(&room, size);
}

/* Never blocking is, with O_NONBLOCK, never being cut short. */
static void write_where_there_is_room(void)
{
	for (int step = 0; step < STEPS; step++) {
		/* For a while many small writes, for a while large ones; a reader that comes and goes. */
		size_t size = step / 2000 % 2 == 0 ? 2049 : some_size();
		size_t most = pipe_room(&room, pipe_room_unread());
		if (rand() % 50 == 0)
			read_some();
		if (size <= most || (size <= room.page && pipe_room_for_page()))
			write_whole(size);
		else
			read_some();
	}
}

static void write_into_new_pipe(void)
{
	start();
	write_where_there_is_room();
}

static void write_into_small_pipe(void)
{
	start();
	CHECK(fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 16384) == 16384); /* as its reader may */
	write_where_there_is_room();
	CHECK(pipe_room_capacity() == 16384);
}

static void write_into_pipe_of_packets(void)
{
	CHECK(fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK | O_DIRECT) == 0);
	start();
	write_where_there_is_room();
}

/* A byte to a page, and then pages that may be filled up. */
static void write_behind_others(void)
{
	CHECK(fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK | O_DIRECT) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(write(STDOUT_FILENO, bytes, 1) == 1);
	CHECK(fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK) == 0);
	start();
	write_where_there_is_room();
}

static void a_write_for_which_there_is_room_never_blocks(void **state)
{
	(void)state;
	in_child_with_pipe(write_into_new_pipe);
	in_child_with_pipe(write_into_small_pipe);
	in_child_with_pipe(write_into_pipe_of_packets);
	in_child_with_pipe(write_behind_others);
}

static void fill(void)
{
	start();
	CHECK(pipe_room(&room, pipe_room_unread()) == PIPE_ROOM_WANTED);
	write_whole(PIPE_ROOM_WANTED / 2);
	CHECK(pipe_room(&room, pipe_room_unread()) == PIPE_ROOM_WANTED / 2);
	write_whole(PIPE_ROOM_WANTED / 2);
	CHECK(pipe_room(&room, pipe_room_unread()) == 0);
	CHECK(!pipe_room_for_page());
	CHECK(read(reading_end, bytes, PIECE) == PIECE);
	CHECK(pipe_room(&room, pipe_room_unread()) >= PIECE - 2 * room.page);
	CHECK(pipe_room_for_page());
}

static void whole_pages_fill_a_pipe_to_its_end(void **state)
{
	(void)state;
	in_child_with_pipe(fill);
}

static void start_on_file(void)
{
	pipe_room_start(&room, PIPE_ROOM_WANTED);
	CHECK(room.capacity == 0);
}

static void what_is_no_pipe_has_no_capacity(void **state)
{
	(void)state;
	scratch_in_child(open("/dev/null", O_WRONLY | O_CLOEXEC), start_on_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_for_which_there_is_room_never_blocks),
		cmocka_unit_test(whole_pages_fill_a_pipe_to_its_end),
		cmocka_unit_test(what_is_no_pipe_has_no_capacity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
