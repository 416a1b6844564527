/* desk: starts the commands; what streams hold is never looked at here. */
/*
 * The process that starts a command for each capture, starts it in older words where it does not know new ones, or again
 * when it broke off, and ends them all. It holds their stdin, which is how they are stopped, and nothing that they send.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "command.h"
#include "files.h"
#include "flags.h"
#include "remote.h"
#include "signals.h"
#include "targets.h"

enum capture_state {
	CAPTURE_WAITS,  /* to be started, not before not_before_ms */
	CAPTURE_STARTS, /* nothing has come of it yet */
	CAPTURE_RUNS,
	CAPTURE_ENDED,  /* for good */
};

struct capture {
	const struct target *target;
	enum capture_state state;
	enum dialect dialect;
	struct command command;
	bool command_ended, stream_ended;
	bool has_begun;       /* in any of its starts */
	uint32_t ending;      /* enum ending */
	unsigned int failures; /* one after the other */
	int64_t not_before_ms;
	int64_t started_ms;
	int64_t ended_ms;     /* when the first of command and stream ended; 0: neither */
	int64_t next_kill_ms; /* 0: there is nothing to be ended */
	int next_signal;      /* then */
	char failure[160];    /* why it never began */
};

struct desk {
	const struct collect_options *options;
	const struct targets *targets;
	struct capture *captures; /* as many as there are targets */
	struct files *files;
	struct signals signals;
	struct signals_seen seen;
	int control;       /* to the merger; -1: it is gone */
	int64_t stop_ms;   /* when they were asked to end; 0: they were not */
	int64_t deadline_ms; /* of -duration; 0: none */
	bool urgent;
	bool failed;       /* the output */
	bool finished;     /* the merger was told that there will be no more */
};

/* Runs all captures to their end. Returns 0, or -1 if the output failed. */
int desk_run(struct desk *desk);
