/* desk: starts the commands; what streams hold is never looked at here. */
/* One capture: its command, in which words it is asked for, and how it is ended or started again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/wire.h"
#include "command.h"
#include "flags.h"
#include "remote.h"
#include "targets.h"

enum capture_state {
	CAPTURE_WAITS,  /* to be started, not before not_before_ms */
	CAPTURE_STARTS, /* nothing has come of it yet */
	CAPTURE_RUNS,
	CAPTURE_ENDED,  /* for good */
};

struct capture {
	const struct target *target;
	char name[WIRE_STREAM_SIZE];
	enum capture_state state;
	enum dialect dialect;
	struct command command;
	bool command_ended, stream_ended;
	bool has_begun;       /* in any of its starts */
	uint32_t ending;      /* enum ending */
	unsigned int failures; /* one after the other */
	int64_t not_before_ms;
	int64_t started_ms;
	int64_t silence_ms;   /* when it is told that nothing has come; 0: never, or something has */
	int64_t ended_ms;     /* when the first of command and stream ended; 0: neither */
	int64_t next_kill_ms; /* 0: there is nothing to be ended */
	int next_signal;      /* then */
};

/* To be started. */
void capture_open(struct capture *capture, const struct target *target, const struct collect_options *options);

/*
 * Starts its command, whose out and err are the caller's to close. Returns 0, or -1 after an ERROR line: then it has
 * ended.
 */
int capture_start(struct capture *capture, const struct collect_options *options);

/* Others may have to wait for it: nothing has come of it, and it was started not long ago. */
bool capture_is_starting(const struct capture *capture, int64_t now_ms);

/* What is told of its stream. ending: enum ending. */
void capture_stream_began(struct capture *capture);
void capture_stream_ended(struct capture *capture, uint32_t ending);

/* Looks whether its command has ended. */
void capture_look(struct capture *capture);

/* If its command and its stream have ended: ends it, or has it started again, and returns true. */
bool capture_conclude(struct capture *capture, const struct collect_options *options, bool is_stopping);

/* Ends its stdin; what does not end with it gets a signal at once, what stays gets others later. */
void capture_ask_to_end(struct capture *capture, const struct collect_options *options, int64_t now_ms);

/* Tells once of one that nothing comes of. */
void capture_look_at_silence(struct capture *capture, int64_t now_ms);

/* Sends the signal that is due. Returns true if whatever keeps its stdout open now is not its command. */
bool capture_press(struct capture *capture, int64_t now_ms);

/* Without any wait. */
void capture_kill(const struct capture *capture);
