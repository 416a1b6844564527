/* merge: inside the sandbox; here is what the remote machines sent. */
/* The process that reads all streams and writes one file. */
#include "merger.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tally.h"

#define GRAINS_IN_WINDOW 32
#define TEXT_GRACE_MS 1000 /* between the end of stdout and that of stderr, which somebody else may hold open */
#define PATIENCE_MS 2000   /* at the end, with a reader of the output who takes nothing */
#define LOOK_MS 50         /* at what nothing tells of, at the end */
#define WATCHED_BEFORE 2   /* control and output */
#define LITTLE (16u << 10)           /* bytes of a stream that wait: soon they are used up */
#define READ_IN_ALL (2u << 20)       /* bytes: what is read at once from all streams fits into a cache */
#define READ_LEAST (16u << 10)
#define READ_MOST (128u << 10)
#define EMITTED_AT_ONCE 4096 /* packets, before others are read from */

static void report(const struct merger *merger, enum report_kind kind, size_t stream, enum ending ending)
{
	const struct report message = { (uint32_t)kind, (uint32_t)stream, (uint32_t)ending };

	if (merger->control < 0) /* the sandbox knows no other descriptor */
		return;
	(void)wire_send_report(merger->control, &message); /* whoever is gone is seen when orders are read */
}

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
		report(merger, REPORT_READER_GONE, 0, ENDING_COUNT);
		end_output(merger);
	} else if (result == SINK_FAILED) {
		log_record(LOG_ERROR, "cannot write the output",
			   LOG_FIELDS(LOG_TEXT("error", strerror(merger->sink.error))));
		if (!sink_give_up(&merger->sink))
			log_record(LOG_WARN, "the output ends in the middle of a block", LOG_NO_FIELDS);
		report(merger, REPORT_FAILED, 0, ENDING_COUNT);
		merger->output_failed = true;
		end_output(merger);
	}
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
	report(merger, REPORT_FILE_WANTED, 0, ENDING_COUNT);
}

static void write_out(struct merger *merger)
{
	enum sink_result result;

	if (merger->file_is_wanted)
		return;
	result = sink_write(&merger->sink);
	if (result == SINK_OK)
		merger->stalled_ms = 0;
	else if (merger->stalled_ms == 0)
		merger->stalled_ms = clock_ms();
	judge_output(merger, result);
	change_file(merger);
}

/* Blocks can be put now: whatever is full is written first. */
static bool has_room(struct merger *merger)
{
	if (sink_is_batch(&merger->sink))
		write_out(merger);
	return sink_has_room(&merger->sink) && !merger->file_is_due;
}

/* Each file is whole by itself. */
static void begin_file(struct merger *merger)
{
	merger->file_began_ms = clock_ms();
	merger->file_is_due = merger->file_is_wanted = false;
	merger->file_packets = 0;
	catalog_put_section(&merger->catalog, &merger->sink);
	for (size_t i = 0; i < merger->catalog.count; i++) {
		catalog_put_interface(&merger->catalog, i, &merger->sink);
		if (sink_is_batch(&merger->sink))
			write_out(merger);
	}
	for (size_t i = 0; i < merger->catalog.name_count; i++) {
		catalog_put_name(&merger->catalog, i, &merger->sink);
		if (sink_is_batch(&merger->sink))
			write_out(merger);
	}
}

/* After something of the stream was taken or came: another packet of it may wait now. */
static bool advance(struct merger *merger, size_t index)
{
	struct stream *stream = &merger->streams[index];
	const bool began = stream->began;
	bool waits;

	if (!has_room(merger)) {
		stream->looked = false;
		return false;
	}
	waits = stream_advance(stream, &merger->catalog, &merger->sink);
	if (stream->began && !began) {
		remote_text_release(&stream->text, stream->facts.name, clock_ms());
		merge_set_lives(&merger->merge, index, stream->out >= 0);
		report(merger, REPORT_BEGAN, index, ENDING_COUNT);
	}
	if (stream->out < 0 && merger->merge.streams[index].lives) /* from now on it holds nothing back */
		merge_set_lives(&merger->merge, index, false);
	merge_watermark(&merger->merge, index, stream->watermark);
	return waits;
}

static void note_lag(struct stream *stream)
{
	const int64_t lag = (int64_t)(clock_wall() - stream->queue.reader.packet.time);

	if (lag < stream->least_lag_ns)
		stream->least_lag_ns = lag;
}

static void look(struct merger *merger, size_t index)
{
	struct stream *stream = &merger->streams[index];

	if (merger->merge.streams[index].waits) {
		queue_look(&stream->queue); /* it may have been moved */
	} else if (advance(merger, index)) {
		note_lag(stream);
		merge_push(&merger->merge, index, stream->queue.reader.packet.time, queue_arrived_ms(&stream->queue));
	}
	merge_set_full(&merger->merge, index, !queue_wants(&stream->queue));
}

static void close_output(struct merger *merger)
{
	merger->closed = true;
	report(merger, REPORT_ENOUGH, 0, ENDING_COUNT);
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
	return merger->file_packets > 0 && merger->options->rotate_size > 0 &&
	       merger->sink.file_bytes + length > merger->options->rotate_size;
}

/* Returns false if it is not to be written to this file. */
static bool is_writable(struct merger *merger, size_t length)
{
	if (is_file_full(merger, length)) {
		merger->file_is_due = true;
		write_out(merger);
		return false;
	}
	if (would_be_too_much(merger, length))
		close_output(merger);
	return true;
}

static void put_packet(struct merger *merger, struct stream *stream)
{
	const struct reader_packet *packet = &stream->queue.reader.packet;
	const struct format *format = &merger->catalog.formats[stream->numbers[packet->interface]];
	uint8_t *begin = sink_at(&merger->sink), *at = begin;

	at += pcapng_packet_head(format, at, packet->time, packet->captured, packet->original);
	memcpy(at, packet->data, packet->captured);
	at += packet->captured;
	at += pcapng_record_tail(at, packet->captured);
	sink_commit(&merger->sink, (size_t)(at - begin));
	merger->file_packets++;
	stream->packets++;
	stream->attempt_packets++;
	stream->bytes += packet->captured;
	if (packet->time > stream->watermark)
		stream->watermark = packet->time;
	if (++merger->packets == merger->options->count)
		close_output(merger);
}

/* The first packet of all goes out. Returns false if it cannot now. */
static bool emit(struct merger *merger, size_t index)
{
	struct stream *stream = &merger->streams[index];
	uint64_t late;

	if (!merger->closed && !is_writable(merger, pcapng_record_length(stream->queue.reader.packet.captured)))
		return false;
	if (!merger->closed)
		put_packet(merger, stream);
	queue_take(&stream->queue);
	if (advance(merger, index))
		late = merge_replace(&merger->merge, stream->queue.reader.packet.time, queue_arrived_ms(&stream->queue));
	else
		late = merge_pop(&merger->merge);
	if (merger->merge.streams[index].full)
		merge_set_full(&merger->merge, index, !queue_wants(&stream->queue));
	if (late > 0 && !merger->closed)
		tally_late(stream, late);
	return true;
}

/* Returns whether more could go out at once. */
static bool emit_all(struct merger *merger)
{
	const int64_t now = clock_ms();
	size_t index;

	for (int i = 0; i < EMITTED_AT_ONCE; i++) {
		if (!has_room(merger) || (index = merge_first(&merger->merge, now, merger->all_read)) == MERGE_NONE || !emit(merger, index))
			return false;
	}
	return true;
}

/* How a stream ended is told when nothing of it is left, and its messages have come. */
static void end_streams(struct merger *merger)
{
	const int64_t now = clock_ms();

	for (size_t i = 0; i < merger->options->streams; i++) {
		struct stream *stream = &merger->streams[i];
		if (stream->ended_ms == 0 || stream->told)
			continue;
		if (merger->merge.streams[i].waits || !stream->looked || !has_room(merger) ||
		    (stream->err >= 0 && now - stream->ended_ms < TEXT_GRACE_MS))
			continue;
		stream_finish(stream, &merger->catalog, &merger->sink);
		remote_text_release(&stream->text, stream->facts.name, now);
		stream->told = true;
		report(merger, REPORT_ENDED, i, stream->ending);
	}
}

static void begin_stream(struct merger *merger, const struct order *order, const int fds[WIRE_FDS_MOST])
{
	struct stream *stream = &merger->streams[order->stream];

	stream_start(stream, order, fds[0], fds[1]);
	/* A file that is yet to begin begins with all names. */
	if (order->address_length > 0 &&
	    catalog_add_name(&merger->catalog, order->address, order->address_length, order->name) && !merger->file_is_due)
		catalog_put_name(&merger->catalog, merger->catalog.name_count - 1, &merger->sink);
}

static void take_file(struct merger *merger, int fd)
{
	if (fd < 0) {
		merger->output_failed = true;
		merger->file_is_wanted = false;
		end_output(merger);
		return;
	}
	sink_begin_file(&merger->sink, fd);
	begin_file(merger);
}

static void close_streams(struct merger *merger)
{
	for (size_t i = 0; i < merger->options->streams; i++)
		if (merger->streams[i].out >= 0)
			stream_close(&merger->streams[i]);
}

static void take_order(struct merger *merger)
{
	int fds[WIRE_FDS_MOST];
	struct order order = { 0 };

	if (wire_receive_order(merger->control, &order, fds) != 1) {
		merger->finishing = true; /* whoever started the commands is gone */
		merger->control = -1;
		for (size_t i = 0; i < merger->options->streams; i++)
			stream_close(&merger->streams[i]);
		return;
	}
	switch (order.kind) {
	case ORDER_STREAM:
		begin_stream(merger, &order, fds);
		break;
	case ORDER_FILE:
		take_file(merger, fds[0]);
		break;
	case ORDER_GONE:
		merger->streams[order.stream].command_is_gone = true;
		break;
	case ORDER_STOP:
		merger->stopping = true;
		break;
	default:
		merger->finishing = true; /* before their end, if the user does not want to wait for it */
		close_streams(merger);
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
	if (merger->options->rotate_every > 0 && !merger->stopping) {
		const int64_t left = merger->file_began_ms + (int64_t)(merger->options->rotate_every / 1000000) - now;
		timeout = clock_sooner(timeout, left > 0 ? (int)(left < 60000 ? left : 60000) : 0);
	}
	for (size_t i = 0; i < merger->options->streams; i++)
		if ((merger->streams[i].ended_ms != 0 || merger->streams[i].command_is_gone) && !merger->streams[i].told)
			timeout = clock_sooner(timeout, LOOK_MS);
	if (merger->finishing)
		timeout = clock_sooner(timeout, LOOK_MS);
	return timeout;
}

/* Those that run out of packets hold the others back: they are read first, and the rest while nothing else can be done. */
static int wait_for_something(struct merger *merger, bool more)
{
	const nfds_t count = (nfds_t)(WATCHED_BEFORE + 2 * merger->options->streams);
	int answered;

	watch(merger, false);
	answered = poll(merger->watched, count, 0);
	if (answered != 0 || more)
		return answered;
	if (!merger->all_read) {
		merger->all_read = true; /* what is due goes out now, before anything is waited for */
		return 0;
	}
	watch(merger, true);
	return poll(merger->watched, count, next_timeout(merger, clock_ms()));
}

static bool is_answered(const struct pollfd *watched)
{
	return watched->fd >= 0 && watched->revents != 0;
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
			look(merger, i); /* even if nothing came: making room has moved the packet that waits */
		}
	}
}

/* Those that could not be looked at while the output took nothing. */
static void look_again(struct merger *merger)
{
	for (size_t i = 0; i < merger->options->streams; i++)
		if (!merger->streams[i].looked && !merger->merge.streams[i].waits)
			look(merger, i);
}

/* A pipe's reader that went away shows without a write. */
static void look_at_reader(struct merger *merger)
{
	if (is_answered(&merger->watched[1]) && (merger->watched[1].revents & POLLERR) != 0)
		judge_output(merger, SINK_READER_GONE);
}

static bool is_file_old(const struct merger *merger, int64_t now_ms)
{
	return merger->options->rotate_every > 0 && !merger->stopping && !merger->file_is_due &&
	       now_ms - merger->file_began_ms >= (int64_t)(merger->options->rotate_every / 1000000);
}

/* All that came is written, or the reader of the output takes nothing any more. */
static bool is_over(struct merger *merger, int64_t now_ms)
{
	if (!merger->finishing)
		return false;
	for (size_t i = 0; i < merger->options->streams; i++)
		if (merger->streams[i].ended_ms != 0 && !merger->streams[i].told)
			return merger->stalled_ms != 0 && now_ms - merger->stalled_ms >= PATIENCE_MS;
	return sink_is_written(&merger->sink) || (merger->stalled_ms != 0 && now_ms - merger->stalled_ms >= PATIENCE_MS);
}

static void turn(struct merger *merger)
{
	const int64_t now = clock_ms();
	bool more;

	look_again(merger);
	more = emit_all(merger);
	end_streams(merger);
	if (is_file_old(merger, now))
		merger->file_is_due = true;
	write_out(merger);
	tally_progress(merger, now);
	if (wait_for_something(merger, more) < 0)
		return;
	look_at_reader(merger);
	if (is_answered(&merger->watched[0]))
		take_order(merger);
	read_streams(merger);
}

static size_t read_at_once(size_t streams)
{
	const size_t bytes = READ_IN_ALL / streams;

	return bytes < READ_LEAST ? READ_LEAST : bytes > READ_MOST ? READ_MOST : bytes;
}

static int open_all(struct merger *merger, int output)
{
	const struct merger_options *options = merger->options;
	const size_t share = (size_t)((options->memory - MERGER_MEMORY_OWN) / options->streams);
	const int64_t window_ms = (int64_t)(options->window / 1000000);

	merger->streams = calloc(options->streams, sizeof *merger->streams);
	merger->watched = calloc(WATCHED_BEFORE + 2 * options->streams, sizeof *merger->watched);
	if (merger->streams == NULL || merger->watched == NULL ||
	    merge_open(&merger->merge, options->streams, window_ms) != 0 || sink_open(&merger->sink, output) != 0 ||
	    catalog_open(&merger->catalog, options->streams, options->system, options->application) != 0)
		return -1;
	for (size_t i = 0; i < options->streams; i++)
		if (stream_open(&merger->streams[i], share, read_at_once(options->streams), window_ms / GRAINS_IN_WINDOW) != 0)
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
	catalog_close(&merger->catalog);
}

/* What the reader of the output does not take is left out. */
static void leave_output(struct merger *merger)
{
	if (sink_is_written(&merger->sink))
		return;
	log_record(LOG_WARN, "the reader of the output takes nothing, packets were left unwritten", LOG_NO_FIELDS);
	merger->output_failed = true;
	if (!sink_give_up(&merger->sink))
		log_record(LOG_WARN, "the output ends in the middle of a block", LOG_NO_FIELDS);
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
	begin_file(&merger);
	while (!is_over(&merger, clock_ms()))
		turn(&merger);
	leave_output(&merger);
	if (merger.sink.fd >= 0)
		judge_output(&merger, sink_end_file(&merger.sink));
	whole = tally_summary(&merger);
	close_all(&merger);
	return merger.output_failed ? MERGER_FAILED : whole ? MERGER_WHOLE : MERGER_NOT_WHOLE;
}
