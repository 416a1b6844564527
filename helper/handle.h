/* helper: what runs with the capability. */
/* libpcap's live handle: a device opened, and a filter that the kernel runs and nobody changes. */
#pragma once

#include <signal.h>

#include "common/protocol.h"

#define COMPILE_TIMER_SIGNAL SIGPROF /* ends the process when a filter compiles for too long */

/*
 * Does what the request asks for on the pre-opened sockets. Returns the packet fd, bound, with
 * the guarded filter attached, read back and locked, and with the ring asked for, in which there are
 * packets of that filter only; or -1. Either way *reply says how it went.
 */
int handle_open(const struct open_request *request, struct open_reply *reply);
