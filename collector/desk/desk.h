/* desk: starts the commands; what streams hold is never looked at here. */
/*
 * The process that starts a command for each capture, starts it in older words where it does not know new ones, or again
 * when it broke off, and ends them all. It holds their stdin, which is how they are stopped, and nothing that they send.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture.h"
#include "files.h"
#include "flags.h"
#include "signals.h"
#include "targets.h"

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
};

/* Runs all captures to their end. Returns 0, or -1 if the output failed. */
int desk_run(struct desk *desk);
