/* formats: the bytes of files; no call of the system. */
/* The file formats: the choice between pcap and pcapng. */
#include "format.h"

#include "pcap_file.h"
#include "pcapng_file.h"

size_t format_header(const struct format *format, uint8_t *out)
{
	return format->kind == FORMAT_PCAP ? pcap_file_header(format, out) :
					     pcapng_header(format, out);
}

size_t format_record_head(const struct format *format, uint8_t *out, const struct record_head *head)
{
	return format->kind == FORMAT_PCAP ? pcap_record_head(format, out, head) :
					     pcapng_record_head(format, out, head);
}

size_t format_record_tail(const struct format *format, uint8_t *out, uint32_t captured)
{
	return format->kind == FORMAT_PCAP ? 0 : pcapng_record_tail(out, captured);
}

size_t format_record_length(const struct format *format, uint32_t captured)
{
	return format->kind == FORMAT_PCAP ? PCAP_RECORD_HEAD_LENGTH + captured :
					     pcapng_record_length(captured);
}

size_t format_heartbeat(const struct format *format, uint8_t *out, const struct format_statistics *statistics)
{
	return format->kind == FORMAT_PCAP ? 0 : pcapng_heartbeat(format, out, statistics);
}

size_t format_trailer(const struct format *format, uint8_t *out,
		      const struct format_statistics *statistics)
{
	return format->kind == FORMAT_PCAP ? 0 : pcapng_trailer(format, out, statistics);
}

size_t format_trailer_length(const struct format *format)
{
	return format->kind == FORMAT_PCAP ? 0 : PCAPNG_TRAILER_MOST;
}
