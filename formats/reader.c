/* formats: the bytes of files; no call of the system. */
/* The choice between the readers, by the first four bytes. */
#include "reader.h"

#include "pcap_reader.h"
#include "pcapng_reader.h"
#include "reader_bytes.h"

#define MAGIC_LENGTH 4

enum reader_result reader_next(struct reader *reader, const uint8_t *bytes, size_t length)
{
	if (reader->kind == READER_PCAPNG)
		return pcapng_reader_next(reader, bytes, length);
	if (reader->kind == READER_PCAP)
		return pcap_reader_next(reader, bytes, length);
	if (length < MAGIC_LENGTH)
		return reader_more(reader, MAGIC_LENGTH);
	if (pcapng_reader_is(bytes))
		return pcapng_reader_next(reader, bytes, length);
	return pcap_reader_begin(reader, bytes, length);
}
