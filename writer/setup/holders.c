/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The captures that hold the slots, as far as /proc shows them: no link of theirs can be followed, they are not dumpable. */
#include "holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "common/cleanup.h"

#define CAPTURE_NAME "(cf-pcap)"
#define STATUS_SIZE 1024 /* the fields that are wanted are among the first */

struct process {
	char state;
	int parent;
	uint64_t started; /* nanoseconds since the epoch */
	unsigned int uid;
};

static bool read_file(const char *pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/%.10s/%s", pid, name);
	CLEANUP(cleanup_fd) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	length = read(file, text, size - 1);
	text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* The kernel counts in ticks since it was booted. */
static uint64_t wall_time(uint64_t ticks)
{
	const uint64_t tick = NANOSECONDS / (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now = { 0, 0 };

	clock_gettime(CLOCK_BOOTTIME, &now);
	return clock_wall() - clock_nanoseconds(now) + ticks * tick;
}

/* /proc/PID/stat, proc(5). Returns false if it is no capture. */
static bool read_process(const char *pid, struct process *process)
{
	char text[STATUS_SIZE];
	unsigned long long ticks;
	const char *after, *uid;

	if (!read_file(pid, "stat", text, sizeof text))
		return false;
	after = strstr(text, CAPTURE_NAME " ");
	if (after == NULL || strrchr(text, ')') != after + strlen(CAPTURE_NAME) - 1)
		return false;
	if (sscanf(after + strlen(CAPTURE_NAME), /* NOLINT(cert-err34-c): the kernel's digits */
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &process->state, &process->parent, &ticks) != 3)
		return false;
	process->started = wall_time(ticks);
	if (!read_file(pid, "status", text, sizeof text))
		return false;
	uid = strstr(text, "\nUid:\t");
	process->uid = uid != NULL ? (unsigned int)strtoul(uid + strlen("\nUid:\t"), NULL, 10) : UINT32_MAX;
	return true;
}

/* Each network namespace has files of its own in /proc, and anybody may look at their numbers. */
static bool is_in_our_network(const char *pid)
{
	char path[64];
	struct stat ours, theirs;

	snprintf(path, sizeof path, "/proc/%.10s/net/dev", pid);
	return stat("/proc/self/net/dev", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_ino == theirs.st_ino;
}

/* A capture that begins is two processes of that name; so are we. */
static bool is_other_capture(const char *pid, struct process *process)
{
	struct process parent;
	char parent_pid[16];

	if (!read_process(pid, process) || process->state == 'Z' || strtol(pid, NULL, 10) == getpid() || !is_in_our_network(pid))
		return false;
	snprintf(parent_pid, sizeof parent_pid, "%d", process->parent);
	return !read_process(parent_pid, &parent);
}

static void append(struct holders *holders, const char *pid, const struct process *process)
{
	const struct timespec started = { (time_t)(process->started / NANOSECONDS), 0 };
	char since[LOG_TIME_SIZE], owner[24] = "";
	size_t used = strlen(holders->list);

	log_time(since, &started);
	if (process->uid != getuid())
		snprintf(owner, sizeof owner, " of uid %u", process->uid);
	if (used + 80 < sizeof holders->list)
		snprintf(holders->list + used, sizeof holders->list - used, "%s%.10s%s since %s",
			 used > 0 ? ", " : "", pid, owner, since);
}

static void cleanup_dir(DIR **folder)
{
	if (*folder != NULL)
		closedir(*folder);
}

void holders_find(struct holders *holders)
{
	CLEANUP(cleanup_dir) DIR *folder = opendir("/proc");
	uint64_t oldest = UINT64_MAX;
	const struct dirent *entry;
	struct process process;

	*holders = (struct holders){ .hint = "this /proc does not show them: hidepid is set, or they are another container's, or still ending" };
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_other_capture(entry->d_name, &process))
			continue;
		append(holders, entry->d_name, &process);
		if (oldest == UINT64_MAX)
			snprintf(holders->hint, sizeof holders->hint, "they are other users', who can end them");
		if ((process.uid == getuid() || getuid() == 0) && process.started < oldest) {
			oldest = process.started;
			snprintf(holders->hint, sizeof holders->hint, "kill %.10s ends the oldest of yours", entry->d_name);
		}
	}
}
