/* merge: inside the sandbox; here is what the remote machines sent. */
/* What the user is told of the streams: a line while they run, and the summary. */
#pragma once

#include "merger.h"

/* Redraws the progress line, if it is time. */
void tally_progress(struct merger *merger, int64_t now_ms);

/* Milliseconds until then; -1: there is none. */
int tally_timeout(const struct merger *merger, int64_t now_ms);

/* A packet of this stream was too late by so much: told once. */
void tally_late(struct stream *stream, uint64_t nanoseconds);

/* A packet of this stream stands before older ones of others, by so much: told once. */
void tally_ahead(struct stream *stream, uint64_t nanoseconds);

/* One ended before the stop. */
void tally_early_end(const struct merger *merger, struct stream *stream, bool is_started_again);

/* A line for each stream, and one for all. Returns whether all were whole. */
bool tally_summary(struct merger *merger);
