/* capture: inside the sandbox, with the packets. */
/* From the ring to stdout until something ends it. */
#pragma once

#include <linux/if_packet.h>

#include "base/audience.h"
#include "formats/format.h"
#include "output/output.h"
#include "output/packet.h"

struct capture {
	const char *interface;
	struct format format;
	struct output *output;    /* opened */
	struct tpacket_req3 layout; /* of the ring that the packet socket has */
	enum direction direction;
	uint64_t count, max_size; /* packets and bytes to end at; 0: no limit */
	int loopback_index;       /* its outgoing copies are left out; 0 for none */
	bool announce;            /* that it has begun: somebody looks on */
	bool show_progress;
	uint64_t heartbeat;       /* ns; 0: none */
	struct audience audience; /* started */
};

/*
 * Takes the packet socket's ring and closes the socket, writes the file header, then the packets, until a stop. Logs what happens and the
 * summary. Returns the exit status: 0, or 1 after an error.
 */
int capture_run(struct capture *capture, int packet_fd);
