/* capture: inside the sandbox, with the packets. */
/*
 * From the ring to stdout until something ends it.
 *
 * All waiting is in here, for packets and for the reader of stdout, and so is the patience with him:
 * what the other files do is done at once.
 */
#include "capture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "common/protocol.h"
#include "drops.h"
#include "ending.h"
#include "intake.h"
#include "pace.h"
#include "presence.h"
#include "progress.h"
#include "ring.h"

#define HELD_SHARE 4        /* written from the ring, at most a quarter of it at a time */
#define STALL_LIMIT_MS 2000 /* at a stop, a reader that takes nothing for this long is given up */

struct run {
	const struct capture *capture;
	struct output *output;
	struct ring ring;
	struct pace pace;
	struct drops drops;
	struct presence presence;
	struct progress progress;
	struct intake intake;
	enum ending ending;
	enum output_result result; /* once it is not OUTPUT_OK, nothing more is written */
	unsigned int held;  /* blocks that unwritten output refers to */
	bool limit_reached; /* as many packets or bytes as were asked for */
	int drain_ms;       /* what has arrived is visible this much later */
	int64_t drained_ms; /* after a stop request: when the ring has shown everything */
	uint64_t moved;     /* output->moved when the reader was last seen to take something, and when that */
	int64_t moved_ms;   /* was, once a stop is requested; else 0 */
};

static void end(struct run *run, enum ending ending)
{
	stop_begin(); /* whatever the reason, a reader that stalls now is given up */
	run->limit_reached |= ending == ENDING_COUNT || ending == ENDING_SIZE; /* also if it is ending already */
	if (run->ending == RUNNING || run->ending == ENDING_ASKED)
		run->ending = ending;
}

static void end_output(struct run *run, enum output_result result)
{
	run->result = result;
	end(run, ENDING_OUTPUT);
}

static bool may_go_on(const struct run *run)
{
	return run->result == OUTPUT_OK && !run->limit_reached &&
	       (run->ending == RUNNING || run->ending == ENDING_ASKED ||
		run->ending == ENDING_INTERFACE_GONE);
}

/* Appends the packets of a block for which there is room. Returns how many there were. */
static uint64_t take_block(struct run *run, struct ring_cursor *cursor, bool copy)
{
	const uint64_t packets = cursor->remaining;
	enum ending ending = intake_block(&run->intake, cursor, copy);

	run->drops.suspected |= ring_block_losing(cursor->block);
	if (ending != RUNNING)
		end(run, ending);
	return packets - cursor->remaining;
}

/* The `ahead`th block from the next one. Returns false if it is not ready, or nothing more is to be taken. */
static bool next_block(struct run *run, unsigned int ahead, struct ring_cursor *cursor)
{
	const uint8_t *block = may_go_on(run) ? ring_ready_block(&run->ring, ahead) : NULL;

	if (block == NULL)
		return false;
	if (ring_open_block(&run->ring, block, cursor) == 0)
		return true;
	end(run, ENDING_RING_CORRUPT);
	return false;
}

/* A stop was requested: is it time to give the reader up? */
static bool out_of_patience(struct run *run)
{
	if (!stop_requested())
		return false;
	if (stop_urgent())
		return true;
	if (run->moved_ms == 0 || run->moved != run->output->moved) {
		run->moved_ms = clock_ms();
		run->moved = run->output->moved;
	}
	return clock_ms() - run->moved_ms >= STALL_LIMIT_MS;
}

static void announce_stop(struct run *run)
{
	const char *signal_name = stop_signal_name();

	drops_finish(&run->drops);
	run->intake.stop_time = clock_nanoseconds(stop_time());
	run->drained_ms = clock_ms() + run->drain_ms;
	if (signal_name != NULL)
		log_record(LOG_INFO, "received signal, stopping capture",
			   LOG_FIELDS(LOG_TEXT("signal", signal_name)));
	else
		log_record(LOG_INFO, "reached duration, stopping capture", LOG_NO_FIELDS);
}

static void show_progress(struct run *run)
{
	int64_t now = clock_ms();

	if (!run->capture->show_progress || !progress_is_due(&run->progress, now))
		return;
	drops_count(&run->drops);
	progress_show(&run->progress, now, run->intake.packets, output_written(run->output), run->drops.dropped);
}

/* What the output refers to is in the ring no longer. */
static void release_held(struct run *run)
{
	ring_release(&run->ring, run->held);
	run->held = 0;
}

/*
 * Each retire timeout uses up a block of the ring, however little is in it: when it fills with such
 * blocks, they are emptied into the output's queue.
 */
static void queue_blocks(struct run *run)
{
	struct ring_cursor cursor;

	if (!ring_fills_sparsely(&run->ring, run->held) || !output_detach(run->output))
		return;
	release_held(run);
	while (next_block(run, 0, &cursor) && intake_has_room(&run->intake, &cursor, true)) {
		take_block(run, &cursor, true);
		ring_release(&run->ring, 1);
	}
}

/* The reader takes nothing: this is when packets are dropped. */
static void while_stalled(struct run *run)
{
	if (stop_asked() && run->intake.stop_time == 0)
		announce_stop(run);
	drops_count_now_and_then(&run->drops);
	show_progress(run);
}

/* Nothing could be written: what there is to do meanwhile, until it is worth another try. */
static enum output_result wait_for_reader(struct run *run, bool queue)
{
	struct pollfd watched = { .fd = STDOUT_FILENO, .events = run->output->wait.events };
	const struct timespec most = { 0, run->output->wait.most_ns };

	while_stalled(run);
	if (queue && run->ending == RUNNING && !stop_asked())
		queue_blocks(run);
	if (ppoll(&watched, 1, &most, NULL) > 0 && (watched.revents & (POLLERR | POLLHUP)) != 0)
		return OUTPUT_READER_GONE;
	return OUTPUT_OK;
}

/*
 * Writes what was gathered, for as long as there is somebody to read it. With `queue`, the packets that
 * arrive meanwhile are gathered too when they have to be. Returns how many records are not whole.
 */
static size_t write_out(struct run *run, bool queue)
{
	struct output *output = run->output;
	enum output_result result = OUTPUT_OK;
	bool abandoned = false;
	size_t lost = 0;

	run->moved_ms = 0;
	while (result == OUTPUT_OK && output_pending(output) > 0) {
		result = output_step(output);
		if ((result == OUTPUT_WOULD_BLOCK || (result == OUTPUT_OK && stop_urgent())) &&
		    output_pending(output) > 0 && out_of_patience(run)) {
			if (abandoned)
				break;
			/* Not in the middle of a record that the reader has the beginning of. */
			lost = output_abandon(output);
			abandoned = true;
			run->moved_ms = 0;
			result = OUTPUT_OK;
		} else if (result == OUTPUT_WOULD_BLOCK) {
			result = wait_for_reader(run, queue);
		}
	}
	if (result == OUTPUT_FAILED)
		log_record(LOG_ERROR, "cannot write to stdout",
			   LOG_FIELDS(LOG_TEXT("error", strerror(output->error))));
	if (abandoned && result != OUTPUT_FAILED && result != OUTPUT_READER_GONE)
		result = OUTPUT_ABANDONED;
	if (result != OUTPUT_OK)
		end_output(run, result);
	return lost + output_forget(output);
}

static void write_packets(struct run *run)
{
	run->intake.packets -= write_out(run, true);
	release_held(run);
}

/*
 * Writes what is ready, at most a ring's worth, so that a flood does not keep it from noticing a
 * stop.
 */
static void drain(struct run *run)
{
	const uint64_t bytes = output_written(run->output);
	struct drain_stats drained = { 0 };
	struct ring_cursor cursor;

	while (drained.blocks < run->ring.block_count && next_block(run, run->held, &cursor)) {
		if (!intake_has_room(&run->intake, &cursor, false)) { /* what it was emptied into is its queue */
			write_packets(run);
			continue;
		}
		drained.packets += take_block(run, &cursor, false);
		drained.blocks++;
		run->held++;
		if (output_is_batch(run->output) || run->held * HELD_SHARE >= run->ring.block_count)
			write_packets(run);
	}
	if (output_pending(run->output) > 0 || run->held > 0)
		write_packets(run);
	/* When so much was ready there may have been more; and now and then, as the kernel counts to 2^32 only. */
	if (run->drops.suspected || drained.blocks * 2 >= run->ring.block_count)
		drops_count(&run->drops);
	drops_count_now_and_then(&run->drops);
	drained.bytes = output_written(run->output) - bytes;
	pace_drained(&run->pace, &run->ring, &drained);
}

/* How long to wait for packets: until there may be something else to do. -1: for ever. */
static int wait_most(const struct run *run)
{
	int presence = presence_timeout(&run->presence);

	if (run->intake.stop_time != 0) {
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

/* A stop was requested, and all that had arrived by then is in the ring for us to see. */
static bool stop_is_due(struct run *run)
{
	if (!stop_asked())
		return false;
	if (run->intake.stop_time == 0)
		announce_stop(run);
	return stop_urgent() || clock_ms() >= run->drained_ms;
}

static void write_header(struct run *run)
{
	uint64_t most = run->capture->max_size;
	size_t length = format_header(&run->capture->format, output_at(run->output));

	if (most != 0 && length + format_trailer_length(&run->capture->format) > most) {
		log_record(LOG_ERROR, "-max-size is less than this file's header takes",
			   LOG_FIELDS(LOG_NUMBER("header", length)));
		end_output(run, OUTPUT_FAILED);
		return;
	}
	output_commit(run->output, length);
	output_end_record(run->output);
	write_out(run, false);
}

static void write_trailer(struct run *run)
{
	const struct format_statistics statistics = { run->drops.received, run->drops.dropped, run->intake.packets,
						      clock_wall(), ending_text(run->ending) };
	size_t length = format_trailer(&run->capture->format, output_at(run->output), &statistics);

	if (length == 0)
		return;
	output_commit(run->output, length);
	output_end_record(run->output);
	write_out(run, false);
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
	if (stop_asked() && run->intake.stop_time == 0) /* while the reader took nothing, and for no better reason */
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
	struct run run = { .capture = capture,
			   .output = capture->output,
			   .drops = { .packet_fd = capture->packet_fd },
			   .drain_ms = ring_retire_most_ms(),
			   .presence = { .interface = capture->interface,
					 .packet_fd = capture->packet_fd },
			   .intake = { .capture = capture, .presence = &run.presence } };

	if (ring_map(&run.ring, capture->packet_fd, &capture->ring) != 0) {
		log_record(LOG_ERROR, "cannot map the kernel's ring",
			   LOG_FIELDS(LOG_TEXT("error", strerror(errno)),
				      LOG_NUMBER("buffer-size", protocol_ring_bytes(&capture->ring))));
		return 1;
	}
	capture->format.started = clock_wall();
	pace_start(&run.pace);
	run.progress.shown_ms = clock_ms();
	write_header(&run);
	run_until_end(&run);
	if (run.ending == ENDING_INTERFACE_GONE)
		drain_last(&run);
	drops_count(&run.drops);
	if (run.result == OUTPUT_OK)
		write_trailer(&run);
	ending_report(run.ending, run.result, run.output->torn);
	log_record(LOG_INFO, "stopped capture",
		   LOG_FIELDS(LOG_NUMBER("packets", run.intake.packets), LOG_NUMBER("bytes", output_written(run.output)),
			      LOG_NUMBER("dropped", run.drops.dropped)));
	return ending_status(run.ending, run.result, run.output->torn);
}
