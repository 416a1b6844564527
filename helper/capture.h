/* libpcap's live handle: a device opened, and a filter that the kernel runs and nobody changes. */
#pragma once

#include "protocol.h"

/*
 * Does what the request asks for on the pre-opened sockets. Returns the packet fd, bound, with
 * the guarded filter attached, read back and locked; or -1. Either way *reply says how it went.
 * It has no ring (sockets.c); what it has queued may be unfiltered, and is lost when one is made.
 */
int capture_open(const struct open_request *request, struct open_reply *reply);

