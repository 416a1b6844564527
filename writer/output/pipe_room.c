/* output: inside the sandbox, on the way to stdout; it never waits. */
/* stdout as a pipe: how much it takes now without blocking. */
#include "pipe_room.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static size_t pages_of(const struct pipe_room *room, size_t bytes)
{
	return (bytes + room->page - 1) / room->page;
}

static void remember(struct pipe_room *room, size_t bytes, size_t pages, bool filled)
{
	room->written += bytes;
	room->pages_used += pages;
	if (room->count < PIPE_ROOM_WRITES_MAX) {
		room->writes[(room->first + room->count++) % PIPE_ROOM_WRITES_MAX] =
			(struct unread_write){ room->written, pages, filled };
	} else {
		struct unread_write *last = &room->writes[(room->first + room->count - 1) % PIPE_ROOM_WRITES_MAX];
		*last = (struct unread_write){ room->written, last->pages + pages, false };
	}
}

size_t pipe_room_capacity(void)
{
	int bytes = fcntl(STDOUT_FILENO, F_GETPIPE_SZ); /* fails for anything but a pipe */

	return bytes > 0 ? (size_t)bytes : 0;
}

void pipe_room_start(struct pipe_room *room, size_t wanted)
{
	size_t unread;

	*room = (struct pipe_room){ .page = (size_t)sysconf(_SC_PAGESIZE) };
	if (pipe_room_capacity() < wanted)
		fcntl(STDOUT_FILENO, F_SETPIPE_SZ, (int)wanted); /* may be refused */
	room->capacity = pipe_room_capacity();
	/* What others left in it may be spread thinly, a byte to a page. */
	unread = room->capacity > 0 ? pipe_room_unread() : 0;
	if (unread > 0)
		remember(room, unread, unread, false);
}

void pipe_room_written(struct pipe_room *room, size_t bytes)
{
	remember(room, bytes, pages_of(room, bytes), true);
}

size_t pipe_room_unread(void)
{
	int unread = 0;

	ioctl(STDOUT_FILENO, FIONREAD, &unread);
	return (size_t)unread;
}

static void forget_read(struct pipe_room *room, size_t unread)
{
	while (room->count > 0 && room->writes[room->first].end + unread <= room->written) {
		room->pages_used -= room->writes[room->first].pages;
		room->first = (room->first + 1) % PIPE_ROOM_WRITES_MAX;
		room->count--;
	}
}

size_t pipe_room(struct pipe_room *room, size_t unread)
{
	size_t capacity = pipe_room_capacity(), used, rest; /* its reader may have changed it */
	const struct unread_write *oldest;

	forget_read(room, unread);
	if (unread == 0)
		return capacity;
	oldest = &room->writes[room->first];
	used = room->pages_used;
	if (room->count > 0 && oldest->filled) {
		rest = pages_of(room, unread - (size_t)(room->written - oldest->end)) + 1;
		used -= rest < oldest->pages ? oldest->pages - rest : 0;
	}
	return used < capacity / room->page ? capacity - used * room->page : 0;
}

bool pipe_room_for_page(void)
{
	struct pollfd room = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
}
