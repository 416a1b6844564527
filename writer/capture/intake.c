/* capture: inside the sandbox, with the packets. */
/* A packet's way from its block of the ring into the output: whether it goes there, and what it ends. */
#include "intake.h"

#include "envelope.h"
#include "output/record.h"

bool intake_has_room(const struct intake *intake, const struct ring_cursor *cursor, bool copy)
{
	const struct output_space need = record_space(cursor->remaining, cursor->bytes, copy);

	return output_fits(intake->capture->output, &need);
}

static bool is_wanted(const struct capture *capture, const struct packet *packet)
{
	bool outgoing = packet->address->sll_pkttype == PACKET_OUTGOING;

	/* A loopback packet goes out and comes in again: the second sight of it counts. */
	if (outgoing && packet->address->sll_ifindex == capture->loopback_index)
		return false;
	return capture->direction == DIRECTION_INOUT || outgoing == (capture->direction == DIRECTION_OUT);
}

static enum ending append(struct intake *intake, const struct packet *packet, bool copy)
{
	const struct capture *capture = intake->capture;
	const struct format *format = &capture->format;
	__attribute__((uninitialized)) struct frame frame; /* clearing it each time costs */

	frame_make(&frame, format->link_type, format->snaplen, packet);
	if (capture->max_size != 0 &&
	    envelope_is_full(capture, format_record_length(format, frame.head_length + frame.body_length)))
		return ENDING_SIZE;
	record_append(capture->output, format, packet, &frame, copy);
	return ++intake->packets == capture->count ? ENDING_COUNT : RUNNING;
}

static enum ending take(struct intake *intake, const struct packet *packet, bool copy)
{
	if (intake->presence->down)
		presence_packet(intake->presence, packet_time(packet));
	return is_wanted(intake->capture, packet) ? append(intake, packet, copy) : RUNNING;
}

bool intake_is_done(const struct intake *intake)
{
	return tail_is_seen(&intake->tail, intake->seen);
}

enum ending intake_block(struct intake *intake, struct ring_cursor *cursor, bool copy)
{
	const uint64_t left = tail_left(&intake->tail, intake->seen);
	enum ending ending = RUNNING;
	struct packet packet;
	int more = 0;

	if (cursor->remaining > left)
		cursor->remaining = (uint32_t)left;
	intake->seen += cursor->remaining;
	while (ending == RUNNING && (more = ring_next_packet(cursor, &packet)) > 0)
		ending = take(intake, &packet, copy);
	intake->seen -= cursor->remaining;
	return more < 0 ? ENDING_RING_CORRUPT : ending;
}
