/* merge: inside the sandbox; here is what the remote machines sent. */
/* The files that are written, one after the other. */
#include "output.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "collector/wire.h"

#define TIMEOUT_MOST_MS 60000

/* Nothing goes out any more. */
static void end_output(struct merger *merger)
{
	merger->closed = true;
	merger->file_is_due = false;
	sink_discard(&merger->sink);
}

static void judge_output(struct merger *merger, enum sink_result result)
{
	if (result == SINK_READER_GONE) {
		log_record(LOG_INFO, "the reader of the output is gone, stopping", LOG_NO_FIELDS);
		reports_put(&merger->reports, REPORT_READER_GONE, 0, ENDING_COUNT);
		end_output(merger);
	} else if (result == SINK_FAILED) {
		log_record(LOG_ERROR, "cannot write the output",
			   LOG_FIELDS(LOG_TEXT("error", strerror(merger->sink.error))));
		if (!sink_give_up(&merger->sink))
			log_record(LOG_WARN, "the output ends in the middle of a block", LOG_NO_FIELDS);
		reports_put(&merger->reports, REPORT_FAILED, 0, ENDING_COUNT);
		merger->output_failed = true;
		end_output(merger);
	}
}

void output_reader_is_gone(struct merger *merger)
{
	judge_output(merger, SINK_READER_GONE);
}

/* The file is written and its time has come. */
static void change_file(struct merger *merger)
{
	if (!merger->file_is_due || merger->file_is_wanted || !sink_is_written(&merger->sink))
		return;
	judge_output(merger, sink_end_file(&merger->sink));
	if (merger->sink.discards)
		return;
	merger->file_is_wanted = true;
	reports_put(&merger->reports, REPORT_FILE_WANTED, 0, ENDING_COUNT);
}

void output_write(struct merger *merger)
{
	const size_t done = merger->sink.done;
	enum sink_result result;

	if (merger->file_is_wanted)
		return;
	result = sink_write(&merger->sink);
	if (result == SINK_OK)
		merger->stalled_ms = 0;
	else if (merger->stalled_ms == 0 || merger->sink.done > done)
		merger->stalled_ms = clock_ms();
	judge_output(merger, result);
	change_file(merger);
}

bool output_has_room(struct merger *merger)
{
	if (sink_is_batch(&merger->sink))
		output_write(merger);
	return sink_has_room(&merger->sink) && !merger->file_is_due;
}

void output_begin_file(struct merger *merger)
{
	merger->file_began_ms = clock_ms();
	merger->file_is_due = merger->file_is_wanted = false;
	merger->file_packets = 0;
	catalog_put_section(&merger->catalog, &merger->sink);
	for (size_t i = 0; i < merger->catalog.count; i++) {
		catalog_put_interface(&merger->catalog, i, &merger->sink);
		if (sink_is_batch(&merger->sink))
			output_write(merger);
	}
	for (size_t i = 0; i < merger->catalog.name_count; i++) {
		catalog_put_name(&merger->catalog, i, &merger->sink);
		if (sink_is_batch(&merger->sink))
			output_write(merger);
	}
}

void output_take_file(struct merger *merger, int fd)
{
	if (fd < 0) {
		merger->output_failed = true;
		merger->file_is_wanted = false;
		end_output(merger);
		return;
	}
	sink_begin_file(&merger->sink, fd);
	output_begin_file(merger);
}

void output_keep_file(struct merger *merger)
{
	merger->file_is_due = false;
	if (!merger->file_is_wanted)
		return;
	log_record(LOG_ERROR, "the next file was never opened, packets were left unwritten", LOG_NO_FIELDS);
	output_take_file(merger, -1);
}

void output_close(struct merger *merger)
{
	merger->closed = true;
	reports_put(&merger->reports, REPORT_ENOUGH, 0, ENDING_COUNT);
}

/* Room for how each interface ends is left. */
static bool would_be_too_much(const struct merger *merger, size_t length)
{
	const uint64_t reserve = merger->catalog.count * (uint64_t)FORMAT_TRAILER_SIZE;

	return merger->options->max_size > 0 &&
	       merger->sink.total_bytes + length + reserve > merger->options->max_size;
}

static bool is_file_full(const struct merger *merger, size_t length)
{
	return merger->file_packets > 0 && merger->options->rotate_size > 0 && merger->control >= 0 &&
	       merger->sink.file_bytes + length > merger->options->rotate_size;
}

bool output_takes(struct merger *merger, size_t length)
{
	if (is_file_full(merger, length)) {
		merger->file_is_due = true;
		output_write(merger);
		return false;
	}
	if (would_be_too_much(merger, length))
		output_close(merger);
	return true;
}

/* Of this file. */
static int64_t time_left(const struct merger *merger, int64_t now_ms)
{
	return merger->file_began_ms + (int64_t)(merger->options->rotate_every / 1000000) - now_ms;
}

static bool ends_by_time(const struct merger *merger)
{
	return merger->options->rotate_every > 0 && !merger->stopping && merger->control >= 0;
}

void output_look_at_time(struct merger *merger, int64_t now_ms)
{
	if (ends_by_time(merger) && time_left(merger, now_ms) <= 0)
		merger->file_is_due = true;
}

int output_timeout(const struct merger *merger, int64_t now_ms)
{
	const int64_t left = time_left(merger, now_ms);

	return !ends_by_time(merger) ? -1 : left <= 0 ? 0 : left < TIMEOUT_MOST_MS ? (int)left : TIMEOUT_MOST_MS;
}

/* What the reader of the output does not take is left out. */
static void leave_output(struct merger *merger)
{
	if (sink_is_written(&merger->sink))
		return;
	log_record(LOG_WARN, "the reader of the output does not read, packets were not written", LOG_NO_FIELDS);
	merger->output_failed = true;
	if (!sink_give_up(&merger->sink))
		log_record(LOG_WARN, "the output ends in the middle of a block", LOG_NO_FIELDS);
}

void output_end(struct merger *merger)
{
	leave_output(merger);
	if (merger->sink.fd >= 0)
		judge_output(merger, sink_end_file(&merger->sink));
}
