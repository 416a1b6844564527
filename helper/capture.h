/* libpcap's live handle: a device opened, and a filter that the kernel runs and nobody changes. */
#pragma once

#include "protocol.h"

/*
 * Does what the request asks for on the pre-opened sockets. Returns the packet fd, bound, with
 * the guarded filter attached, read back and locked; or -1. Either way *reply says how it went.
 * The fd still has libpcap's ring, whose packets may be unfiltered: the receiver removes it.
 */
int capture_open(const struct open_request *request, struct open_reply *reply);

