/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * The process that reads all streams and writes one file. It was forked before any command was started, so it has
 * nobody's stdin, and its sandbox has no call that opens, connects or executes: descriptors come with orders.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog.h"
#include "merge.h"
#include "reports.h"
#include "sink.h"
#include "stream.h"

struct merger_options {
	size_t streams;
	uint64_t memory;    /* bytes */
	uint64_t window;    /* as rotate_every: nanoseconds */
	uint64_t count;     /* as the next three: 0: no limit */
	uint64_t max_size;  /* bytes of all files */
	uint64_t rotate_size;
	uint64_t rotate_every;
	bool shows_progress;
	bool tells_failures; /* as errors, too */
	const char *system, *application;
};

/* The least that memory can be. */
uint64_t merger_memory_least(size_t streams);

struct pollfd;

struct merger {
	const struct merger_options *options;
	int control;
	struct reports reports; /* on their way to its other end */
	struct merge merge;
	struct stream *streams;
	struct catalog catalog;
	struct sink sink;
	struct pollfd *watched; /* control, output, then out and err of each stream */
	uint64_t packets;
	int64_t file_began_ms;
	uint64_t file_packets;
	bool file_is_due;       /* the file is to be ended as soon as it is written */
	bool file_is_wanted;    /* and the next one was asked for */
	bool all_read;          /* what those streams have sent that hold packets back */
	bool closed;            /* no packet is written any more */
	bool output_failed;
	bool stopping, finishing;
	int64_t hurry_ms;       /* since when a slow reader of the output is not waited for long; 0: it is */
	int64_t stalled_ms;     /* when the output began to take nothing; 0: it takes */
	int64_t told_ms;        /* progress, as the next */
	uint64_t told_packets;
};

enum merger_status { MERGER_WHOLE, MERGER_FAILED, MERGER_NOT_WHOLE };

/* Runs to its end. Returns what the exit status is to say. */
enum merger_status merger_run(const struct merger_options *options, int control, int output);
