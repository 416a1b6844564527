#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capability.h"
#include "cleanup.h"
#include "helper.h"
#include "place.h"
#include "policy.h"
#include "watch.h"

#define DEPTH_MAX 256

/* True if the helper has the capability now, or should have it and could not get it. */
static bool enable_helper(struct cell *cell, const struct folder *folder, int file,
			  const struct stat *status)
{
	if (!cell->enabled || !folder->holds_archive)
		return false;
	if (!is_genuine(file, cell->helper)) {
		if (cell->pass == 1)
			report(folder, HELPER, "not the installed version, left without a capability");
		return false;
	}
	/* Before the capability: at no moment does it go further than the policy. */
	if (!settle_policy(cell, folder))
		return false;
	if (is_as_wanted(file, status))
		return true;
	if (replace_helper(folder, cell->helper) == 0)
		report_change(cell, folder, HELPER,
			      "replaced by the installed version, with cap_net_raw=p");
	else
		report_failure(cell, folder, HELPER, "giving it cap_net_raw=p");
	return true;
}

static void visit_helper(struct cell *cell, const struct folder *folder, int file, const struct stat *status)
{
	if (enable_helper(cell, folder, file, status))
		return;
	remove_capability(cell, folder, HELPER, file, status);
	if (!cell->enabled && folder->holds_archive)
		drop_policy(cell, folder);
}

static void visit_file(struct cell *cell, const struct folder *folder, const char *name, int file,
		       const struct stat *status)
{
	if (is_temporary(name)) {
		if (unlinkat(folder->fd, name, 0) == 0)
			report_change(cell, folder, name, "removed, left by an interrupted run");
		else
			report_failure(cell, folder, name, "removing it, left by an interrupted run");
		return;
	}
	if (strcmp(name, HELPER) == 0)
		visit_helper(cell, folder, file, status);
	else
		remove_capability(cell, folder, name, file, status);
}

static bool is_cache(const struct cell *cell, const struct stat *status)
{
	return cell->cache >= 0 && status->st_dev == cell->cache_device &&
	       status->st_ino == cell->cache_inode;
}

static bool names_archive(const char *name)
{
	size_t length = strlen(name);

	return length > 2 && strcmp(name + length - 2, ".d") == 0;
}

static void visit_folder(struct cell *cell, const struct folder *folder);

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX folders deep */
static void visit_below(struct cell *cell, const struct folder *folder, const char *name, int fd,
			const struct stat *status)
{
	struct folder below = {
		.fd = fd,
		.device = status->st_dev,
		.depth = folder->depth + 1,
		.is_cache = is_cache(cell, status),
		.holds_archive = folder->is_cache && names_archive(name),
	};

	if (snprintf(below.path, sizeof below.path, "%s%s/", folder->path, name) >=
	    (int)sizeof below.path)
		strcpy(below.path, ".../");
	visit_folder(cell, &below);
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static void visit(struct cell *cell, const struct folder *folder, const char *name)
{
	CLEANUP(cleanup_fd) int file = openat(folder->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (file < 0 || fstat(file, &status) != 0)
		report_failure(cell, folder, name, "opening it");
	else if (status.st_dev != folder->device && !is_cache(cell, &status))
		return; /* a mount: no rename leads there */
	else if (S_ISREG(status.st_mode))
		visit_file(cell, folder, name, file, &status);
	else if (S_ISDIR(status.st_mode))
		visit_below(cell, folder, name, file, &status);
}

static void cleanup_listing(DIR **listing)
{
	if (*listing != NULL)
		closedir(*listing);
}

static DIR *list_folder(const struct folder *folder)
{
	int fd;

	if (folder->depth > DEPTH_MAX) {
		errno = ELOOP;
		return NULL;
	}
	fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopendir(fd);
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
static void visit_folder(struct cell *cell, const struct folder *folder)
{
	CLEANUP(cleanup_listing) DIR *listing = NULL;
	const struct dirent *entry;

	cell->cache_seen |= folder->is_cache;
	if (watch_folder(cell->watch, folder->fd) < 0)
		report_failure(cell, folder, "", "watching it (fs.inotify.max_user_watches)");
	listing = list_folder(folder);
	if (listing == NULL) {
		report_failure(cell, folder, "", "listing it");
		return;
	}
	while ((errno = 0, entry = readdir(listing)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(cell, folder, entry->d_name);
	if (errno != 0)
		report_failure(cell, folder, "", "listing it");
}

static void visit_root(struct cell *cell, int fd)
{
	struct folder root = { .fd = fd };
	struct stat status;

	if (fstat(fd, &status) != 0) {
		report_failure(cell, &root, "", "opening it");
		return;
	}
	root.device = status.st_dev;
	root.is_cache = is_cache(cell, &status);
	visit_folder(cell, &root);
}

void walk(struct cell *cell, int data)
{
	CLEANUP(cleanup_fd) int watch = watch_begin();

	cell->watch = watch;
	cell->cache_seen = false;
	cell->changes = cell->misses = cell->failures = 0;
	visit_root(cell, data);
	if (cell->cache >= 0 && !cell->cache_seen)
		visit_root(cell, cell->cache);
	if (watch_saw_arrival(watch))
		cell->misses++;
	cell->watch = -1;
}
