/* formats: the bytes of files; no call of the system. */
/*
 * pcapng files as they come: enhanced packet blocks of any interface and section, interface descriptions and
 * statistics. Options of packets are left out; so are other blocks: names, secrets, simple packets, which have no time.
 */
#pragma once

#include "reader.h"

/* Four bytes that begin a section. */
bool pcapng_reader_is(const uint8_t *bytes);

/* As reader_next(). */
enum reader_result pcapng_reader_next(struct reader *reader, const uint8_t *bytes, size_t length);
