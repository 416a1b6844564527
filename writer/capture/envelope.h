/* capture: inside the sandbox, with the packets. */
/* What of the file is no packet: its header, heartbeats, its end. Each is one record of the output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture.h"
#include "drops.h"

/* A record of `length` bytes, and the end, would not fit into -max-size any more. */
bool envelope_is_full(const struct capture *capture, size_t length);

/* Appends the header. Returns false, logged, if -max-size has no room for it. */
bool envelope_begin(const struct capture *capture);

/* Appends a heartbeat: no packet older than `time`, ns since the epoch, follows. Returns false if it is full. */
bool envelope_beat(const struct capture *capture, const struct drops *drops, uint64_t printed, uint64_t time);

/* Appends the end, if the format has one. */
void envelope_end(const struct capture *capture, const struct drops *drops, uint64_t printed, const char *why);
