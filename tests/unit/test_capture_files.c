/* formats/reader.c, pcap_reader.c, pcapng_reader.c: what others wrote, and what nobody should have. */
#include <stdbool.h>
#include <string.h>

#include "formats/pcapng_codes.h"
#include "formats/pcapng_file.h"
#include "formats/reader.h"
#include "scratch.h"

/* A file that a test builds, in either byte order. */
static uint8_t file[READER_RECORD_MOST + 65536];
static size_t length, start;
static bool swap;
static struct reader reader;

static int begin(void **state)
{
	(void)state;
	memset(&reader, 0, sizeof reader);
	length = start = 0;
	swap = false;
	return 0;
}

static void bytes(const void *from, size_t count)
{
	memcpy(file + length, from, count);
	length += count;
}

static void u16(uint16_t value)
{
	if (swap)
		value = __builtin_bswap16(value);
	bytes(&value, sizeof value);
}

static void u32(uint32_t value)
{
	if (swap)
		value = __builtin_bswap32(value);
	bytes(&value, sizeof value);
}

static void u64(uint64_t value)
{
	if (swap)
		value = __builtin_bswap64(value);
	bytes(&value, sizeof value);
}

static void option(uint16_t code, const void *value, uint16_t count)
{
	u16(code);
	u16(count);
	bytes(value, count);
	bytes("\0\0\0", -count & 3u);
}

static size_t begin_block(uint32_t type)
{
	const size_t at = length;

	u32(type);
	u32(0);
	return at;
}

static void end_block(size_t at)
{
	const size_t end = length + 4;

	length = at + 4;
	u32((uint32_t)(end - at));
	length = end - 4;
	u32((uint32_t)(end - at));
}

static void section(void)
{
	const size_t at = begin_block(BLOCK_SECTION_HEADER);

	u32(BYTE_ORDER_MAGIC);
	u16(1);
	u16(0);
	u64(UINT64_MAX);
	option(SHB_OS, "Linux 6", 7);
	end_block(at);
}

static void interface(uint16_t link_type, uint8_t resolution, int64_t offset)
{
	const size_t at = begin_block(BLOCK_INTERFACE_DESCRIPTION);

	u16(link_type);
	u16(0);
	u32(262144);
	option(IDB_NAME, "eth0", 4);
	option(IDB_FILTER, "\0tcp", 4);
	option(IDB_TIMESTAMP_RESOLUTION, &resolution, 1);
	u16(IDB_TIMESTAMP_OFFSET);
	u16(8);
	u64((uint64_t)offset);
	option(OPTION_END, "", 0);
	end_block(at);
}

static void packet(uint32_t number, uint64_t time, uint32_t captured, uint32_t told)
{
	const size_t at = begin_block(BLOCK_ENHANCED_PACKET);

	u32(number);
	u32((uint32_t)(time >> 32));
	u32((uint32_t)time);
	u32(told);
	u32(told + 1000);
	for (uint32_t i = 0; i < captured + (-captured & 3); i++)
		bytes(&(uint8_t){ (uint8_t)i }, 1);
	end_block(at);
}

static enum reader_result next(void)
{
	const enum reader_result result = reader_next(&reader, file + start, length - start);

	if (result != READER_MORE && result != READER_BAD) {
		assert_true(reader.length > 0 && reader.length <= length - start);
		start += reader.length;
	}
	return result;
}

static void assert_text(struct reader_text text, const char *expected)
{
	assert_int_equal(text.length, strlen(expected));
	assert_memory_equal(text.at, expected, text.length);
}

static void pcap_header(uint32_t magic, uint16_t version, uint32_t link_type)
{
	u32(magic);
	u16(version);
	u16(4);
	u64(0);
	u32(65535);
	u32(link_type);
}

static void pcap_is_read(bool swapped, uint32_t magic, uint64_t nanoseconds)
{
	begin(NULL);
	swap = swapped;
	pcap_header(magic, 2, 276);
	assert_int_equal(next(), READER_INTERFACE);
	assert_int_equal(reader.interface.link_type, 276);
	assert_int_equal(reader.interface.nano, magic == 0xa1b23c4d);
	u32(1700000000);
	u32(123456);
	u32(3);
	u32(60);
	bytes("abc", 3);
	assert_int_equal(next(), READER_PACKET);
	assert_true(reader.packet.time == UINT64_C(1700000000000000000) + nanoseconds);
	assert_int_equal(reader.packet.captured, 3);
	assert_int_equal(reader.packet.original, 60);
	assert_memory_equal(reader.packet.data, "abc", 3);
}

static void pcap_is_read_in_both_orders_and_resolutions(void **state)
{
	(void)state;
	for (int swapped = 0; swapped < 2; swapped++) {
		pcap_is_read(swapped == 1, 0xa1b2c3d4, 123456000);
		pcap_is_read(swapped == 1, 0xa1b23c4d, 123456);
	}
}

static void a_pcapng_file_is_read(bool swapped)
{
	begin(NULL);
	swap = swapped;
	section();
	interface(1, 6, 0);
	packet(0, UINT64_C(1700000000123456), 5, 5);
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_INTERFACE);
	assert_text(reader.interface.name, "eth0");
	assert_int_equal(reader.interface.link_type, 1);
	assert_false(reader.interface.nano);
	assert_int_equal(next(), READER_PACKET);
	assert_true(reader.packet.time == UINT64_C(1700000000123456000));
	assert_int_equal(reader.packet.captured, 5);
	assert_int_equal(reader.packet.original, 1005);
	assert_memory_equal(reader.packet.data, "\0\1\2\3\4", 5);
}

static void pcapng_is_read_in_both_orders(void **state)
{
	(void)state;
	a_pcapng_file_is_read(false);
	a_pcapng_file_is_read(true);
}

static void each_interface_has_its_texts_resolution_and_offset(void **state)
{
	static const struct {
		uint8_t resolution;
		int64_t offset;
		uint64_t units, nanoseconds;
		bool nano;
	} CASES[] = {
		{ 0, 0, 7, UINT64_C(7000000000), false }, { 9, 0, 7, 7, true },
		{ 3, 2, 5, UINT64_C(2005000000), false }, { 12, 0, 7999, 7, true },
		{ 0x80 | 10, 0, 512, 500000000, true },	  { 9, -1, 1000000007, 7, true },
		{ 9, -2, 1000000007, 0, true },		  { 6, 0, UINT64_MAX, UINT64_MAX, false },
		{ 127, 0, UINT64_MAX, 0, true },	  { 0xff, 0, UINT64_MAX, 0, true },
		{ 9, INT64_MAX, 1, UINT64_MAX, true },	  { 9, INT64_MIN, UINT64_MAX, 0, true },
		{ 0x80, 0, UINT64_MAX, UINT64_MAX, true },
	};

	(void)state;
	section();
	assert_int_equal(next(), READER_NOTHING);
	for (uint32_t i = 0; i < COUNT_OF(CASES); i++) {
		interface(1, CASES[i].resolution, CASES[i].offset);
		assert_int_equal(next(), READER_INTERFACE);
		assert_int_equal(reader.interface.number, i);
		packet(i, CASES[i].units, 0, 0);
		assert_int_equal(next(), READER_PACKET);
		assert_true(reader.packet.time == CASES[i].nanoseconds);
	}
}

static void texts_point_into_the_bytes(void **state)
{
	(void)state;
	section();
	interface(113, 9, 0);
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_INTERFACE);
	assert_text(reader.interface.name, "eth0");
	assert_text(reader.interface.filter, "tcp");
	assert_text(reader.interface.os, "Linux 6");
	assert_null(reader.interface.description.at);
	assert_true(reader.interface.nano);
}

static void a_new_section_forgets_the_interfaces_before(void **state)
{
	(void)state;
	section();
	interface(1, 6, 0);
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_INTERFACE);
	swap = true;
	section();
	packet(0, 1, 0, 0);
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_BAD);
	assert_string_equal(reader.why, "a packet of an interface that was not described");
}

static void what_the_writer_writes_is_read(void **state)
{
	const struct format format = { .kind = FORMAT_PCAPNG, .nano = true, .snaplen = 262144, .link_type = 1,
				       .interface = "shop/0 lo", .description = "10.0.0.1", .os = "Linux",
				       .system = "Darwin", .application = "x", .filter = "udp", .started = 1700 };
	const struct format_statistics statistics = { .received = 9, .dropped = FORMAT_UNKNOWN, .printed = 7,
						      .ended = 1800, .why = "because" };
	const uint8_t address[4] = { 10, 0, 0, 1 };

	(void)state;
	length = pcapng_header(&format, file);
	length += pcapng_name(file + length, address, sizeof address, "shop/0");
	length += pcapng_heartbeat(&format, file + length, &statistics);
	length += pcapng_trailer(&format, file + length, &statistics);
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_INTERFACE);
	assert_text(reader.interface.name, "shop/0 lo");
	assert_text(reader.interface.description, "10.0.0.1");
	assert_text(reader.interface.os, "Linux");
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_STATISTICS);
	assert_false(reader.statistics.final);
	assert_int_equal(next(), READER_STATISTICS);
	assert_true(reader.statistics.final);
	assert_true(reader.statistics.time == 1800 && reader.statistics.started == 1700);
	assert_true(reader.statistics.received == 9 && reader.statistics.dropped == UINT64_MAX);
	assert_text(reader.statistics.why, "because");
}

static void each_beginning_of_a_file_asks_for_more_and_for_no_more_than_there_is(void **state)
{
	size_t all, at = 0;

	(void)state;
	section();
	interface(1, 6, 0);
	packet(0, 1, 77, 77);
	all = length;
	for (size_t there = 0; there <= all; there++) {
		enum reader_result result = reader_next(&reader, file + at, there - at);
		assert_int_not_equal(result, READER_BAD);
		if (result == READER_MORE)
			assert_true(reader.needed > there - at && at + reader.needed <= all + 12);
		else
			at += reader.length;
	}
	assert_int_equal(at, all);
}

static void assert_bad(const char *why)
{
	enum reader_result result;

	do
		result = next();
	while (result != READER_BAD && result != READER_MORE);
	assert_int_equal(result, READER_BAD);
	assert_string_equal(reader.why, why);
}

static void text_is_no_capture(void **state)
{
	(void)state;
	bytes("FAILED\n", 7);
	assert_bad("it is neither pcap nor pcapng");
}

static void pcap_that_lies_is_refused(void **state)
{
	(void)state;
	pcap_header(0xa1b2c3d4, 3, 1);
	assert_bad("a version of pcap that is not known");
	begin(NULL);
	pcap_header(0xa1b2c3d4, 2, 65536);
	assert_bad("a link type that pcapng has not");
	begin(NULL);
	pcap_header(0xa1b2c3d4, 2, 1);
	u64(0);
	u32(READER_PACKET_MOST + 1);
	u32(READER_PACKET_MOST + 1);
	assert_bad("a packet that is too long");
}

static void a_described_file(void)
{
	begin(NULL);
	section();
	interface(1, 6, 0);
}

static void blocks_that_lie_are_refused(void **state)
{
	size_t at;

	(void)state;
	a_described_file();
	packet(0, 1, 8, 12); /* it has 8 bytes, and tells of 12 */
	assert_bad("a packet that is longer than its block");
	a_described_file();
	packet(0, 1, 8, UINT32_MAX);
	assert_bad("a packet that is longer than its block");
	a_described_file();
	packet(1, 1, 8, 8);
	assert_bad("a packet of an interface that was not described");
	a_described_file();
	at = begin_block(BLOCK_INTERFACE_STATISTICS);
	u32(1);
	u64(0);
	end_block(at);
	assert_bad("statistics of an interface that was not described");
}

static void lengths_that_lie_are_refused(void **state)
{
	static const uint32_t NEVER[] = { 0, 11, 16, 33, READER_RECORD_MOST + 4, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(NEVER); i++) {
		a_described_file();
		u32(BLOCK_ENHANCED_PACKET);
		u32(NEVER[i]);
		u32(0);
		assert_bad(NEVER[i] > READER_RECORD_MOST && NEVER[i] % 4 == 0 ? "a block that is too long" :
									     "a block of a length that cannot be");
	}
	a_described_file();
	packet(0, 1, 4, 4);
	file[length - 4] ^= 4;
	assert_bad("a block with two lengths");
	begin(NULL);
	section();
	file[8] ^= 1;
	assert_bad("a section without a byte order");
	begin(NULL);
	section();
	file[12] ^= 3;
	assert_bad("a version of pcapng that is not known");
}

static void options_that_lie_end_there(void **state)
{
	size_t at;

	(void)state;
	section();
	at = begin_block(BLOCK_INTERFACE_DESCRIPTION);
	u64(1);
	u16(IDB_NAME);
	u16(4000);
	end_block(at);
	assert_int_equal(next(), READER_NOTHING);
	assert_int_equal(next(), READER_INTERFACE);
	assert_null(reader.interface.name.at);
}

static void too_many_interfaces_are_refused(void **state)
{
	(void)state;
	section();
	for (int i = 0; i < READER_INTERFACES_MOST + 1; i++)
		interface(1, 6, 0);
	assert_bad("too many interfaces");
	assert_int_equal(reader.interface_count, READER_INTERFACES_MOST);
}

static void other_blocks_are_passed_over(void **state)
{
	size_t at;

	(void)state;
	a_described_file();
	at = begin_block(BLOCK_NAME_RESOLUTION);
	end_block(at);
	for (int i = 0; i < 3; i++)
		assert_int_equal(next(), i == 1 ? READER_INTERFACE : READER_NOTHING);
	assert_int_equal(start, length);
}

static void packets_that_cannot_be_put_in_order_are_refused(void **state)
{
	(void)state;
	for (uint32_t type = BLOCK_PACKET; type <= BLOCK_SIMPLE_PACKET; type++) {
		size_t at;
		begin(state);
		a_described_file();
		at = begin_block(type);
		u64(0);
		end_block(at);
		assert_bad("a packet block of an old kind, or one without a time");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pcap_is_read_in_both_orders_and_resolutions, begin),
		cmocka_unit_test_setup(pcapng_is_read_in_both_orders, begin),
		cmocka_unit_test_setup(each_interface_has_its_texts_resolution_and_offset, begin),
		cmocka_unit_test_setup(texts_point_into_the_bytes, begin),
		cmocka_unit_test_setup(a_new_section_forgets_the_interfaces_before, begin),
		cmocka_unit_test_setup(what_the_writer_writes_is_read, begin),
		cmocka_unit_test_setup(each_beginning_of_a_file_asks_for_more_and_for_no_more_than_there_is, begin),
		cmocka_unit_test_setup(text_is_no_capture, begin),
		cmocka_unit_test_setup(pcap_that_lies_is_refused, begin),
		cmocka_unit_test_setup(blocks_that_lie_are_refused, begin),
		cmocka_unit_test_setup(lengths_that_lie_are_refused, begin),
		cmocka_unit_test_setup(options_that_lie_end_there, begin),
		cmocka_unit_test_setup(too_many_interfaces_are_refused, begin),
		cmocka_unit_test_setup(other_blocks_are_passed_over, begin),
		cmocka_unit_test_setup(packets_that_cannot_be_put_in_order_are_refused, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
