/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The memory of the container: what a capture takes up there the app lacks, and the kernel kills at the limit. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes that the memory cgroup of this process, and those above it, have free at the least: their limit
 * less what is used, but for files that are read and not in use any more. `list` is /proc/self/cgroup, `root`
 * where cgroups are mounted. UINT64_MAX if there is no limit, or none to be seen.
 */
uint64_t memory_free(const char *list, const char *root);

/* What the output may take up. */
struct memory_share {
	size_t queue_bytes; /* OUTPUT_QUEUE_LEAST to OUTPUT_QUEUE_BYTES */
	size_t pipe_bytes;  /* PIPE_ROOM_WANTED at most; what the pipe has anyway is not taken away */
};

/* A quarter of `free` bytes in all, or the least that the output needs where that is more. */
struct memory_share memory_share(uint64_t free);
