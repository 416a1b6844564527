/* formats: the bytes of files; no call of the system. */
/* The pcap file format, pcap-savefile(5), in host byte order. */
#include "pcap_file.h"

#include <string.h>

#define MAGIC_MICROSECONDS 0xa1b2c3d4
#define MAGIC_NANOSECONDS 0xa1b23c4d

size_t pcap_file_header(const struct format *format, uint8_t *out)
{
	const struct {
		uint32_t magic;
		uint16_t version_major, version_minor;
		uint32_t reserved[2];
		uint32_t snaplen;
		uint32_t link_type;
	} header = { format->nano ? MAGIC_NANOSECONDS : MAGIC_MICROSECONDS, 2, 4, { 0, 0 },
		     format->snaplen, (uint32_t)format->link_type };

	memcpy(out, &header, sizeof header);
	return sizeof header;
}

size_t pcap_record_head(const struct format *format, uint8_t *out, const struct record_head *head)
{
	const uint32_t fields[] = { head->seconds,
				    format->nano ? head->nanoseconds : head->nanoseconds / 1000,
				    head->captured, head->original };

	_Static_assert(sizeof fields == PCAP_RECORD_HEAD_LENGTH, "pcap-savefile(5)");
	memcpy(out, fields, sizeof fields);
	return sizeof fields;
}
