/* formats: the bytes of files; no call of the system. */
/* pcap files as they come, pcap-savefile(5): either byte order, microseconds or nanoseconds. */
#include "pcap_reader.h"

#include "base/clock.h"
#include "reader_bytes.h"

#define MAGIC_MICROSECONDS 0xa1b2c3d4
#define MAGIC_NANOSECONDS 0xa1b23c4d
#define HEADER_LENGTH 24
#define RECORD_HEAD_LENGTH 16
#define VERSION_MAJOR 2
#define LINK_TYPE_BITS 0x0fffffff /* those above tell of a frame check sequence */

/* Returns false if it is no such file. */
static bool take_magic(struct reader *reader, const uint8_t *bytes)
{
	for (int order = 0; order < 2; order++) {
		reader->swapped = order == 1;
		const uint32_t magic = reader_u32(reader, bytes);
		if (magic == MAGIC_MICROSECONDS || magic == MAGIC_NANOSECONDS) {
			reader->scales[0] = (struct reader_scale){ magic == MAGIC_NANOSECONDS ? 9 : 6, 0 };
			return true;
		}
	}
	return false;
}

enum reader_result pcap_reader_begin(struct reader *reader, const uint8_t *bytes, size_t length)
{
	uint32_t link_type;

	if (!take_magic(reader, bytes))
		return reader_bad(reader, "it is neither pcap nor pcapng");
	if (length < HEADER_LENGTH)
		return reader_more(reader, HEADER_LENGTH);
	if (reader_u16(reader, bytes + 4) != VERSION_MAJOR)
		return reader_bad(reader, "a version of pcap that is not known");
	link_type = reader_u32(reader, bytes + 20) & LINK_TYPE_BITS;
	if (link_type > UINT16_MAX)
		return reader_bad(reader, "a link type that pcapng has not");
	reader->kind = READER_PCAP;
	reader->interface_count = 1;
	reader->interface = (struct reader_interface){ .link_type = (uint16_t)link_type,
						       .nano = reader->scales[0].resolution == 9 };
	reader->length = HEADER_LENGTH;
	return READER_INTERFACE;
}

enum reader_result pcap_reader_next(struct reader *reader, const uint8_t *bytes, size_t length)
{
	struct reader_packet *packet = &reader->packet;
	uint64_t fraction;

	if (length < RECORD_HEAD_LENGTH)
		return reader_more(reader, RECORD_HEAD_LENGTH);
	packet->captured = reader_u32(reader, bytes + 8);
	packet->original = reader_u32(reader, bytes + 12);
	if (packet->captured > READER_PACKET_MOST)
		return reader_bad(reader, "a packet that is too long");
	if (length < RECORD_HEAD_LENGTH + packet->captured)
		return reader_more(reader, RECORD_HEAD_LENGTH + packet->captured);
	fraction = reader_u32(reader, bytes + 4);
	if (reader->scales[0].resolution == 6)
		fraction *= 1000;
	packet->time = (uint64_t)reader_u32(reader, bytes) * NANOSECONDS + fraction;
	packet->interface = 0;
	if (packet->original < packet->captured)
		packet->original = packet->captured;
	packet->data = bytes + RECORD_HEAD_LENGTH;
	reader->length = RECORD_HEAD_LENGTH + packet->captured;
	return READER_PACKET;
}
