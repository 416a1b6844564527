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
	bool filled;  /* all of them but the last: it is one write, and ours */
};

static struct unread_write writes[WRITES_MAX];
static size_t first, count;
static size_t pages_used; /* by all of them */
static uint64_t written;
static size_t page;

static size_t pages_of(size_t bytes)
{
	return (bytes + page - 1) / page;
}

static void remember(size_t bytes, size_t pages, bool filled)
{
	written += bytes;
	pages_used += pages;
	if (count < WRITES_MAX)
		writes[(first + count++) % WRITES_MAX] = (struct unread_write){ written, pages, filled };
	else {
		struct unread_write *last = &writes[(first + count - 1) % WRITES_MAX];
		*last = (struct unread_write){ written, last->pages + pages, false };
	}
}

size_t pipe_room_capacity(void)
{
	int bytes = fcntl(STDOUT_FILENO, F_GETPIPE_SZ); /* fails for anything but a pipe */

	return bytes > 0 ? (size_t)bytes : 0;
}

size_t pipe_room_start(void)
{
	size_t unread;

	if (pipe_room_capacity() < PIPE_ROOM_WANTED)
		fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_ROOM_WANTED); /* may be refused */
	page = (size_t)sysconf(_SC_PAGESIZE);
	/* What others left in it may be spread thinly, a byte to a page. */
	unread = pipe_room_capacity() > 0 ? pipe_room_unread() : 0;
	if (unread > 0)
		remember(unread, unread, false);
	return pipe_room_capacity();
}

void pipe_room_written(size_t bytes)
{
	remember(bytes, pages_of(bytes), true);
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
	size_t capacity = pipe_room_capacity(), used, rest; /* its reader may have changed it */

	forget_read(unread);
	if (unread == 0)
		return capacity;
	used = pages_used;
	if (count > 0 && writes[first].filled) {
		rest = pages_of(unread - (size_t)(written - writes[first].end)) + 1;
		used -= rest < writes[first].pages ? writes[first].pages - rest : 0;
	}
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
