/* formats: the bytes of files; no call of the system. */
/*
 * The pcapng file format, draft-ietf-opsawg-pcapng: one section, one interface, enhanced packet
 * blocks, and an interface statistics block at the end, the only one with an end time; heartbeats
 * are others before it. In host byte order.
 */
#pragma once

#include "format.h"

/* As their counterparts in format.h. */
size_t pcapng_header(const struct format *format, uint8_t *out);
size_t pcapng_record_head(const struct format *format, uint8_t *out, const struct record_head *head);
size_t pcapng_record_tail(uint8_t *out, uint32_t captured);
size_t pcapng_record_length(uint32_t captured);
size_t pcapng_heartbeat(const struct format *format, uint8_t *out, const struct format_statistics *statistics);
size_t pcapng_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics);

