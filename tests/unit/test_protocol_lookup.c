/* common/protocol.h: what of a name look-up is taken as a message, and what is not. */
#include "common/protocol.h"

#include <string.h>
#include <sys/socket.h>

#include "scratch.h"

static struct lookup_request lookup_request(void)
{
	return (struct lookup_request){ .header = { PROTOCOL_VERSION, MESSAGE_LOOKUP },
					.name = "example.org" };
}

static bool lookup_accepts(const struct lookup_request *request)
{
	return lookup_request_valid(request, sizeof *request);
}

static void set_family(struct lookup_entry *entry, int32_t family)
{
	entry->family = family;
	entry->address.any.sa_family = (sa_family_t)family;
}

static struct lookup_answer lookup_answer(void)
{
	struct lookup_answer answer = { .header = { PROTOCOL_VERSION, MESSAGE_LOOKUP_ANSWER } };

	for (size_t i = 0; i < LOOKUP_ADDRESS_MAX; i++)
		set_family(&answer.entry[i], i % 2 == 0 ? AF_INET : AF_INET6);
	return answer;
}

static bool answer_accepts(const struct lookup_answer *answer)
{
	return lookup_answer_valid(answer, sizeof *answer);
}

static void lookup_request_is_taken_at_its_exact_size_only(void **state)
{
	struct lookup_request request = lookup_request();

	(void)state;
	assert_true(lookup_request_valid(&request, sizeof request));
	assert_false(lookup_request_valid(&request, sizeof request - 1));
	assert_false(lookup_request_valid(&request, sizeof request + 1));
	assert_false(lookup_request_valid(&request, 0));
}

static void lookup_request_of_another_version_or_type_is_refused(void **state)
{
	struct lookup_request request = lookup_request();

	(void)state;
	request.header.version++;
	assert_false(lookup_accepts(&request));
	request = lookup_request();
	request.header.type = MESSAGE_LOOKUP_ANSWER;
	assert_false(lookup_accepts(&request));
}

static void lookup_request_takes_every_known_kind_and_no_other(void **state)
{
	struct lookup_request request = lookup_request();

	(void)state;
	for (request.kind = 0; request.kind < LOOKUP_KIND_COUNT; request.kind++)
		assert_true(lookup_accepts(&request));
	assert_false(lookup_accepts(&request));
	request.kind = UINT32_MAX;
	assert_false(lookup_accepts(&request));
}

static void lookup_name_must_be_terminated(void **state)
{
	struct lookup_request request = lookup_request();

	(void)state;
	memset(request.name, 'n', sizeof request.name);
	assert_false(lookup_accepts(&request));
	request.name[sizeof request.name - 1] = '\0';
	assert_true(lookup_accepts(&request));
}

static void lookup_answer_is_taken_at_its_exact_size_only(void **state)
{
	struct lookup_answer answer = lookup_answer();

	(void)state;
	assert_true(lookup_answer_valid(&answer, sizeof answer));
	assert_false(lookup_answer_valid(&answer, sizeof answer - 1));
	assert_false(lookup_answer_valid(&answer, sizeof answer + 1));
	assert_false(lookup_answer_valid(&answer, 0));
}

static void lookup_answer_of_another_version_or_type_is_refused(void **state)
{
	struct lookup_answer answer = lookup_answer();

	(void)state;
	answer.header.version++;
	assert_false(answer_accepts(&answer));
	answer = lookup_answer();
	answer.header.type = MESSAGE_LOOKUP;
	assert_false(answer_accepts(&answer));
}

static void lookup_answer_holds_at_most_128_entries(void **state)
{
	struct {
		struct lookup_answer answer;
		struct lookup_entry beyond; /* sound, so that only the count can be what is refused */
	} buffer = { .answer = lookup_answer() };

	(void)state;
	buffer.beyond = buffer.answer.entry[0];
	buffer.answer.count = LOOKUP_ADDRESS_MAX;
	assert_true(answer_accepts(&buffer.answer));
	buffer.answer.count = LOOKUP_ADDRESS_MAX + 1;
	assert_false(answer_accepts(&buffer.answer));
	buffer.answer.count = UINT32_MAX;
	assert_false(answer_accepts(&buffer.answer));
}

static void every_used_entry_of_an_answer_is_ipv4_or_ipv6(void **state)
{
	static const int32_t FAMILIES[] = { AF_UNSPEC, AF_UNIX, AF_PACKET, -1 };
	struct lookup_answer answer = lookup_answer();

	(void)state;
	answer.count = 3;
	for (size_t i = 0; i < COUNT_OF(FAMILIES); i++) {
		set_family(&answer.entry[2], FAMILIES[i]);
		assert_false(answer_accepts(&answer));
	}
	answer.count = 2;
	assert_true(answer_accepts(&answer));
}

static void an_entry_and_its_address_are_of_one_family(void **state)
{
	struct lookup_answer answer = lookup_answer();

	(void)state;
	answer.count = 2;
	answer.entry[1].family = AF_INET;
	assert_false(answer_accepts(&answer));
	answer.entry[1].address.any.sa_family = AF_INET;
	assert_true(answer_accepts(&answer));
	answer.entry[0].address.any.sa_family = AF_UNIX;
	assert_false(answer_accepts(&answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookup_request_is_taken_at_its_exact_size_only),
		cmocka_unit_test(lookup_request_of_another_version_or_type_is_refused),
		cmocka_unit_test(lookup_request_takes_every_known_kind_and_no_other),
		cmocka_unit_test(lookup_name_must_be_terminated),
		cmocka_unit_test(lookup_answer_is_taken_at_its_exact_size_only),
		cmocka_unit_test(lookup_answer_of_another_version_or_type_is_refused),
		cmocka_unit_test(lookup_answer_holds_at_most_128_entries),
		cmocka_unit_test(every_used_entry_of_an_answer_is_ipv4_or_ipv6),
		cmocka_unit_test(an_entry_and_its_address_are_of_one_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
