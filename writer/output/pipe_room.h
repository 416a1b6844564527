/* stdout as a pipe: how much it takes now without blocking. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What a pipe on stdout is enlarged to: fs.pipe-max-size for an ordinary user. */
#define PIPE_ROOM_WANTED (1u << 20)

/* Enlarges the pipe where the kernel lets us. Returns its capacity; if that is 0, ask nothing else. */
size_t pipe_room_start(void);

/* Bytes that it holds at most; 0 if stdout is no pipe. Its reader, too, may change it at any time. */
size_t pipe_room_capacity(void);

/* To be told of each write to it: of how many bytes, more than 0. */
void pipe_room_written(size_t bytes);

/* Bytes in it that its reader has yet to read. */
size_t pipe_room_unread(void);

/*
 * A number of bytes that one write is sure not to block for, given what pipe_room_unread() returned
 * since the last write; the whole capacity if that was 0. As long as no other process
 * writes to it or makes it smaller.
 */
size_t pipe_room(size_t unread);

/* True if there is room for a page, which pipe_room() may be too careful to see. */
bool pipe_room_for_page(void);

/* Bytes of a page. */
size_t pipe_room_page(void);
