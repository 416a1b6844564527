/* capture: inside the sandbox, with the packets. */
/* Whether the captured interface is still there, and up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kept_socket.h"

struct presence {
	const char *interface;
	struct kept_socket *socket;
	bool down, reported;
	int64_t due_ms;   /* CLOCK_MONOTONIC: when to look again; only while down */
	uint64_t down_at; /* ns since the epoch; packets stamped later mean that it is up again */
};

/* How long to wait for packets before presence_lost() has to be asked again, ms; -1: for ever. */
int presence_timeout(const struct presence *presence);

/*
 * To be asked after each wait; socket_failed: the packet socket had an error. Logs that the
 * interface went down, or is gone. Returns true if it is gone.
 */
bool presence_lost(struct presence *presence, bool socket_failed, int64_t now_ms);

/* A packet with this time, ns since the epoch, has arrived. Logs that the interface is up again. */
void presence_packet(struct presence *presence, uint64_t time);

