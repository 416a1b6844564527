/* merge: inside the sandbox; here is what the remote machines sent. */
/* One stream. */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "formats/pcapng_codes.h"

#define BIT(interface) (UINT64_C(1) << (interface)) /* of READER_INTERFACES_MOST */
#define READ_MOST (64u << 10) /* what a pipe holds; more at once would only leave the processor's cache */
#define QUOTED_MOST 160        /* bytes of something that is no capture */

int stream_open(struct stream *stream, size_t size, int64_t grain_ms)
{
	*stream = (struct stream){ .out = -1, .err = -1 };
	return queue_open(&stream->queue, size, grain_ms);
}

/* Its interfaces are numbered from 0 on, and counted anew. */
static void begin_section(struct stream *stream)
{
	stream->numbered = 0;
	stream->finals = 0;
	stream->dropped_before = stream->dropped;
	memset(stream->dropped_of, 0, sizeof stream->dropped_of);
}

void stream_start(struct stream *stream, const struct order *order, int out, int err)
{
	if (stream->err >= 0) /* somebody else has held it open since the command ended */
		close(stream->err);
	stream->out = out;
	stream->err = err;
	stream->facts = *order;
	snprintf(stream->name, sizeof stream->name, "%s %s", order->name, order->interface);
	stream->starts += stream->began; /* one that was refused does not count */
	queue_restart(&stream->queue);
	remote_text_begin(&stream->text);
	stream->unfinished = false;
	stream->attempt_packets = stream->came = 0;
	stream->began = stream->told = stream->command_is_gone = false;
	stream->looked = true;
	stream->ended_ms = 0;
	stream->watermark = 0;
	stream->broken = NULL;
	if (!stream->was_broken)
		stream->why[0] = '\0';
	begin_section(stream);
}

void stream_close(struct stream *stream)
{
	if (stream->out >= 0)
		close(stream->out);
	stream->out = -1;
	if (stream->ended_ms == 0)
		stream->ended_ms = clock_ms();
}

static void stream_break(struct stream *stream, const char *why)
{
	stream->broken = why;
	stream_close(stream);
	queue_restart(&stream->queue);
}

bool stream_receive(struct stream *stream, int64_t now_ms)
{
	size_t room;
	uint8_t *at = queue_room(&stream->queue, &room);
	const ssize_t count = read(stream->out, at, room < READ_MOST ? room : READ_MOST);

	if (count > 0) {
		queue_received(&stream->queue, (size_t)count, now_ms);
		stream->looked = false;
	} else if (count == 0 || (errno != EINTR && (errno != EAGAIN || stream->command_is_gone))) {
		stream_close(stream);
	}
	return count >= 0;
}

void stream_receive_text(struct stream *stream, int64_t now_ms)
{
	size_t room;
	char *at = remote_text_room(&stream->text, &room);
	const ssize_t count = read(stream->err, at, room);

	if (count > 0) {
		remote_text_received(&stream->text, (size_t)count, stream->name, now_ms);
	} else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(stream->err);
		stream->err = -1;
		remote_text_end(&stream->text, stream->name, now_ms);
	}
}

static bool has_all_finals(const struct stream *stream)
{
	return stream->numbered > 0 && stream->finals == UINT64_MAX >> (64 - stream->numbered);
}

/* Returns NULL, or why it is given up. */
static const char *take_interface(struct stream *stream, struct catalog *catalog, struct sink *sink)
{
	const struct catalog_origin origin = { &stream->share, stream->facts.name, stream->facts.interface,
					       stream->facts.description, stream->starts };
	const struct reader_interface *interface = &stream->queue.reader.interface;
	long number;

	number = catalog_add(catalog, &origin, interface);
	if (number < 0)
		return "more interfaces than one stream may have";
	stream->numbers[stream->numbered++] = (uint32_t)number;
	stream->began = true;
	catalog_put_interface(catalog, (size_t)number, sink);
	return NULL;
}

static void put_statistics(const struct stream *stream, struct catalog *catalog, struct sink *sink)
{
	const struct reader_statistics *from = &stream->queue.reader.statistics;
	struct format *format = &catalog->formats[stream->numbers[from->interface]];
	char why[PCAPNG_TEXT_MOST];
	const struct format_statistics statistics = { .received = from->received, .dropped = from->dropped,
						      .printed = from->delivered, .ended = from->time, .why = why };

	catalog_plain(why, sizeof why, from->why);
	format->started = from->started;
	sink_commit(sink, pcapng_trailer(format, sink_at(sink), &statistics));
}

static void take_statistics(struct stream *stream, struct catalog *catalog, struct sink *sink)
{
	const struct reader_statistics *from = &stream->queue.reader.statistics;

	if (from->dropped != FORMAT_UNKNOWN) {
		stream->dropped_of[from->interface] = from->dropped;
		stream->dropped = stream->dropped_before;
		for (uint32_t i = 0; i < stream->numbered; i++)
			stream->dropped += stream->dropped_of[i];
	}
	if (from->final && (stream->finals & BIT(from->interface)) == 0) { /* one is enough: no stream fills a disk with them */
		stream->finals |= BIT(from->interface);
		put_statistics(stream, catalog, sink);
	} else if (!from->final && stream->numbered == 1) { /* it speaks of one interface only */
		stream->watermark = from->time;
	}
}

/* The beginning of what is no capture: often it says what went wrong. */
static void quote(struct stream *stream)
{
	const size_t all = queue_length(&stream->queue), length = all < QUOTED_MOST ? all : QUOTED_MOST;
	char text[QUOTED_MOST], line[QUOTED_MOST] = "";

	memcpy(line, stream->queue.bytes + stream->queue.begin, length);
	for (size_t i = 0; i < sizeof line; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	catalog_plain(text, sizeof text, (struct reader_text){ line, length });
	snprintf(stream->why, sizeof stream->why, "%s: %s", stream->queue.reader.why, text);
}

static bool is_whole(const struct stream *stream)
{
	return !stream->unfinished && has_all_finals(stream);
}

/* What waits is text of somebody's behind the end of the capture: no block begins like it. */
static bool is_text_behind(const struct stream *stream)
{
	static const uint8_t SECTION[] = { 0x0a, 0x0d, 0x0d };
	const uint8_t *bytes = stream->queue.bytes + stream->queue.begin;
	const size_t length = queue_length(&stream->queue);

	return is_whole(stream) && length > 0 && bytes[0] > BLOCK_ENHANCED_PACKET &&
	       (length == 1 || memcmp(bytes, SECTION, length < sizeof SECTION ? length : sizeof SECTION) != 0);
}

static void take_bad(struct stream *stream)
{
	if (is_text_behind(stream)) {
		stream_close(stream);
		queue_restart(&stream->queue);
		return;
	}
	if (stream->why[0] == '\0')
		quote(stream);
	stream_break(stream, stream->queue.reader.why);
}

/* Something that is no packet. Returns false if nothing more can be looked at. */
static bool take(struct stream *stream, enum reader_result result, struct catalog *catalog, struct sink *sink)
{
	const char *why = NULL;

	if (result == READER_NOTHING && stream->queue.reader.interface_count < stream->numbered) { /* another section */
		stream->unfinished |= !has_all_finals(stream);
		begin_section(stream);
	}
	if (result == READER_INTERFACE)
		why = take_interface(stream, catalog, sink);
	else if (result == READER_STATISTICS)
		take_statistics(stream, catalog, sink);
	queue_take(&stream->queue);
	if (why != NULL)
		stream_break(stream, why);
	return why == NULL;
}

bool stream_advance(struct stream *stream, struct catalog *catalog, struct sink *sink)
{
	enum reader_result result;

	while (stream->broken == NULL && sink_has_room(sink)) {
		result = queue_look(&stream->queue);
		if (result == READER_PACKET) {
			stream->finals &= ~BIT(stream->queue.reader.packet.interface);
			return true;
		}
		if (result == READER_BAD)
			take_bad(stream);
		if (result == READER_BAD || result == READER_MORE || !take(stream, result, catalog, sink)) {
			stream->looked = true;
			return false;
		}
	}
	stream->looked = stream->broken != NULL;
	return false;
}

/* What can be known of how it ended. */
static enum ending judge_end(struct stream *stream)
{
	if (!stream->began)
		return stream->text.refused ? ENDING_REFUSED : ENDING_NOTHING;
	if (is_whole(stream) && (queue_length(&stream->queue) == 0 || is_text_behind(stream)))
		return ENDING_WHOLE;
	if (stream->broken != NULL || queue_length(&stream->queue) > 0 || stream->queue.reader.kind == READER_PCAPNG)
		return ENDING_BROKEN;
	return stream->text.packets == stream->came ? ENDING_WHOLE : ENDING_UNKNOWN;
}

static const char *why_not_whole(const struct stream *stream)
{
	if (stream->broken != NULL)
		return stream->broken;
	if (stream->text.error[0] != '\0')
		return stream->text.error;
	if (!stream->began && stream->text.last[0] != '\0')
		return stream->text.last;
	if (!stream->began)
		return "it sent nothing";
	if (queue_length(&stream->queue) > 0)
		return "it ended in the middle of a record";
	return stream->queue.reader.kind == READER_PCAPNG ? "it ended without its statistics" :
							    "pcap does not say whether it is whole";
}

/* A block for each interface that has none at the end, with what is known. */
static void put_broken(const struct stream *stream, const struct catalog *catalog, struct sink *sink)
{
	char comment[PCAPNG_TEXT_MOST];
	const struct format_statistics statistics = { .received = FORMAT_UNKNOWN, .dropped = FORMAT_UNKNOWN,
						      .printed = stream->numbered == 1 ? stream->attempt_packets : FORMAT_UNKNOWN,
						      .ended = stream->watermark > 0 ? stream->watermark : clock_wall(),
						      .why = comment };

	snprintf(comment, sizeof comment, "the stream may lack its end: %s", why_not_whole(stream));
	for (uint32_t i = 0; i < stream->numbered; i++)
		if ((stream->finals & BIT(i)) == 0)
			sink_commit(sink, pcapng_heartbeat(&catalog->formats[stream->numbers[i]], sink_at(sink), &statistics));
}

void stream_finish(struct stream *stream, const struct catalog *catalog, struct sink *sink)
{
	stream->ending = judge_end(stream);
	stream->cut += stream->began && queue_length(&stream->queue) > 0 && !is_text_behind(stream);
	if (stream->queue.reader.kind == READER_PCAP && stream->text.dropped != UINT64_MAX)
		stream->dropped = stream->dropped_before + stream->text.dropped;
	if (stream->ending == ENDING_REFUSED) {
		remote_text_forget(&stream->text);
		return;
	}
	if (stream->ending == ENDING_WHOLE)
		return;
	if (stream->began)
		put_broken(stream, catalog, sink);
	if (!stream->was_broken && stream->why[0] == '\0')
		snprintf(stream->why, sizeof stream->why, "%s", why_not_whole(stream));
	stream->was_broken |= stream->began; /* a start that is tried again loses nothing */
}
