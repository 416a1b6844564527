/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The memory of the container: cgroups(7), version 1 and 2. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "output/output.h"

#define TEXT_SIZE 8192 /* the longest, memory.stat, is less than half of it */
#define SHARE 4
#define PIPE_SHARE 4   /* of our share */
#define PIPE_DEFAULT (64u << 10)
/* For each byte of the queue there is room to remember where records end: output_open(). */
#define QUEUE_OVERHEAD_SHARE 8

/* The names of a version's files, in the order of their meaning. */
struct version {
	const char *controller; /* in its line of /proc/PID/cgroup */
	const char *mounts[2];  /* below the root; "": it is the root */
	const char *limits[2], *used, *cache;
};

static const struct version VERSIONS[] = {
	{ "", { "", "/unified" }, { "memory.max", "memory.high" }, "memory.current", "inactive_file" },
	{ "memory", { "/memory", NULL }, { "memory.limit_in_bytes", NULL }, "memory.usage_in_bytes", "total_inactive_file" },
};

/* Returns false if there is no such file, or more in it than there can be. */
static bool read_text(const char *path, char *text)
{
	CLEANUP(cleanup_fd) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	size_t length = 0;
	ssize_t part = 0;

	while (file >= 0 && length < TEXT_SIZE - 1 && (part = read(file, text + length, TEXT_SIZE - 1 - length)) > 0)
		length += (size_t)part;
	text[length] = '\0';
	return file >= 0 && part == 0 && length > 0 && strlen(text) == length;
}

/* Digits to the end of a line. Returns false if it is something else, "max" for example. */
static bool parse_bytes(const char *text, uint64_t *bytes)
{
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && errno == 0 && (*end == '\n' || *end == '\0');
}

static bool read_bytes(const char *folder, const char *name, uint64_t *bytes)
{
	char path[PATH_MAX + 64], text[TEXT_SIZE];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return read_text(path, text) && parse_bytes(text, bytes);
}

/* Of files that nobody reads at the moment: the kernel gives that up before it kills anybody. */
static uint64_t read_cache(const char *folder, const char *field)
{
	char path[PATH_MAX + 64], text[TEXT_SIZE];
	const size_t length = strlen(field);
	uint64_t bytes = 0;

	snprintf(path, sizeof path, "%s/memory.stat", folder);
	if (!read_text(path, text))
		return 0;
	for (const char *line = text; line != NULL; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, field, length) == 0 && line[length] == ' ')
			return parse_bytes(line + length + 1, &bytes) ? bytes : 0;
	return 0;
}

/* What one cgroup has free. */
static uint64_t free_in(const char *folder, const struct version *version)
{
	uint64_t least = UINT64_MAX, limit, used, cache;

	for (size_t i = 0; i < 2 && version->limits[i] != NULL; i++)
		if (read_bytes(folder, version->limits[i], &limit) && limit < least)
			least = limit;
	if (least == UINT64_MAX || !read_bytes(folder, version->used, &used))
		return UINT64_MAX;
	cache = read_cache(folder, version->cache);
	used -= cache < used ? cache : used;
	return used < least ? least - used : 0;
}

/*
 * From the cgroup up to the mount's root. A container may see only a part of the tree, as its root: what is not
 * there is passed over, and a path that leads out of it is its root.
 */
static uint64_t free_along(const char *mount, const char *path, const struct version *version)
{
	char folder[PATH_MAX];
	const size_t root = strlen(mount);
	uint64_t least = UINT64_MAX, bytes;

	if (strstr(path, "/..") != NULL || root + strlen(path) >= sizeof folder)
		path = "";
	snprintf(folder, sizeof folder, "%s%s", mount, path);
	for (;;) {
		bytes = free_in(folder, version);
		if (bytes < least)
			least = bytes;
		if (strlen(folder) <= root)
			return least;
		*strrchr(folder + root, '/') = '\0';
	}
}

/* A line of /proc/PID/cgroup: number:controllers:path. Returns the path if it is the memory controller's, or NULL. */
static const char *path_of(const char *line, const struct version *version)
{
	const char *controllers = strchr(line, ':'), *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
	size_t length = strlen(version->controller);

	if (path == NULL || path[1] != '/')
		return NULL;
	for (const char *name = controllers + 1;; name += strcspn(name, ",:") + 1) {
		if (strcspn(name, ",:") == length && strncmp(name, version->controller, length) == 0)
			return path + 1;
		if (name + strcspn(name, ",:") == path)
			return NULL;
	}
}

/* Wherever that hierarchy may be mounted. */
static uint64_t free_of(const char *path, const struct version *version, const char *root)
{
	char mount[PATH_MAX];
	uint64_t least = UINT64_MAX, bytes;

	for (size_t i = 0; i < 2 && version->mounts[i] != NULL; i++) {
		snprintf(mount, sizeof mount, "%s%s", root, version->mounts[i]);
		bytes = free_along(mount, path, version);
		least = bytes < least ? bytes : least;
	}
	return least;
}

uint64_t memory_free(const char *list, const char *root)
{
	char text[TEXT_SIZE], *rest = text, *line;
	uint64_t least = UINT64_MAX, bytes;

	if (!read_text(list, text))
		return UINT64_MAX;
	while ((line = strsep(&rest, "\n")) != NULL)
		for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++) {
			const char *path = path_of(line, &VERSIONS[i]);
			bytes = path != NULL ? free_of(path, &VERSIONS[i], root) : UINT64_MAX;
			least = bytes < least ? bytes : least;
		}
	return least;
}

struct memory_share memory_share(uint64_t free)
{
	const uint64_t share = free / SHARE;
	struct memory_share result = { OUTPUT_QUEUE_BYTES, PIPE_ROOM_WANTED };
	uint64_t queue;

	while (result.pipe_bytes > PIPE_DEFAULT && result.pipe_bytes > share / PIPE_SHARE)
		result.pipe_bytes /= 2;
	queue = share > result.pipe_bytes ? share - result.pipe_bytes : 0;
	queue = queue / (QUEUE_OVERHEAD_SHARE + 1) * QUEUE_OVERHEAD_SHARE;
	if (queue < result.queue_bytes)
		result.queue_bytes = queue > OUTPUT_QUEUE_LEAST ? (size_t)queue : OUTPUT_QUEUE_LEAST;
	return result;
}
