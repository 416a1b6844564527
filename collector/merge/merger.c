/* merge: inside the sandbox; here is what the remote machines sent. */
/* The process that reads all streams and writes one file. */
#include "merger.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow.h"
#include "output.h"
#include "tally.h"

#define GRAINS_IN_WINDOW 32
#define PATIENCE_MS 2000       /* at the end, with a reader of the output who takes nothing */
#define LOOK_MS 50             /* at what nothing tells of, at the end */
#define WATCHED_BEFORE 2       /* control and output */
#define LITTLE (16u << 10)     /* bytes of a stream that wait: soon they are used up */
#define OWN_BYTES (SINK_BYTES + (1u << 20))

static void begin_stream(struct merger *merger, const struct order *order, const int fds[WIRE_FDS_MOST])
{
	struct stream *stream = &merger->streams[order->stream];

	stream_start(stream, order, fds[0], fds[1]);
	/* A file that is yet to begin begins with all names. */
	if (order->address_length > 0 &&
	    catalog_add_name(&merger->catalog, order->address, order->address_length, order->name) && !merger->file_is_due)
		catalog_put_name(&merger->catalog, merger->catalog.name_count - 1, &merger->sink);
}

/* None holds the others back any more. */
static void close_streams(struct merger *merger)
{
	for (size_t i = 0; i < merger->options->streams; i++) {
		if (merger->streams[i].out >= 0)
			stream_close(&merger->streams[i]);
		merge_set_lives(&merger->merge, i, false);
	}
}

/* Before their end, if the user does not want to wait for it. */
static void finish(struct merger *merger)
{
	merger->finishing = true;
	close_streams(merger);
}

static void take_order(struct merger *merger)
{
	int fds[WIRE_FDS_MOST];
	struct order order = { 0 };

	if (wire_receive_order(merger->control, &order, fds) != 1) {
		merger->control = -1; /* whoever started the commands is gone */
		output_keep_file(merger);
		finish(merger);
		return;
	}
	switch (order.kind) {
	case ORDER_STREAM:
		begin_stream(merger, &order, fds);
		break;
	case ORDER_FILE:
		output_take_file(merger, fds[0]);
		break;
	case ORDER_GONE:
		merger->streams[order.stream].command_is_gone = true;
		break;
	case ORDER_AGAIN:
	case ORDER_LOST:
		tally_early_end(merger, &merger->streams[order.stream], order.kind == ORDER_AGAIN);
		break;
	case ORDER_STOP:
		merger->stopping = true;
		break;
	case ORDER_HURRY:
		merger->hurry_ms = clock_ms();
		finish(merger);
		break;
	default:
		finish(merger);
	}
}

/* A stream whose memory is full is not read: its own kernel counts what it drops. */
static bool is_to_be_read(const struct stream *stream, bool all)
{
	return queue_wants(&stream->queue) && (all || queue_length(&stream->queue) < LITTLE);
}

/* all: also those of which enough waits. */
static void watch(struct merger *merger, bool all)
{
	struct pollfd *watched = merger->watched;
	const bool blocked = merger->stalled_ms != 0;

	watched[0] = (struct pollfd){ .fd = merger->control, .events = POLLIN };
	if (reports_wait(&merger->reports))
		watched[0].events |= POLLOUT;
	watched[1] = (struct pollfd){ .fd = merger->sink.fd, .events = blocked ? POLLOUT : 0 };
	for (size_t i = 0; i < merger->options->streams; i++) {
		const struct stream *stream = &merger->streams[i];
		watched[WATCHED_BEFORE + 2 * i] =
			(struct pollfd){ .fd = is_to_be_read(stream, all) ? stream->out : -1, .events = POLLIN };
		watched[WATCHED_BEFORE + 2 * i + 1] = (struct pollfd){ .fd = stream->err, .events = POLLIN };
	}
}

static int next_timeout(const struct merger *merger, int64_t now)
{
	int timeout = tally_timeout(merger, now);

	if (merger->stalled_ms == 0)
		timeout = clock_sooner(timeout, merge_timeout(&merger->merge, now));
	timeout = clock_sooner(timeout, output_timeout(merger, now));
	for (size_t i = 0; i < merger->options->streams; i++)
		if ((merger->streams[i].ended_ms != 0 || merger->streams[i].command_is_gone) && !merger->streams[i].told)
			timeout = clock_sooner(timeout, LOOK_MS);
	if (merger->finishing)
		timeout = clock_sooner(timeout, LOOK_MS);
	return timeout;
}

static bool is_answered(const struct pollfd *watched)
{
	return watched->fd >= 0 && watched->revents != 0;
}

/* Messages are no reason to let packets wait. */
static bool is_more_than_messages(const struct merger *merger)
{
	for (size_t i = 0; i < merger->options->streams; i++)
		if (is_answered(&merger->watched[WATCHED_BEFORE + 2 * i]))
			return true;
	return is_answered(&merger->watched[0]) || is_answered(&merger->watched[1]);
}

/* Those that run out of packets hold the others back: they are read first, and the rest while nothing else can be done. */
static int wait_for_something(struct merger *merger, bool more)
{
	const nfds_t count = (nfds_t)(WATCHED_BEFORE + 2 * merger->options->streams);
	int answered;

	watch(merger, false);
	answered = poll(merger->watched, count, 0);
	if (answered < 0 || more || is_more_than_messages(merger))
		return answered;
	if (!merger->all_read) {
		merger->all_read = true; /* what is due goes out now, before anything is waited for */
		return answered;
	}
	watch(merger, true);
	return poll(merger->watched, count, next_timeout(merger, clock_ms()));
}

static void read_streams(struct merger *merger)
{
	const int64_t now = clock_ms();

	for (size_t i = 0; i < merger->options->streams; i++) {
		const struct pollfd *watched = &merger->watched[WATCHED_BEFORE + 2 * i];
		if (is_answered(watched + 1))
			stream_receive_text(&merger->streams[i], now);
		if (is_answered(watched) || (merger->streams[i].command_is_gone && watched->fd >= 0)) {
			merger->all_read &= !stream_receive(&merger->streams[i], now);
			flow_look(merger, i); /* even if nothing came: making room has moved the packet that waits */
		}
	}
}

/* The reader of a pipe or socket that went away shows without a write. */
static void look_at_reader(struct merger *merger)
{
	if (is_answered(&merger->watched[1]) && (merger->watched[1].revents & (POLLERR | POLLHUP)) != 0)
		output_reader_is_gone(merger);
}

static bool is_waited_for(const struct merger *merger, int64_t now_ms)
{
	return (merger->stalled_ms == 0 || now_ms - merger->stalled_ms < PATIENCE_MS) &&
	       (merger->hurry_ms == 0 || now_ms - merger->hurry_ms < PATIENCE_MS);
}

/* All that came is written, or the reader of the output takes nothing any more. */
static bool is_over(struct merger *merger, int64_t now_ms)
{
	if (!merger->finishing)
		return false;
	if (!is_waited_for(merger, now_ms))
		return true;
	for (size_t i = 0; i < merger->options->streams; i++)
		if (merger->streams[i].ended_ms != 0 && !merger->streams[i].told)
			return false;
	return sink_is_written(&merger->sink);
}

static void turn(struct merger *merger)
{
	const int64_t now = clock_ms();
	bool more;

	flow_look_again(merger);
	more = flow_emit(merger);
	flow_end_streams(merger);
	output_look_at_time(merger, now);
	output_write(merger);
	reports_send(&merger->reports, merger->control);
	tally_progress(merger, now);
	if (wait_for_something(merger, more) < 0)
		return;
	look_at_reader(merger);
	if ((merger->watched[0].revents & ~POLLOUT) != 0 && merger->watched[0].fd >= 0)
		take_order(merger);
	read_streams(merger);
}

/* What is not for the streams' packets. */
static uint64_t own_memory(size_t streams)
{
	return OWN_BYTES + catalog_bytes(streams);
}

uint64_t merger_memory_least(size_t streams)
{
	return own_memory(streams) + (uint64_t)QUEUE_LEAST * streams;
}

static int open_all(struct merger *merger, int output)
{
	const struct merger_options *options = merger->options;
	const size_t share = (size_t)((options->memory - own_memory(options->streams)) / options->streams);
	const int64_t window_ms = (int64_t)(options->window / 1000000);

	merger->streams = calloc(options->streams, sizeof *merger->streams);
	merger->watched = calloc(WATCHED_BEFORE + 2 * options->streams, sizeof *merger->watched);
	if (merger->streams == NULL || merger->watched == NULL ||
	    reports_open(&merger->reports, options->streams) != 0 ||
	    merge_open(&merger->merge, options->streams, window_ms) != 0 || sink_open(&merger->sink, output) != 0 ||
	    catalog_open(&merger->catalog, options->streams, options->system, options->application) != 0)
		return -1;
	for (size_t i = 0; i < options->streams; i++)
		if (stream_open(&merger->streams[i], share, window_ms / GRAINS_IN_WINDOW) != 0)
			return -1;
	return 0;
}

static void close_all(struct merger *merger)
{
	for (size_t i = 0; merger->streams != NULL && i < merger->options->streams; i++)
		queue_close(&merger->streams[i].queue);
	free(merger->streams);
	free(merger->watched);
	free(merger->sink.bytes);
	merge_close(&merger->merge);
	reports_close(&merger->reports);
	catalog_close(&merger->catalog);
}

enum merger_status merger_run(const struct merger_options *options, int control, int output)
{
	struct merger merger = { .options = options, .control = control };
	bool whole;

	if (open_all(&merger, output) != 0) {
		log_record(LOG_ERROR, "there is no memory for the streams, see -memory", LOG_NO_FIELDS);
		close_all(&merger);
		return MERGER_FAILED;
	}
	merger.told_ms = clock_ms();
	output_begin_file(&merger);
	while (!is_over(&merger, clock_ms()))
		turn(&merger);
	output_end(&merger);
	whole = tally_summary(&merger);
	close_all(&merger);
	return merger.output_failed ? MERGER_FAILED : whole ? MERGER_WHOLE : MERGER_NOT_WHOLE;
}
