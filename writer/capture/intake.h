/* capture: inside the sandbox, with the packets. */
/* A packet's way from its block of the ring into the output: whether it goes there, and what it ends. */
#pragma once

#include "capture.h"
#include "ending.h"
#include "presence.h"
#include "ring.h"
#include "tail.h"

struct intake {
	const struct capture *capture;
	struct presence *presence; /* is told of packets while the interface is down */
	uint64_t packets;          /* that went into the output */
	uint64_t seen;             /* that the ring has shown, wanted or not */
	struct tail tail;          /* what comes after it is not seen */
};

/* There is room in the output for all packets of a block. With `copy`, see record_append(). */
bool intake_has_room(const struct intake *intake, const struct ring_cursor *cursor, bool copy);

/* Once a stop was requested: all that had arrived by then was seen. */
bool intake_is_done(const struct intake *intake);

/*
 * Appends a block's packets, for which there is room. Returns RUNNING, or why it is the last one: a limit,
 * or an inconsistent ring.
 */
enum ending intake_block(struct intake *intake, struct ring_cursor *cursor, bool copy);
