/* helper: what runs with the capability. */
/* The helper's side of the protocol. */
#pragma once

#include "start.h"

/*
 * Sends a byte once it is bound to end with its parent. Opens the packet sockets, lowers the capability to
 * permitted only, enters the sandbox, and only then reads from the capture channel: one request, answered with
 * a packet fd or a refusal; then questions about the socket. Never returns.
 */
_Noreturn void serve(int capture_channel, int lookup_channel, const struct start_state *state);

