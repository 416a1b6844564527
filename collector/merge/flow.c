/* merge: inside the sandbox; here is what the remote machines sent. */
/* Packets on their way from a stream through the merge to the output. */
#include "flow.h"

#include <string.h>

#include "base/clock.h"
#include "collector/wire.h"
#include "output.h"
#include "tally.h"

#define TEXT_GRACE_MS 1000   /* between the end of stdout and that of stderr, which somebody else may hold open */
#define EMITTED_AT_ONCE 4096 /* packets, before others are read from */

/* After something of the stream was taken or came: another packet of it may wait now. */
static bool advance(struct merger *merger, size_t index)
{
	struct stream *stream = &merger->streams[index];
	const bool began = stream->began;
	bool waits;

	if (!output_has_room(merger)) {
		stream->looked = false;
		return false;
	}
	waits = stream_advance(stream, &merger->catalog, &merger->sink);
	if (stream->began && !began) {
		remote_text_release(&stream->text, stream->name, clock_ms());
		merge_set_lives(&merger->merge, index, stream->out >= 0);
		reports_put(&merger->reports, REPORT_BEGAN, index, ENDING_COUNT);
	}
	if (stream->out < 0 && merger->merge.streams[index].lives) /* from now on it holds nothing back */
		merge_set_lives(&merger->merge, index, false);
	merge_watermark(&merger->merge, index, stream->watermark);
	return waits;
}

static void note_lag(struct merger *merger, size_t index)
{
	const uint64_t time = merger->streams[index].queue.reader.packet.time, now = clock_wall();
	const uint64_t apart = time > now ? time - now : now - time; /* some clocks are beyond any year */
	const int64_t lag = (int64_t)(apart < INT64_MAX ? apart : INT64_MAX - 1);

	merge_lag(&merger->merge, index, time > now ? -lag : lag);
}

void flow_look(struct merger *merger, size_t index)
{
	struct stream *stream = &merger->streams[index];

	if (merger->merge.streams[index].waits) {
		queue_look(&stream->queue); /* it may have been moved */
	} else if (advance(merger, index)) {
		note_lag(merger, index);
		merge_push(&merger->merge, index, stream->queue.reader.packet.time, queue_arrived_ms(&stream->queue));
	}
	merge_set_full(&merger->merge, index, !queue_wants(&stream->queue));
}

void flow_look_again(struct merger *merger)
{
	for (size_t i = 0; i < merger->options->streams; i++)
		if (!merger->streams[i].looked && !merger->merge.streams[i].waits)
			flow_look(merger, i);
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
		output_close(merger);
}

/* The first packet of all goes out. Returns false if it cannot now. */
static bool emit(struct merger *merger, size_t index)
{
	struct stream *stream = &merger->streams[index];
	const uint64_t ahead = merge_ahead(&merger->merge);
	uint64_t late;

	if (!merger->closed && !output_takes(merger, pcapng_record_length(stream->queue.reader.packet.captured)))
		return false;
	if (!merger->closed)
		put_packet(merger, stream);
	stream->came++;
	queue_take(&stream->queue);
	if (advance(merger, index))
		late = merge_replace(&merger->merge, stream->queue.reader.packet.time, queue_arrived_ms(&stream->queue));
	else
		late = merge_pop(&merger->merge);
	if (merger->merge.streams[index].full)
		merge_set_full(&merger->merge, index, !queue_wants(&stream->queue));
	if (late > 0 && !merger->closed)
		tally_late(stream, late);
	if (ahead > 0 && !merger->closed)
		tally_ahead(stream, ahead);
	return true;
}

bool flow_emit(struct merger *merger)
{
	const int64_t now = clock_ms();
	size_t index;

	for (int i = 0; i < EMITTED_AT_ONCE; i++) {
		if (!output_has_room(merger) || (index = merge_first(&merger->merge, now, merger->all_read)) == MERGE_NONE || !emit(merger, index))
			return false;
	}
	return true;
}

void flow_end_streams(struct merger *merger)
{
	const int64_t now = clock_ms();

	for (size_t i = 0; i < merger->options->streams; i++) {
		struct stream *stream = &merger->streams[i];
		if (stream->ended_ms == 0 || stream->told)
			continue;
		if (merger->merge.streams[i].waits || !stream->looked || !output_has_room(merger) ||
		    (stream->err >= 0 && now - stream->ended_ms < TEXT_GRACE_MS))
			continue;
		stream_finish(stream, &merger->catalog, &merger->sink);
		remote_text_release(&stream->text, stream->name, now);
		stream->told = true;
		reports_put(&merger->reports, REPORT_ENDED, i, stream->ending);
	}
}
