/* capture: inside the sandbox, with the packets. */
/*
 * From the ring to stdout until something ends it.
 *
 * All waiting is in here, for packets and for the reader of stdout, and so is the patience with him:
 * what the other files do is done at once.
 */
#include "capture.h"

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
#include "envelope.h"
#include "heartbeat.h"
#include "intake.h"
#include "kept_socket.h"
#include "pace.h"
#include "patience.h"
#include "presence.h"
#include "progress.h"
#include "ring.h"

#define SILENT_LOOK_MS 50 /* into the ring, while the helper is silent */
#define HELD_SHARE 4      /* written from the ring, at most a quarter of it at a time */

struct run {
	const struct capture *capture;
	struct output *output;
	struct ring ring;
	struct kept_socket socket;
	struct pace pace;
	struct drops drops;
	struct presence presence;
	struct progress progress;
	struct intake intake;
	enum ending ending;
	enum output_result result; /* once it is not OUTPUT_OK, nothing more is written */
	unsigned int held;  /* blocks that unwritten output refers to */
	bool limit_reached; /* as many packets or bytes as were asked for */
	struct heartbeat heartbeat;
	struct audience audience;
	struct patience patience;
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
	return run->result == OUTPUT_OK && !run->limit_reached && !ending_is_final(run->ending);
}

/* Appends the packets of a block for which there is room. Returns how many there were. */
static uint64_t take_block(struct run *run, struct ring_cursor *cursor, bool copy)
{
	const uint64_t seen = run->intake.seen;
	enum ending ending = intake_block(&run->intake, cursor, copy);

	run->drops.suspected |= ring_block_losing(cursor->block);
	if (ending != RUNNING)
		end(run, ending);
	return run->intake.seen - seen;
}

/* The `ahead`th block from the next one. Returns false if it is not ready, or nothing more is to be taken. */
static bool next_block(struct run *run, unsigned int ahead, struct ring_cursor *cursor)
{
	const bool more = may_go_on(run) && !intake_is_done(&run->intake);
	const uint8_t *block = more ? ring_ready_block(&run->ring, ahead) : NULL;

	if (block == NULL)
		return false;
	if (ring_open_block(&run->ring, block, cursor) == 0)
		return true;
	end(run, ENDING_RING_CORRUPT);
	return false;
}

static void announce_if_stopped(struct run *run)
{
	if (!stop_asked() || run->intake.tail.begun)
		return;
	tail_begin(&run->intake.tail, &run->drops);
	ending_announce(&run->audience);
}

static void show_progress(struct run *run)
{
	int64_t now = clock_ms();

	if (!run->capture->show_progress || !progress_is_due(&run->progress, now))
		return;
	drops_count(&run->drops);
	progress_show(&run->progress, now, run->intake.packets, output_written(run->output), run->drops.dropped);
}

/* Whether the user is still there. */
static void tell_audience(struct run *run)
{
	if (!audience_is_silent(&run->audience, output_written(run->output)))
		return;
	drops_count(&run->drops);
	audience_tell(&run->audience, &(struct audience_counts){ run->intake.packets, output_written(run->output),
								  run->drops.dropped });
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
	announce_if_stopped(run);
	drops_count_now_and_then(&run->drops);
	show_progress(run);
	tell_audience(run);
}

/* Nothing could be written: what there is to do meanwhile, until it is worth another try. */
static enum output_result wait_for_reader(struct run *run, bool queue)
{
	struct pollfd watched[1 + AUDIENCE_WATCHED] = { { .fd = STDOUT_FILENO, .events = run->output->wait.events } };
	const struct timespec most = { 0, run->output->wait.most_ns };

	while_stalled(run);
	if (queue && run->ending == RUNNING && !stop_asked())
		queue_blocks(run);
	audience_watch(&run->audience, watched + 1);
	if (ppoll(watched, 1 + AUDIENCE_WATCHED, &most, NULL) <= 0)
		return OUTPUT_OK;
	audience_look(&run->audience, watched + 1);
	return (watched[0].revents & (POLLERR | POLLHUP)) != 0 ? OUTPUT_READER_GONE : OUTPUT_OK;
}

/* One write. It may block, and the user's going away is not to be missed then. */
static enum output_result step(struct run *run)
{
	enum output_result result;

	if (!run->output->may_block || !audience_is_watched(&run->audience))
		return output_step(run->output);
	stop_look_up(true);
	result = output_step(run->output);
	stop_look_up(false);
	return result;
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

	run->patience.moved_ms = 0;
	while (result == OUTPUT_OK && output_pending(output) > 0) {
		result = step(run);
		if ((result == OUTPUT_WOULD_BLOCK || (result == OUTPUT_OK && stop_urgent())) &&
		    output_pending(output) > 0 && patience_is_over(&run->patience, output->moved)) {
			if (abandoned)
				break;
			/* Not in the middle of a record that the reader has the beginning of. */
			lost = output_abandon(output);
			abandoned = true;
			run->patience.moved_ms = 0;
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
	/* Kernel TLS keeps the very pages that it is given, and with them a ring that nobody counts any more. */
	const bool copy = run->output->may_keep;
	struct drain_stats drained = { 0 };
	struct ring_cursor cursor;

	while (drained.blocks < run->ring.block_count && next_block(run, run->held, &cursor)) {
		if (!intake_has_room(&run->intake, &cursor, copy)) { /* what it was emptied into is its queue */
			write_packets(run);
			continue;
		}
		drained.packets += take_block(run, &cursor, copy);
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
	const int progress = run->capture->show_progress ? PROGRESS_INTERVAL_MS : -1;

	if (run->intake.tail.begun)
		return RING_RETIRE_TIMEOUT_MS; /* the socket tells of a block; should it not, look */
	return clock_sooner(clock_sooner(presence_timeout(&run->presence), audience_timeout(&run->audience)),
		      clock_sooner(heartbeat_timeout(&run->heartbeat), progress));
}

/* Waits until there may be something to do. */
static void wait_for_packets(struct run *run)
{
	struct pollfd watched[3 + AUDIENCE_WATCHED] = {
		{ .fd = STDOUT_FILENO, .events = 0 },             /* its reader going away */
		{ .fd = WRITER_CAPTURE_CHANNEL_FD, .events = 0 }, /* the helper */
	};
	struct pollfd *packets = &watched[2 + AUDIENCE_WATCHED];
	/* While the helper does not answer, an error of the socket would wake us for nothing, again and again. */
	const int sleep_ms = run->socket.silent ? SILENT_LOOK_MS : stop_requested() ? 0 : pace_sleep(&run->pace);
	bool failed;
	int ready;

	audience_watch(&run->audience, watched + 2);
	*packets = (struct pollfd){ .fd = sleep_ms > 0 ? -1 : WRITER_EVENTS_FD, .events = POLLIN };
	ready = poll(watched, 3 + AUDIENCE_WATCHED, sleep_ms > 0 ? sleep_ms : wait_most(run));
	if (ready > 0)
		audience_look(&run->audience, watched + 2);
	if (ready > 0 && watched[0].revents != 0)
		end_output(run, OUTPUT_READER_GONE);
	failed = ready > 0 && packets->revents != 0 && kept_socket_event() == SOCKET_ERROR;
	if (presence_lost(&run->presence, failed, clock_ms()))
		end(run, ENDING_INTERFACE_GONE);
	run->socket.gone |= ready > 0 && watched[1].revents != 0;
	if (run->socket.gone)
		end(run, ENDING_HELPER_GONE);
}

static void write_header(struct run *run)
{
	if (envelope_begin(run->capture))
		write_out(run, false);
	else
		end_output(run, OUTPUT_FAILED);
}

/* Where it can be written at once: a reader that is behind has no use for it. */
static void write_heartbeat(struct run *run)
{
	if (!envelope_beat(run->capture, &run->drops, run->intake.packets, run->heartbeat.time))
		end(run, ENDING_SIZE);
	else if (step(run) == OUTPUT_WOULD_BLOCK && run->output->done == 0)
		output_forget(run->output);
	write_out(run, false);
}

static void write_trailer(struct run *run)
{
	envelope_end(run->capture, &run->drops, run->intake.packets, ending_text(run->ending));
	write_out(run, false);
}

/* A stop was requested: whatever the ring shows next is the last of it. */
static bool is_last_look(struct run *run)
{
	announce_if_stopped(run);
	return run->intake.tail.begun && (stop_urgent() || tail_is_overdue(&run->intake.tail, run->intake.seen));
}

static void run_until_end(struct run *run)
{
	while (run->ending == RUNNING) {
		bool last = is_last_look(run);

		drain(run);
		show_progress(run);
		tell_audience(run);
		if (last || intake_is_done(&run->intake))
			end(run, ENDING_ASKED);
		else if (run->ending == RUNNING && !run->intake.tail.begun &&
			 heartbeat_is_due(&run->heartbeat, &run->drops, run->intake.seen, output_written(run->output)))
			write_heartbeat(run);
		else if (run->ending == RUNNING)
			wait_for_packets(run);
	}
	announce_if_stopped(run); /* while the reader took nothing, and for no better reason */
}

/* Nothing more arrives, but the last block may still be open. */
static void drain_last(struct run *run)
{
	if (!run->intake.tail.begun)
		tail_begin(&run->intake.tail, &run->drops);
	drain(run);
	while (may_go_on(run) && !stop_urgent() && !intake_is_done(&run->intake)) {
		bool last = tail_is_overdue(&run->intake.tail, run->intake.seen);

		poll(NULL, 0, last ? 0 : RING_RETIRE_TIMEOUT_MS / 2);
		drain(run);
		if (last)
			break;
	}
}

int capture_run(struct capture *capture, int packet_fd)
{
	struct run run = { .capture = capture,
			   .output = capture->output,
			   .drops = { .socket = &run.socket },
			   .audience = capture->audience,
			   .presence = { .interface = capture->interface, .socket = &run.socket },
			   .intake = { .capture = capture, .presence = &run.presence } };

	if (kept_socket_take(&run.ring, packet_fd, &capture->layout) != 0)
		return 1;
	log_set_patience(0);
	capture->format.started = clock_wall();
	pace_start(&run.pace);
	run.progress.shown_ms = clock_ms();
	write_header(&run);
	log_record(capture->announce ? LOG_INFO : LOG_DEBUG, "waiting for packets",
		   LOG_FIELDS(LOG_TEXT("interface", capture->interface)));
	heartbeat_start(&run.heartbeat, capture->heartbeat);
	run_until_end(&run);
	if (run.ending == ENDING_INTERFACE_GONE || run.ending == ENDING_HELPER_GONE)
		drain_last(&run);
	drops_count(&run.drops);
	if (may_go_on(&run) && !stop_urgent())
		tail_report_missing(&run.intake.tail, run.intake.seen);
	if (run.result == OUTPUT_OK)
		write_trailer(&run);
	ending_report(run.ending, run.result, run.output->torn,
		      &(struct audience_counts){ run.intake.packets, output_written(run.output), run.drops.dropped });
	return ending_status(run.ending, run.result, run.output->torn);
}
