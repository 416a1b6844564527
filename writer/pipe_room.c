/*
 * stdout as a pipe: how much it takes now without blocking.
 *
 * A pipe holds a number of pages, pipe(7). A write starts a new page unless the last one has room for
 * what it has beyond whole pages, pipe_write() in fs/pipe.c. So a write of n bytes takes up n / page
 * pages, rounded up, at most; and of a write that is being read as many as its unread bytes fill,
 * and one.
 */
#include "pipe_room.h"

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WRITES_MAX 128 /* remembered apart; if there are more, the last are one */

struct unread_write {
	uint64_t end; /* bytes from the start of everything */
	size_t pages; /* that it takes up at most */
};

static struct unread_write writes[WRITES_MAX];
static size_t first, count;
static size_t pages_used; /* by all of them */
static uint64_t written;
static size_t capacity, page;

static size_t pages_of(size_t bytes)
{
	return (bytes + page - 1) / page;
}

static void remember(size_t bytes, size_t pages)
{
	written += bytes;
	pages_used += pages;
	if (count < WRITES_MAX)
		writes[(first + count++) % WRITES_MAX] = (struct unread_write){ written, pages };
	else {
		struct unread_write *last = &writes[(first + count - 1) % WRITES_MAX];
		last->end = written;
		last->pages += pages;
	}
}

size_t pipe_room_start(void)
{
	int bytes = fcntl(STDOUT_FILENO, F_GETPIPE_SZ); /* fails for anything but a pipe */
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	size_t unread;

	if (bytes > 0 && bytes < (int)PIPE_ROOM_WANTED &&
	    fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_ROOM_WANTED) > 0) /* may be refused */
		bytes = (int)PIPE_ROOM_WANTED;
	if (bytes <= 0 || flags < 0 || (flags & O_DIRECT) != 0) /* whose pages are not filled up, pipe(2) */
		return 0;
	capacity = (size_t)bytes;
	page = (size_t)sysconf(_SC_PAGESIZE);
	/* What others left in it may be spread thinly: of two pages in a row, less than one is empty. */
	unread = pipe_room_unread();
	if (unread > 0)
		remember(unread, 2 * pages_of(unread) + 1);
	return capacity;
}

void pipe_room_written(size_t bytes)
{
	remember(bytes, pages_of(bytes));
}

size_t pipe_room_unread(void)
{
	int unread = 0;

	ioctl(STDOUT_FILENO, FIONREAD, &unread);
	return (size_t)unread;
}

static void forget_read(size_t unread)
{
	while (count > 0 && writes[first].end + unread <= written) {
		pages_used -= writes[first].pages;
		first = (first + 1) % WRITES_MAX;
		count--;
	}
}

size_t pipe_room(size_t unread)
{
	size_t used, rest;

	forget_read(unread);
	if (unread == 0)
		return capacity;
	used = pages_used;
	rest = count > 0 ? pages_of(unread - (size_t)(written - writes[first].end)) + 1 : 0;
	if (count > 0 && rest < writes[first].pages)
		used -= writes[first].pages - rest;
	return used < capacity / page ? capacity - used * page : 0;
}

bool pipe_room_for_page(void)
{
	struct pollfd room = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
}

size_t pipe_room_page(void)
{
	return page;
}
