/* From the ring to stdout until something ends it. */
#include "capture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "drops.h"
#include "ending.h"
#include "base/log.h"
#include "output/output.h"
#include "pace.h"
#include "presence.h"
#include "progress.h"
#include "output/record.h"
#include "ring.h"
#include "base/stop.h"

#define BATCH_BYTES (1024u << 10)
#define HELD_SHARE 4 /* written from the ring, at most a quarter of it at a time */

struct run {
	const struct capture *capture;
	struct ring ring;
	struct pace pace;
	struct drops drops;
	uint64_t packets;   /* printed */
	uint64_t stop_time; /* ns since the epoch: later packets are not printed; 0: none */
	enum ending ending;
	enum output_result output; /* once it is not OUTPUT_OK, nothing more is written */
	unsigned int held; /* blocks that unwritten output refers to */
	bool full;         /* as many packets or bytes as were asked for */
	bool between;      /* whole blocks were taken: more of them may be queued */
	bool queueing;     /* a block is being emptied into the queue: all of it is copied */
	struct presence presence;
	int drain_ms;       /* what has arrived is visible this much later */
	int64_t drained_ms; /* after a stop request: when the ring has shown everything */
	struct progress progress;
};

static void end(struct run *run, enum ending ending)
{
	stop_begin(); /* whatever the reason, a reader that stalls now is given up */
	if (run->ending == RUNNING || run->ending == ENDING_ASKED)
		run->ending = ending;
}

static void end_full(struct run *run, enum ending ending)
{
	run->full = true; /* also if it is ending already */
	end(run, ending);
}

static void end_output(struct run *run, enum output_result result)
{
	run->output = result;
	end(run, ENDING_OUTPUT);
}

static void flush(struct run *run)
{
	enum output_result result = output_flush();

	if (result == OUTPUT_FAILED)
		log_record(LOG_ERROR, "cannot write to stdout",
			   LOG_FIELDS(LOG_TEXT("error", strerror(errno))));
	if (result != OUTPUT_OK)
		end_output(run, result);
	ring_release(&run->ring, run->held);
	run->held = 0;
}

static void flush_packets(struct run *run)
{
	flush(run);
	run->packets -= output_lost_records();
}

static bool is_wanted(const struct run *run, const struct packet *packet)
{
	enum direction direction = run->capture->options->direction;
	bool outgoing = packet->address->sll_pkttype == PACKET_OUTGOING;

	/* A loopback packet goes out and comes in again: the second sight of it counts. */
	if (outgoing && packet->address->sll_ifindex == run->capture->loopback_index)
		return false;
	return direction == DIRECTION_INOUT || outgoing == (direction == DIRECTION_OUT);
}

static bool is_after_stop(const struct run *run, const struct packet *packet)
{
	return run->stop_time != 0 && packet_time(packet) > run->stop_time;
}

static bool exceeds_size(const struct run *run, uint32_t captured)
{
	const struct format *format = &run->capture->format;
	uint64_t most = run->capture->options->max_size;

	return most != 0 && output_written() + output_pending() + format_record_length(format, captured) +
					    format_trailer_length(format) > most;
}

/* Returns false if that ended the capture. */
static bool append(struct run *run, const struct packet *packet)
{
	const struct format *format = &run->capture->format;
	__attribute__((uninitialized)) struct frame frame; /* clearing it each time costs */

	frame_make(&frame, format->link_type, format->snaplen, packet);
	if (exceeds_size(run, frame.head_length + frame.body_length)) {
		end_full(run, ENDING_SIZE);
		return false;
	}
	record_append(format, packet, &frame, run->queueing);
	if (++run->packets != run->capture->options->count)
		return true;
	end_full(run, ENDING_COUNT);
	return false;
}

static bool may_go_on(const struct run *run)
{
	return run->output == OUTPUT_OK && !run->full &&
	       (run->ending == RUNNING || run->ending == ENDING_ASKED ||
		run->ending == ENDING_INTERFACE_GONE);
}

static bool end_corrupt(struct run *run)
{
	log_record(LOG_ERROR, "the kernel's packet ring is inconsistent", LOG_NO_FIELDS);
	end(run, ENDING_RING_CORRUPT);
	return false;
}

/* Returns false if the capture ends with or before this packet. */
static bool take(struct run *run, const struct packet *packet)
{
	if (run->presence.down)
		presence_packet(&run->presence, packet_time(packet));
	if (is_after_stop(run, packet)) {
		end(run, ENDING_ASKED);
		return false;
	}
	if (!is_wanted(run, packet))
		return true;
	if (!output_has_space(run->queueing ? RECORD_OVERHEAD + packet->captured : RECORD_COPIED_MOST)) {
		if (run->queueing)
			return end_corrupt(run); /* there was, for all that the block said it holds */
		flush_packets(run);
		if (!may_go_on(run))
			return false;
	}
	return append(run, packet);
}

/* Appends a block's packets. Returns how many there were. */
static uint64_t drain_block(struct run *run, uint8_t *block)
{
	struct ring_cursor cursor;
	struct packet packet;
	uint64_t count = 0;
	int more = ring_open_block(&run->ring, block, &cursor);

	run->drops.suspected |= ring_block_losing(block);
	while (more >= 0 && (more = ring_next_packet(&cursor, &packet)) > 0) {
		count++;
		if (!take(run, &packet))
			break;
	}
	if (more < 0)
		end_corrupt(run);
	return count;
}

/*
 * The reader takes nothing. Each retire timeout uses up a block of the ring, however little is in it: when
 * it fills with such blocks, they are emptied into the output's queue.
 */
static void queue_blocks(struct run *run)
{
	uint8_t *block;

	if (!ring_fills_sparsely(&run->ring, run->held))
		return;
	while (may_go_on(run) && (block = ring_ready_block(&run->ring, run->held)) != NULL &&
	       output_has_space(ring_block_bytes(block, RECORD_OVERHEAD)) && output_detach()) {
		ring_release(&run->ring, run->held);
		run->held = 1;
		run->queueing = true;
		drain_block(run, block);
		run->queueing = false;
	}
}

static void flush_blocks(struct run *run)
{
	run->between = true;
	flush_packets(run);
	run->between = false;
}

/*
 * Writes what is ready, at most a ring's worth, so that a flood does not keep it from noticing a
 * stop.
 */
static void drain(struct run *run)
{
	const uint64_t bytes = output_written();
	struct drained drained = { 0 };
	uint8_t *block;

	while (may_go_on(run) && drained.blocks < run->ring.block_count &&
	       (block = ring_ready_block(&run->ring, run->held)) != NULL) {
		drained.packets += drain_block(run, block);
		drained.blocks++;
		run->held++;
		if (output_pending() >= BATCH_BYTES || !output_has_room(RECORD_COPIED_MOST) ||
		    run->held * HELD_SHARE >= run->ring.block_count)
			flush_blocks(run);
	}
	if (output_pending() > 0 || run->held > 0)
		flush_blocks(run);
	/* When so much was ready there may have been more; and now and then, as the kernel counts to 2^32 only. */
	if (run->drops.suspected || drained.blocks * 2 >= run->ring.block_count)
		drops_count(&run->drops);
	drops_count_now_and_then(&run->drops);
	drained.bytes = output_written() - bytes;
	pace_drained(&run->pace, &run->ring, &drained);
}

/* How long to wait for packets: until there may be something else to do. -1: for ever. */
static int wait_most(const struct run *run)
{
	int presence = presence_timeout(&run->presence);

	if (run->stop_time != 0) {
		int64_t drained_in_ms = run->drained_ms - clock_ms();
		return drained_in_ms > 0 ? (int)drained_in_ms : 0;
	}
	if (presence >= 0 || !run->capture->show_progress)
		return presence;
	return PROGRESS_INTERVAL_MS;
}

/* Waits until there may be something to do. */
static void wait_for_packets(struct run *run)
{
	struct pollfd watched[] = { { .fd = STDOUT_FILENO, .events = 0 }, /* its reader going away */
				    { .fd = run->capture->packet_fd, .events = POLLIN } };
	int sleep_ms = stop_requested() ? 0 : pace_sleep(&run->pace);
	int ready = poll(watched, sleep_ms > 0 ? 1 : 2, sleep_ms > 0 ? sleep_ms : wait_most(run));

	if (ready > 0 && watched[0].revents != 0)
		end_output(run, OUTPUT_READER_GONE);
	if (presence_lost(&run->presence, ready > 0 && (watched[1].revents & POLLERR) != 0, clock_ms()))
		end(run, ENDING_INTERFACE_GONE);
}

static void announce_stop(struct run *run)
{
	const char *signal_name = stop_signal_name();

	drops_finish(&run->drops);
	run->stop_time = clock_nanoseconds(stop_time());
	run->drained_ms = clock_ms() + run->drain_ms;
	if (signal_name != NULL)
		log_record(LOG_INFO, "received signal, stopping capture",
			   LOG_FIELDS(LOG_TEXT("signal", signal_name)));
	else
		log_record(LOG_INFO, "reached duration, stopping capture", LOG_NO_FIELDS);
}

/* A stop was requested, and all that had arrived by then is in the ring for us to see. */
static bool stop_is_due(struct run *run)
{
	if (!stop_asked())
		return false;
	if (run->stop_time == 0)
		announce_stop(run);
	return stop_urgent() || clock_ms() >= run->drained_ms;
}

static void show_progress(struct run *run)
{
	int64_t now = clock_ms();

	if (!run->capture->show_progress || !progress_is_due(&run->progress, now))
		return;
	drops_count(&run->drops);
	progress_show(&run->progress, now, run->packets, output_written(), run->drops.dropped);
}

/* The reader takes nothing: this is when packets are dropped. */
static void while_stalled(void *context)
{
	struct run *run = context;

	if (stop_asked() && run->stop_time == 0)
		announce_stop(run);
	if (run->between && !stop_asked())
		queue_blocks(run);
	drops_count_now_and_then(&run->drops);
	show_progress(run);
}

static void write_header(struct run *run)
{
	uint64_t most = run->capture->options->max_size;
	size_t length = format_header(&run->capture->format, output_space());

	if (most != 0 && length + format_trailer_length(&run->capture->format) > most) {
		log_record(LOG_ERROR, "-max-size is less than this file's header takes",
			   LOG_FIELDS(LOG_NUMBER("header", length)));
		end_output(run, OUTPUT_FAILED);
		return;
	}
	output_commit(length);
	output_end_record();
	flush(run);
}

static void write_trailer(struct run *run)
{
	const struct format_statistics statistics = { run->drops.received, run->drops.dropped, run->packets,
						      clock_wall(), ending_text(run->ending) };

	output_commit(format_trailer(&run->capture->format, output_space(), &statistics));
	output_end_record();
	flush(run);
}

static void run_until_end(struct run *run)
{
	while (run->ending == RUNNING) {
		bool last = stop_is_due(run);

		drain(run);
		show_progress(run);
		if (last)
			end(run, ENDING_ASKED);
		else if (run->ending == RUNNING)
			wait_for_packets(run);
	}
	if (stop_asked() && run->stop_time == 0) /* while the reader took nothing, and for no better reason */
		announce_stop(run);
}

/* Nothing more arrives, but the last block may still be open. */
static void drain_last(struct run *run)
{
	int64_t drained_ms = clock_ms() + run->drain_ms;

	while (clock_ms() < drained_ms)
		poll(NULL, 0, run->drain_ms);
	drain(run);
}

int capture_run(struct capture *capture)
{
	const struct tpacket_req3 layout =
		ring_layout(capture->options->buffer_size, (uint32_t)capture->options->snaplen);
	struct run run = { .capture = capture,
			   .drops = { .packet_fd = capture->packet_fd },
			   .drain_ms = ring_retire_most_ms(),
			   .presence = { .interface = capture->options->interface,
					 .packet_fd = capture->packet_fd } };

	if (ring_map(&run.ring, capture->packet_fd, &layout) != 0) {
		log_record(LOG_ERROR, "cannot map the kernel's ring",
			   LOG_FIELDS(LOG_TEXT("error", strerror(errno)),
				      LOG_NUMBER("buffer-size", capture->options->buffer_size)));
		return 1;
	}
	capture->format.started = clock_wall();
	output_while_stalled(while_stalled, &run);
	pace_start(&run.pace);
	run.progress.shown_ms = clock_ms();
	write_header(&run);
	run_until_end(&run);
	if (run.ending == ENDING_INTERFACE_GONE)
		drain_last(&run);
	drops_count(&run.drops);
	if (run.output == OUTPUT_OK)
		write_trailer(&run);
	ending_report(run.ending, run.output);
	log_record(LOG_INFO, "stopped capture",
		   LOG_FIELDS(LOG_NUMBER("packets", run.packets), LOG_NUMBER("bytes", output_written()),
			      LOG_NUMBER("dropped", run.drops.dropped)));
	return ending_status(run.ending, run.output);
}
