/* merge: inside the sandbox; here is what the remote machines sent. */
/* What the user is told of the streams. */
#include "tally.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define PROGRESS_MS 500

static void count_all(const struct merger *merger, size_t *living, uint64_t *dropped, uint64_t *late)
{
	*living = 0;
	*dropped = *late = 0;
	for (size_t i = 0; i < merger->options->streams; i++) {
		*living += merger->merge.streams[i].lives;
		*dropped += merger->streams[i].dropped;
		*late += merger->streams[i].late;
	}
}

void tally_progress(struct merger *merger, int64_t now_ms)
{
	const int64_t passed = now_ms - merger->told_ms;
	uint64_t dropped, late;
	size_t living;
	char line[128];

	if (!merger->options->shows_progress || passed < PROGRESS_MS)
		return;
	count_all(merger, &living, &dropped, &late);
	snprintf(line, sizeof line, "streams %zu/%zu  packets %llu  %llu/s  dropped %llu  late %llu", living,
		 merger->options->streams, (unsigned long long)merger->packets,
		 (unsigned long long)((merger->packets - merger->told_packets) * 1000 / (uint64_t)passed),
		 (unsigned long long)dropped, (unsigned long long)late);
	log_progress(line);
	merger->told_ms = now_ms;
	merger->told_packets = merger->packets;
}

int tally_timeout(const struct merger *merger, int64_t now_ms)
{
	const int64_t left = merger->told_ms + PROGRESS_MS - now_ms;

	return !merger->options->shows_progress ? -1 : left > 0 ? (int)left : 0;
}

void tally_late(struct stream *stream, uint64_t nanoseconds)
{
	if (stream->late++ == 0)
		log_record(LOG_WARN, "a packet came too late for its place in time order, others may too",
			   LOG_FIELDS(LOG_TEXT("stream", stream->name),
				      LOG_NUMBER("late-ms", nanoseconds / 1000000)));
	if (nanoseconds > stream->latest_ns)
		stream->latest_ns = nanoseconds;
}

void tally_ahead(struct stream *stream, uint64_t nanoseconds)
{
	if (stream->ahead++ == 0)
		log_record(LOG_WARN, "a clock is far ahead, its packets stand before older ones of others",
			   LOG_FIELDS(LOG_TEXT("stream", stream->name),
				      LOG_NUMBER("ahead-ms", nanoseconds / 1000000)));
}

/* "-3ms": a clock before ours. */
static void write_lag(char *text, size_t size, int64_t lag_ns)
{
	if (lag_ns == INT64_MAX)
		snprintf(text, size, "unknown");
	else
		snprintf(text, size, "%lldms", (long long)(lag_ns / 1000000));
}

static bool is_whole(const struct merger *merger, const struct stream *stream)
{
	return stream->told && !stream->was_broken && stream->ending == ENDING_WHOLE && !merger->output_failed;
}

static const char *whole(const struct merger *merger, const struct stream *stream)
{
	return is_whole(merger, stream) ? "yes" : stream->told && stream->ending == ENDING_UNKNOWN ? "unknown" : "no";
}

static const char *reason_of(const struct merger *merger, const struct stream *stream)
{
	return is_whole(merger, stream)	  ? "-" :
	       stream->why[0] != '\0'	  ? stream->why :
	       merger->output_failed	  ? "the output failed" :
	       stream->told		  ? stream->text.last :
					    "what came last was not written";
}

static void tell_stream(const struct merger *merger, size_t index)
{
	const struct stream *stream = &merger->streams[index];
	char lag[32];

	write_lag(lag, sizeof lag, merger->merge.streams[index].least_lag_ns);
	log_record(is_whole(merger, stream) ? LOG_INFO : LOG_WARN, "stream ended",
		   LOG_FIELDS(LOG_TEXT("stream", stream->name), LOG_NUMBER("packets", stream->packets),
			      LOG_NUMBER("bytes", stream->bytes), LOG_NUMBER("dropped", stream->dropped),
			      LOG_NUMBER("late", stream->late), LOG_NUMBER("late-ms", stream->latest_ns / 1000000),
			      LOG_NUMBER("ahead", stream->ahead), LOG_TEXT("lag", lag), LOG_NUMBER("cut", stream->cut),
			      LOG_NUMBER("messages-left-out", stream->text.left_out),
			      LOG_TEXT("whole", whole(merger, stream)), LOG_TEXT("reason", reason_of(merger, stream))));
}

/* For whoever is shown only errors. That nobody reads any more is none. */
static void tell_failure(const struct merger *merger, struct stream *stream)
{
	if (!merger->options->tells_failures || merger->closed || stream->failure_is_told)
		return;
	stream->failure_is_told = true;
	log_record(LOG_ERROR, stream->packets > 0 || stream->was_broken ? "a capture is not whole" : "cannot capture",
		   LOG_FIELDS(LOG_TEXT("stream", stream->name), LOG_TEXT("reason", reason_of(merger, stream))));
}

void tally_early_end(const struct merger *merger, struct stream *stream, bool is_started_again)
{
	log_record(is_whole(merger, stream) ? LOG_INFO : LOG_WARN,
		   is_started_again ? "a capture ended, it is started again" : "a capture ended, the others go on",
		   LOG_FIELDS(LOG_TEXT("stream", stream->name), LOG_NUMBER("packets", stream->packets),
			      LOG_TEXT("whole", whole(merger, stream)), LOG_TEXT("reason", reason_of(merger, stream))));
	if (!is_started_again && !is_whole(merger, stream))
		tell_failure(merger, stream);
}

/* Clocks are never corrected: who reads the file is to know. */
static void tell_of_clocks(const struct merger *merger)
{
	int64_t least = INT64_MAX, most = INT64_MIN;

	for (size_t i = 0; i < merger->options->streams; i++) {
		const int64_t lag = merger->merge.streams[i].least_lag_ns;
		if (lag == INT64_MAX)
			continue;
		least = lag < least ? lag : least;
		most = lag > most ? lag : most;
	}
	if (most > least && (uint64_t)most - (uint64_t)least > merger->options->window)
		log_record(LOG_WARN, "delays or clocks of the streams differ by more than the window, see -window",
			   LOG_FIELDS(LOG_NUMBER("differ-ms", ((uint64_t)most - (uint64_t)least) / 1000000)));
}

bool tally_summary(struct merger *merger)
{
	uint64_t dropped, late;
	size_t living;
	bool all_whole = true;

	log_progress("");
	count_all(merger, &living, &dropped, &late);
	for (size_t i = 0; i < merger->options->streams; i++) {
		struct stream *stream = &merger->streams[i];
		all_whole &= is_whole(merger, stream) && stream->name[0] != '\0';
		if (stream->name[0] == '\0') /* never started: told by who starts */
			continue;
		tell_stream(merger, i);
		if (!is_whole(merger, stream))
			tell_failure(merger, stream);
	}
	tell_of_clocks(merger);
	log_record(all_whole ? LOG_INFO : LOG_WARN, "stopped collecting",
		   LOG_FIELDS(LOG_NUMBER("streams", merger->options->streams), LOG_NUMBER("packets", merger->packets),
			      LOG_NUMBER("bytes", merger->sink.total_bytes), LOG_NUMBER("files", merger->sink.files),
			      LOG_NUMBER("dropped", dropped), LOG_NUMBER("late", late),
			      LOG_TEXT("whole", all_whole ? "yes" : "no")));
	return all_whole;
}
