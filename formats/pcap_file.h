/* formats: the bytes of files; no call of the system. */
/* The pcap file format, pcap-savefile(5), in host byte order. */
#pragma once

#include "format.h"

#define PCAP_RECORD_HEAD_LENGTH 16 /* bytes */

/* As their counterparts in format.h. */
size_t pcap_file_header(const struct format *format, uint8_t *out);
size_t pcap_record_head(const struct format *format, uint8_t *out, const struct record_head *head);

