/* common/protocol.c: each message at its bounds. */
#include "common/protocol.h"

#include <string.h>
#include <sys/socket.h>

#include "scratch.h"

static struct open_request open_request(void)
{
	return (struct open_request){ .header = { PROTOCOL_VERSION, MESSAGE_OPEN },
				      .snaplen = 1500,
				      .interface = "eth0",
				      .guard = "not tcp port 2222",
				      .ring = { .tp_block_size = 4096, .tp_block_nr = 2 },
				      .filter = "port 80" };
}

static bool open_accepts(const struct open_request *request)
{
	return open_request_valid(request, sizeof *request);
}

static bool open_accepts_interface(const char *name)
{
	struct open_request request = open_request();

	memset(request.interface, 0, sizeof request.interface);
	memcpy(request.interface, name, strnlen(name, sizeof request.interface));
	return open_accepts(&request);
}

static struct open_reply open_reply(void)
{
	return (struct open_reply){ .header = { PROTOCOL_VERSION, MESSAGE_OPEN_REPLY } };
}

static bool reply_accepts(const struct open_reply *reply)
{
	return open_reply_valid(reply, sizeof *reply);
}

static void open_request_is_taken_at_its_exact_size_only(void **state)
{
	struct open_request request = open_request();

	(void)state;
	assert_true(open_request_valid(&request, sizeof request));
	assert_false(open_request_valid(&request, sizeof request - 1));
	assert_false(open_request_valid(&request, sizeof request + 1));
	assert_false(open_request_valid(&request, sizeof request.header));
	assert_false(open_request_valid(&request, 0));
	assert_false(open_request_valid(&request, SIZE_MAX));
}

static void open_request_of_another_version_is_refused(void **state)
{
	struct open_request request = open_request();

	(void)state;
	request.header.version = PROTOCOL_VERSION + 1;
	assert_false(open_accepts(&request));
	request.header.version = PROTOCOL_VERSION - 1;
	assert_false(open_accepts(&request));
}

static void open_request_of_another_type_is_refused(void **state)
{
	struct open_request request = open_request();

	(void)state;
	for (uint32_t type = MESSAGE_OPEN + 1; type <= MESSAGE_LOOKUP_ANSWER; type++) {
		request.header.type = type;
		assert_false(open_accepts(&request));
	}
	request.header.type = 0;
	assert_false(open_accepts(&request));
}

static void open_request_takes_every_known_flag_and_no_other(void **state)
{
	struct open_request request = open_request();

	(void)state;
	for (unsigned int bit = 0; bit < 32; bit++) {
		request.flags = UINT32_C(1) << bit;
		assert_int_equal(open_accepts(&request), (request.flags & OPEN_FLAGS_ALL) != 0);
	}
	request.flags = OPEN_FLAGS_ALL;
	assert_true(open_accepts(&request));
	request.flags = UINT32_MAX;
	assert_false(open_accepts(&request));
}

static void open_request_takes_a_snaplen_from_1_to_262144(void **state)
{
	static const struct {
		uint32_t snaplen;
		bool valid;
	} CASES[] = { { 0, false }, { 1, true }, { 262144, true }, { 262145, false },
		      { UINT32_C(1) << 31, false }, { UINT32_MAX, false } };
	struct open_request request = open_request();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		request.snaplen = CASES[i].snaplen;
		assert_int_equal(open_accepts(&request), CASES[i].valid);
	}
}

static void open_request_takes_a_ring_of_at_most_64_mib(void **state)
{
	static const struct {
		struct tpacket_req3 ring;
		bool valid;
	} CASES[] = {
		{ { .tp_block_size = 1 << 20, .tp_block_nr = 64 }, true },
		{ { .tp_block_size = 1 << 20, .tp_block_nr = 65 }, false },
		{ { .tp_block_size = 4096, .tp_block_nr = 2 }, true },
		{ { .tp_block_size = 2048, .tp_block_nr = 2 }, false },
		{ { .tp_block_size = 0, .tp_block_nr = 2 }, false },
		{ { .tp_block_size = (1 << 20) + 4096, .tp_block_nr = 2 }, false }, /* would take 2 MiB each */
		{ { .tp_block_size = 1 << 16, .tp_block_nr = 1 << 16 }, false },
		{ { .tp_block_size = UINT32_MAX, .tp_block_nr = UINT32_MAX }, false },
		{ { .tp_block_size = 1 << 20, .tp_block_nr = 2, .tp_sizeof_priv = 1 }, false },
		{ { .tp_block_size = 1 << 20, .tp_block_nr = 2, .tp_feature_req_word = 1 }, false },
	};
	struct open_request request = open_request();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		request.ring = CASES[i].ring;
		assert_int_equal(open_accepts(&request), CASES[i].valid);
	}
}

static void interface_name_may_have_15_characters(void **state)
{
	(void)state;
	assert_true(open_accepts_interface("e"));
	assert_true(open_accepts_interface("any"));
	assert_true(open_accepts_interface("br-0.12@_!~\xc3\xa9"));
	assert_true(open_accepts_interface("fifteen-letters"));
	assert_true(open_accepts_interface("..."));
}

static void interface_name_must_be_terminated(void **state)
{
	(void)state;
	assert_false(open_accepts_interface("sixteen-letters!"));
}

static void interface_name_must_not_be_empty(void **state)
{
	(void)state;
	assert_false(open_accepts_interface(""));
}

static void interface_name_can_never_be_part_of_a_path(void **state)
{
	static const char *const NAMES[] = { ".",   "..",   "/",     "../eth0", "a/b", "eth0/",
					     "a:0", "a b",  "a\tb",  "a\nb",	"a\vb", "a\fb",
					     "a\rb", " eth0", "eth0 " };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(NAMES); i++)
		assert_false(open_accepts_interface(NAMES[i]));
}

static void filters_must_be_terminated(void **state)
{
	struct open_request request = open_request();
	const struct {
		char *text;
		size_t size;
	} FILTERS[] = { { request.policy, sizeof request.policy },
			{ request.guard, sizeof request.guard },
			{ request.filter, sizeof request.filter } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FILTERS); i++) {
		memset(FILTERS[i].text, 'f', FILTERS[i].size);
		assert_false(open_accepts(&request));
		FILTERS[i].text[FILTERS[i].size - 1] = '\0';
		assert_true(open_accepts(&request));
		memset(FILTERS[i].text, 0, FILTERS[i].size);
		assert_true(open_accepts(&request));
	}
}

static void open_reply_is_taken_at_its_exact_size_only(void **state)
{
	struct open_reply reply = open_reply();

	(void)state;
	assert_true(open_reply_valid(&reply, sizeof reply));
	assert_false(open_reply_valid(&reply, sizeof reply - 1));
	assert_false(open_reply_valid(&reply, sizeof reply + 1));
	assert_false(open_reply_valid(&reply, 0));
}

static void open_reply_of_another_version_or_type_is_refused(void **state)
{
	struct open_reply reply = open_reply();

	(void)state;
	reply.header.version++;
	assert_false(reply_accepts(&reply));
	reply = open_reply();
	reply.header.type = MESSAGE_OPEN;
	assert_false(reply_accepts(&reply));
	reply.header.type = MESSAGE_PACKET_FD;
	assert_false(reply_accepts(&reply));
}

static void open_reply_takes_every_known_result_and_no_other(void **state)
{
	struct open_reply reply = open_reply();

	(void)state;
	for (reply.result = 0; reply.result < OPEN_RESULT_COUNT; reply.result++)
		assert_true(reply_accepts(&reply));
	assert_false(reply_accepts(&reply));
	reply.result = UINT32_MAX;
	assert_false(reply_accepts(&reply));
}

static void open_reply_takes_0_and_1_as_truth_values(void **state)
{
	struct open_reply reply = open_reply();
	uint32_t *const values[] = { &reply.had_capability, &reply.no_new_privs, &reply.guarded };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		*values[i] = 1;
		assert_true(reply_accepts(&reply));
		*values[i] = 2;
		assert_false(reply_accepts(&reply));
		*values[i] = 0;
	}
}

static void open_reply_text_must_be_terminated(void **state)
{
	struct open_reply reply = open_reply();

	(void)state;
	memset(reply.text, 't', sizeof reply.text);
	assert_false(reply_accepts(&reply));
	reply.text[sizeof reply.text - 1] = '\0';
	assert_true(reply_accepts(&reply));
}

static void bare_message_is_taken_at_its_exact_size_only(void **state)
{
	struct bare_message message = { { PROTOCOL_VERSION, MESSAGE_PACKET_FD } };

	(void)state;
	assert_true(bare_message_valid(&message, MESSAGE_PACKET_FD, sizeof message));
	assert_false(bare_message_valid(&message, MESSAGE_PACKET_FD, sizeof message - 1));
	assert_false(bare_message_valid(&message, MESSAGE_PACKET_FD, sizeof message + 1));
	assert_false(bare_message_valid(&message, MESSAGE_PACKET_FD, 0));
}

static void bare_message_of_another_version_or_type_is_refused(void **state)
{
	struct bare_message message = { { PROTOCOL_VERSION + 1, MESSAGE_SANDBOXED } };

	(void)state;
	assert_false(bare_message_valid(&message, MESSAGE_SANDBOXED, sizeof message));
	message.header.version = PROTOCOL_VERSION;
	assert_true(bare_message_valid(&message, MESSAGE_SANDBOXED, sizeof message));
	assert_false(bare_message_valid(&message, MESSAGE_PACKET_FD, sizeof message));
	assert_false(bare_message_valid(&message, MESSAGE_STATUS_QUESTION, sizeof message));
}

static void status_answer_drops_no_more_than_there_were(void **state)
{
	struct status_answer answer = { .header = { PROTOCOL_VERSION, MESSAGE_STATUS_ANSWER },
					.packets = 7,
					.dropped = 7,
					.error = ENETDOWN,
					.interface = -1 };

	(void)state;
	assert_true(status_answer_valid(&answer, sizeof answer));
	assert_false(status_answer_valid(&answer, sizeof answer - 1));
	answer.dropped = 8;
	assert_false(status_answer_valid(&answer, sizeof answer));
	answer.dropped = 0;
	answer.header.type = MESSAGE_STATUS_QUESTION;
	assert_false(status_answer_valid(&answer, sizeof answer));
}

static void text_is_copied_if_it_fits_with_its_nul(void **state)
{
	char field[4] = "old";

	(void)state;
	assert_int_equal(protocol_copy_text(field, sizeof field, ""), 0);
	assert_string_equal(field, "");
	assert_int_equal(protocol_copy_text(field, sizeof field, "abc"), 0);
	assert_string_equal(field, "abc");
	assert_int_equal(protocol_copy_text(field, sizeof field, "abcd"), -1);
	assert_string_equal(field, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_request_is_taken_at_its_exact_size_only),
		cmocka_unit_test(open_request_of_another_version_is_refused),
		cmocka_unit_test(open_request_of_another_type_is_refused),
		cmocka_unit_test(open_request_takes_every_known_flag_and_no_other),
		cmocka_unit_test(open_request_takes_a_snaplen_from_1_to_262144),
		cmocka_unit_test(open_request_takes_a_ring_of_at_most_64_mib),
		cmocka_unit_test(interface_name_may_have_15_characters),
		cmocka_unit_test(interface_name_must_be_terminated),
		cmocka_unit_test(interface_name_must_not_be_empty),
		cmocka_unit_test(interface_name_can_never_be_part_of_a_path),
		cmocka_unit_test(filters_must_be_terminated),
		cmocka_unit_test(open_reply_is_taken_at_its_exact_size_only),
		cmocka_unit_test(open_reply_of_another_version_or_type_is_refused),
		cmocka_unit_test(open_reply_takes_every_known_result_and_no_other),
		cmocka_unit_test(open_reply_takes_0_and_1_as_truth_values),
		cmocka_unit_test(open_reply_text_must_be_terminated),
		cmocka_unit_test(bare_message_is_taken_at_its_exact_size_only),
		cmocka_unit_test(bare_message_of_another_version_or_type_is_refused),
		cmocka_unit_test(status_answer_drops_no_more_than_there_were),
		cmocka_unit_test(text_is_copied_if_it_fits_with_its_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
