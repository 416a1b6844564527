/* capture: inside the sandbox, with the packets. */
/* The packet socket, which the helper keeps: here are its ring, its events, and questions about it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

struct kept_socket {
	uint64_t received, dropped; /* packets so far, as the helper has told; dropped ones were received too */
	int error;     /* errno of the last that the socket had, until somebody sets it to 0 */
	bool unbound;  /* its interface is gone */
	bool asked;    /* a question is not answered yet */
	bool silent;   /* the helper did not answer in time: the counts are not those of now */
	bool gone;     /* the helper has ended */
};

enum kept_socket_event { SOCKET_QUIET, SOCKET_READY, SOCKET_ERROR };

/*
 * Takes the packet socket's ring and events, and closes the socket: from here on no process but the
 * helper has it. Then every capability set of this process is emptied. Returns 0, or -1, logged.
 */
int kept_socket_take(struct ring *ring, int packet_fd, const struct tpacket_req3 *layout);

/*
 * Asks for the kernel's counts, the socket's error and its binding; waits some milliseconds at most.
 * Returns true if the answer is of now.
 */
bool kept_socket_ask(struct kept_socket *socket);

/* What WRITER_EVENTS_FD is readable for. */
enum kept_socket_event kept_socket_event(void);
