/* formats/format.c, pcap_file.c, pcapng_file.c: files byte for byte, on a little-endian machine. */
#include "formats/format.h"

#include <string.h>

#include "base/version.h"
#include "capture/ending.h"
#include "scratch.h"

static struct format format_of(enum file_format kind, bool nano)
{
	return (struct format){ .kind = kind,
				.nano = nano,
				.snaplen = 0x00010203,
				.link_type = LINK_TYPE_LINUX_SLL2,
				.interface = "eth0",
				.system = "Linux",
				.application = "cf-pcap " CFPCAP_VERSION,
				.filter = "tcp",
				.started = UINT64_C(0x0001020304050607) * 1000 };
}


static uint8_t out[FORMAT_HEADER_SIZE];

static size_t put_head(const struct format *format, uint32_t captured, uint32_t original)
{
	const struct record_head head = { 0x01020304, 987654321, captured, original };

	return format_record_head(format, out, &head);
}

static void assert_out(size_t length, const uint8_t *expected, size_t expected_length)
{
	assert_int_equal(length, expected_length);
	assert_memory_equal(out, expected, expected_length);
}

#define ASSERT_OUT(length, ...)                                              \
	assert_out(length, (const uint8_t[]){ __VA_ARGS__ },                 \
		   sizeof((const uint8_t[]){ __VA_ARGS__ }))

static uint32_t word_at(size_t offset)
{
	uint32_t word;

	memcpy(&word, out + offset, sizeof word);
	return word;
}

static void pcap_header_has_the_magic_of_its_resolution(void **state)
{
	struct format format = format_of(FORMAT_PCAP, false);

	(void)state;
	ASSERT_OUT(format_header(&format, out), 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0,
		   0, 3, 2, 1, 0, 0x14, 1, 0, 0);
	format.nano = true;
	ASSERT_OUT(format_header(&format, out), 0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0,
		   0, 3, 2, 1, 0, 0x14, 1, 0, 0);
}

static void pcap_record_head_has_microseconds(void **state)
{
	const struct format format = format_of(FORMAT_PCAP, false);

	(void)state;
	/* 987654 µs */
	ASSERT_OUT(put_head(&format, 60, 0x05060708), 4, 3, 2, 1, 0x06, 0x12,
		   0x0f, 0, 60, 0, 0, 0, 8, 7, 6, 5);
}

static void pcap_record_head_has_nanoseconds_if_asked(void **state)
{
	const struct format format = format_of(FORMAT_PCAP, true);

	(void)state;
	ASSERT_OUT(put_head(&format, 0, 60), 4, 3, 2, 1, 0xb1, 0x68, 0xde, 0x3a,
		   0, 0, 0, 0, 60, 0, 0, 0);
}

static void pcap_has_nothing_behind_records_or_at_the_end(void **state)
{
	const struct format format = format_of(FORMAT_PCAP, false);
	const struct format_statistics statistics = { .received = 1, .ended = 3, .why = "why" };

	(void)state;
	assert_int_equal(format_record_tail(&format, out, 61), 0);
	assert_int_equal(format_record_length(&format, 61), 16 + 61);
	assert_int_equal(format_trailer(&format, out, &statistics), 0);
	assert_int_equal(format_trailer_length(&format), 0);
	assert_int_equal(format_heartbeat(&format, out, &statistics), 0);
}

#define SECTION_LENGTH (28 + 4 + 8 + 4 + sizeof "cf-pcap " CFPCAP_VERSION - 1 + APP_PADDING + 4)
#define APP_PADDING (-(sizeof "cf-pcap " CFPCAP_VERSION - 1) & 3)

static void pcapng_begins_with_a_section_header(void **state)
{
	static const uint8_t BEGIN[] = { 0x4d, 0x3c, 0x2b, 0x1a, 1,    0,    0,	   0,	 0xff, 0xff, 0xff,
					 0xff, 0xff, 0xff, 0xff, 0xff, 3,    0,	   5,	 0,    'L',  'i',
					 'n',  'u',  'x',  0,	 0,    0,    4,	   0 };
	const struct format format = format_of(FORMAT_PCAPNG, false);

	(void)state;
	format_header(&format, out);
	assert_int_equal(word_at(0), 0x0a0d0d0a);
	assert_int_equal(word_at(4), SECTION_LENGTH);
	assert_memory_equal(out + 8, BEGIN, sizeof BEGIN);
	assert_memory_equal(out + 40, "cf-pcap " CFPCAP_VERSION, strlen("cf-pcap " CFPCAP_VERSION));
	assert_int_equal(word_at(SECTION_LENGTH - 8), 0);
	assert_int_equal(word_at(SECTION_LENGTH - 4), SECTION_LENGTH);
}

static void assert_interface_description(bool nano, uint8_t resolution)
{
	const struct format format = format_of(FORMAT_PCAPNG, nano);
	const uint8_t expected[] = { 1,  0, 0, 0, 48,  0,   0,	 0,   0x14, 1, 0, 0, 3,		 2, 1, 0,
				     2,  0, 4, 0, 'e', 't', 'h', '0', 9,    0, 1, 0, resolution, 0, 0, 0,
				     11, 0, 4, 0, 0,   't', 'c', 'p', 0,    0, 0, 0, 48,	 0, 0, 0 };

	assert_int_equal(format_header(&format, out), SECTION_LENGTH + sizeof expected);
	assert_memory_equal(out + SECTION_LENGTH, expected, sizeof expected);
}

static void pcapng_describes_its_interface(void **state)
{
	(void)state;
	assert_interface_description(false, 6);
	assert_interface_description(true, 9);
}

static void pcapng_leaves_out_an_empty_filter(void **state)
{
	struct format format = format_of(FORMAT_PCAPNG, false);

	(void)state;
	format.filter = "";
	assert_int_equal(format_header(&format, out), SECTION_LENGTH + 40);
	assert_int_equal(word_at(SECTION_LENGTH + 4), 40);
}

static void pcapng_header_fits_with_the_longest_texts(void **state)
{
	static char filter[FORMAT_FILTER_SIZE], system[131];
	struct format format = format_of(FORMAT_PCAPNG, false);
	size_t length;

	(void)state;
	memset(filter, 'f', sizeof filter - 1);
	memset(system, 's', sizeof system - 1);
	format.filter = filter;
	format.system = system;
	format.interface = "fifteen-letters";
	length = format_header(&format, out);
	assert_true(length <= sizeof out);
	assert_int_equal(length % 4, 0);
}

static void pcapng_packet_block_is_exact(void **state)
{
	struct format format = format_of(FORMAT_PCAPNG, false);

	(void)state;
	assert_int_equal(put_head(&format, 61, 0x05060708), 28);
	assert_int_equal(word_at(0), 6);
	assert_int_equal(word_at(4), 32 + 64);
	assert_int_equal(word_at(8), 0);
	assert_int_equal((uint64_t)word_at(12) << 32 | word_at(16), UINT64_C(16909060987654));
	assert_int_equal(word_at(20), 61);
	assert_int_equal(word_at(24), 0x05060708);
	format.nano = true;
	put_head(&format, 61, 61);
	assert_int_equal((uint64_t)word_at(12) << 32 | word_at(16), UINT64_C(16909060987654321));
}

static void pcapng_times_survive_the_year_2038(void **state)
{
	const struct record_head late = { .seconds = UINT32_MAX, .nanoseconds = 999999999 };
	const struct format format = format_of(FORMAT_PCAPNG, true);

	(void)state;
	format_record_head(&format, out, &late);
	assert_int_equal((uint64_t)word_at(12) << 32 | word_at(16), UINT64_C(4294967295999999999));
}

static void pcapng_packets_are_padded_to_32_bits(void **state)
{
	const struct format format = format_of(FORMAT_PCAPNG, false);

	(void)state;
	for (uint32_t captured = 0; captured < 9; captured++) {
		const uint32_t padding = (4 - captured % 4) % 4, length = 32 + captured + padding;
		memset(out, 0xee, 16);
		assert_int_equal(format_record_tail(&format, out, captured), padding + 4);
		for (uint32_t i = 0; i < padding; i++)
			assert_int_equal(out[i], 0);
		assert_int_equal(word_at(padding), length);
		assert_int_equal(format_record_length(&format, captured), length);
		assert_int_equal(out[padding + 4], 0xee);
	}
}

static void pcapng_ends_with_statistics(void **state)
{
	static const uint8_t EXPECTED[] = {
		5, 0, 0, 0, 120, 0, 0, 0, 0,   0,    0, 0, 0x03, 2, 1, 0, 0x07, 6, 5, 4, /* interface, time */
		1, 0, 3, 0, 'w', 'h', 'y', 0, 2, 0, 8, 0, 3, 2, 1, 0, 7, 6, 5, 4,	/* why, start */
		3, 0, 8, 0, 3, 2, 1, 0, 7, 6, 5, 4,					/* end */
		4, 0, 8, 0, 8, 7, 6, 5, 4, 3, 2, 1,					/* received */
		5, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0,					/* dropped */
		6, 0, 8, 0, 8, 7, 6, 5, 4, 3, 2, 1,					/* accepted */
		7, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0,					/* dropped by the system */
		8, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0, 0,					/* delivered */
		0, 0, 0, 0, 120, 0, 0, 0,
	};
	const struct format format = format_of(FORMAT_PCAPNG, false);
	const struct format_statistics statistics = { .received = UINT64_C(0x0102030405060708),
						      .dropped = 2,
						      .printed = 9,
						      .ended = format.started,
						      .why = "why" };

	(void)state;
	assert_out(format_trailer(&format, out, &statistics), EXPECTED, sizeof EXPECTED);
}

static void as_much_is_kept_free_as_the_longest_end_takes(void **state)
{
	const struct format format = format_of(FORMAT_PCAPNG, false);
	struct format_statistics statistics = { .why = "the kernel's packet ring is inconsistent" };

	(void)state;
	assert_int_equal(format_trailer(&format, out, &statistics), format_trailer_length(&format));
	for (int ending = RUNNING; ending <= ENDING_RING_CORRUPT; ending++)
		assert_true(strlen(ending_text((enum ending)ending)) <= FORMAT_WHY_MOST);
}

static void a_pcapng_heartbeat_is_statistics_without_an_end(void **state)
{
	static const uint8_t EXPECTED[] = {
		5, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0x03, 2, 1, 0, 0x07, 6, 5, 4, /* interface, time */
		2, 0, 8, 0, 3,	 2, 1, 0, 7, 6, 5, 4,				    /* start */
		4, 0, 8, 0, 3,	 0, 0, 0, 0, 0, 0, 0,				    /* received */
		5, 0, 8, 0, 2,	 0, 0, 0, 0, 0, 0, 0,				    /* dropped */
		6, 0, 8, 0, 3,	 0, 0, 0, 0, 0, 0, 0,				    /* accepted */
		7, 0, 8, 0, 2,	 0, 0, 0, 0, 0, 0, 0,				    /* dropped by the system */
		8, 0, 8, 0, 1,	 0, 0, 0, 0, 0, 0, 0,				    /* delivered */
		0, 0, 0, 0, 100, 0, 0, 0,
	};
	const struct format format = format_of(FORMAT_PCAPNG, false);
	const struct format_statistics statistics = { .received = 3, .dropped = 2, .printed = 1, .ended = format.started };

	(void)state;
	assert_out(format_heartbeat(&format, out, &statistics), EXPECTED, sizeof EXPECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcap_header_has_the_magic_of_its_resolution),
		cmocka_unit_test(pcap_record_head_has_microseconds),
		cmocka_unit_test(pcap_record_head_has_nanoseconds_if_asked),
		cmocka_unit_test(pcap_has_nothing_behind_records_or_at_the_end),
		cmocka_unit_test(pcapng_begins_with_a_section_header),
		cmocka_unit_test(pcapng_describes_its_interface),
		cmocka_unit_test(pcapng_leaves_out_an_empty_filter),
		cmocka_unit_test(pcapng_header_fits_with_the_longest_texts),
		cmocka_unit_test(pcapng_packet_block_is_exact),
		cmocka_unit_test(pcapng_times_survive_the_year_2038),
		cmocka_unit_test(pcapng_packets_are_padded_to_32_bits),
		cmocka_unit_test(pcapng_ends_with_statistics),
		cmocka_unit_test(as_much_is_kept_free_as_the_longest_end_takes),
		cmocka_unit_test(a_pcapng_heartbeat_is_statistics_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
