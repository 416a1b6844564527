/* The helper's side of the protocol. */
#ifndef CFPCAP_SERVE_H
#define CFPCAP_SERVE_H

#include "start.h"

/*
 * Opens the packet sockets, drops every privilege, closes the sandbox, and only then reads from
 * the capture channel: one request, answered with a packet fd or a refusal. Never returns.
 */
_Noreturn void serve(int capture_channel, int lookup_channel, const struct start_state *state);

#endif
