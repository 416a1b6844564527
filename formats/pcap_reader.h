/* formats: the bytes of files; no call of the system. */
/* pcap files as they come, pcap-savefile(5): either byte order, microseconds or nanoseconds. */
#pragma once

#include "reader.h"

/* The file's header: READER_INTERFACE, and from then on the reader is one of pcap. */
enum reader_result pcap_reader_begin(struct reader *reader, const uint8_t *bytes, size_t length);

/* As reader_next(). */
enum reader_result pcap_reader_next(struct reader *reader, const uint8_t *bytes, size_t length);
