/* base: no packets, no privilege. */
/*
 * Whether the user is still there, whom stdout says nothing about while nothing is written to it: standard
 * input ends when he goes, and then nobody reads what is written to stderr. Nothing is read, nothing waits.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* A line whose reader is gone shows it so soon. */
#define AUDIENCE_ANSWER_MS 100
/* After the end of standard input, while nothing is written to stdout: between lines that find it out. */
#define AUDIENCE_SILENCE_MS 30000
/* What standard input does so soon was so at the start. */
#define AUDIENCE_EARLY_MS 1000
#define AUDIENCE_EARLY_HINT "it ended at once: over ssh, let it come from something that stays open, not from /dev/null or -n"

struct audience {
	const char *input;  /* what is watched; NULL: what never ends, or has ended */
	bool stop_at_eof;   /* its end is a stop */
	bool ended;
	bool early;         /* it had ended as soon as it was looked at, or nearly */
	int64_t started_ms; /* as the other times clock_ms() */
	int64_t asked_ms;   /* when a line was written that may find no reader; 0: none, or it found one */
	int64_t quiet_ms;   /* since when nothing but that has happened; once it has ended */
	uint64_t written;   /* bytes to stdout, as it was then */
};

/* What there is of a capture, for a line that tells. */
struct audience_counts {
	uint64_t packets, bytes, dropped;
};

/* How many descriptors are watched for it. */
#define AUDIENCE_WATCHED 2

/* Finds out what standard input is. Before the sandbox closes. */
void audience_start(struct audience *audience, bool stop_at_eof);

/* There is something to watch, or to find out now and then. */
bool audience_is_watched(const struct audience *audience);

/* What to poll(2) for its sake; entries that are of no use now have a negative fd. */
void audience_watch(const struct audience *audience, struct pollfd watched[AUDIENCE_WATCHED]);

/* How long to wait at most before audience_is_silent() and audience_watch() are to be asked again, ms; -1: for ever. */
int audience_timeout(const struct audience *audience);

/*
 * To be told what poll(2) said of them. Logs the end of standard input, where that is not a stop; else, and when
 * nobody is there any more, asks to stop (base/stop.h).
 */
void audience_look(struct audience *audience, const struct pollfd watched[AUDIENCE_WATCHED]);

/* `written` bytes went to stdout so far. True if it is time for audience_tell(). */
bool audience_is_silent(struct audience *audience, uint64_t written);

/* Logs that the capture goes on, which finds out whether somebody reads it. */
void audience_tell(struct audience *audience, const struct audience_counts *counts);
