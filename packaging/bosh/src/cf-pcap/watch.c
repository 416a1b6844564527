#include "watch.h"

#include <errno.h>
#include <stdalign.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cell.h"

int watch_begin(void)
{
	return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

int watch_folder(int watch, int folder)
{
	char path[FD_PATH_SIZE];

	return inotify_add_watch(watch, fd_path(path, folder), IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
}

/* IN_IGNORED alone tells of no arrival: a watched folder was removed. An overflow is doubt. */
static bool tells_of_arrival(const char *events, size_t length)
{
	while (length >= sizeof(struct inotify_event)) {
		const struct inotify_event *event = (const void *)events;
		size_t size = sizeof *event + event->len;

		if ((event->mask & IN_IGNORED) == 0 || size > length)
			return true;
		events += size;
		length -= size;
	}
	return false;
}

bool watch_saw_arrival(int watch)
{
	alignas(struct inotify_event) char events[4096];
	ssize_t length;

	while ((length = read(watch, events, sizeof events)) > 0)
		if (tells_of_arrival(events, (size_t)length))
			return true;
	return length == 0 || errno != EAGAIN;
}
