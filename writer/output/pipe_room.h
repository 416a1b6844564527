/* output: inside the sandbox, on the way to stdout; it never waits. */
/*
 * stdout as a pipe: how much it takes now without blocking.
 *
 * A pipe holds a number of pages, pipe(7). A write starts a new page unless the last one has room for
 * what it has beyond whole pages, pipe_write() in fs/pipe.c.
 *
 * Invariant: the pages in use are never more than pipe_room() believes. It adds up, for each write of
 * which something is unread, the most pages that it can take up: its bytes divided by a page's, rounded up; and
 * for the oldest of them, which the reader is in the middle of, as many as its unread bytes fill, and
 * one. Reading only makes it less, so an answer is good until the next write of ours.
 *
 * How that is shown: tests/unit/test_pipe_room.c writes what there is room for, 40,000 times in each of four kinds
 * of pipe, into a pipe with O_NONBLOCK, where a write that would have blocked is cut short.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a pipe on stdout is enlarged to where there is memory for it: fs.pipe-max-size for an ordinary user. */
#define PIPE_ROOM_WANTED (1u << 20)
#define PIPE_ROOM_WRITES_MAX 128 /* remembered apart; if there are more, the last are one */

struct pipe_room {
	size_t capacity; /* bytes, at the start; 0: stdout is no pipe */
	size_t page;     /* bytes */
	struct unread_write {
		uint64_t end; /* bytes from the start of everything */
		size_t pages; /* that it takes up at most */
		bool filled;  /* all of them but the last: it is one write, and ours */
	} writes[PIPE_ROOM_WRITES_MAX]; /* of which something is unread, a circle */
	size_t first, count;
	size_t pages_used; /* by all of them */
	uint64_t written;
};

/* Enlarges the pipe to so many bytes, where the kernel lets us. If its capacity is 0, ask nothing else. */
void pipe_room_start(struct pipe_room *room, size_t wanted);

/* Bytes that it holds at most; 0 if stdout is no pipe. Its reader, too, may change it at any time. */
size_t pipe_room_capacity(void);

/* To be told of each write to it: of how many bytes, more than 0. */
void pipe_room_written(struct pipe_room *room, size_t bytes);

/* Bytes in it that its reader has yet to read. */
size_t pipe_room_unread(void);

/*
 * A number of bytes that one write is sure not to block for, given what pipe_room_unread() returned
 * since the last write; the whole capacity if that was 0. As long as no other process
 * writes to it or makes it smaller.
 */
size_t pipe_room(struct pipe_room *room, size_t unread);

/* True if there is room for a page, which pipe_room() may be too careful to see. */
bool pipe_room_for_page(void);
