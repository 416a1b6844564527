/* collector/desk/instances.c: what the platform answers, and what nobody should have. */
#include "collector/desk/instances.h"

#include <string.h>

#include "scratch.h"

static struct instance instances[INSTANCES_MOST];

static int read_text(const char *json)
{
	return instances_read(json, strlen(json), instances);
}

static void instances_are_read_with_state_and_address(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"resources\":[{\"type\":\"web\",\"index\":0,\"state\":\"RUNNING\",\"host\":\"10.0.0.1\","
				   "\"instance_internal_ip\":\"10.255.1.2\"},{\"index\":7,\"state\":\"DOWN\",\"uptime\":0},"
				   "{\"index\":8,\"state\":\"RUNNING\",\"instance_internal_ip\":\"fd00::1\"}]}"), 3);
	assert_true(instances[0].runs && instances[0].address_length == 4);
	assert_memory_equal(instances[0].address, "\x0a\xff\x01\x02", 4);
	assert_true(!instances[1].runs && instances[1].index == 7 && instances[1].address_length == 0);
	assert_string_equal(instances[1].state, "DOWN");
	assert_int_equal(instances[2].address_length, 16);
}

static void what_is_no_such_answer_is_refused(void **state)
{
	static const char *const BAD[] = { "", "FAILED", "[]", "{}", "{\"resources\":{}}", "{\"resources\":[1]}",
					   "{\"resources\":[{\"index\":-1,\"state\":\"RUNNING\"}]}",
					   "{\"resources\":[{\"index\":100000,\"state\":\"RUNNING\"}]}",
					   "{\"resources\":[{\"index\":\"0\",\"state\":\"RUNNING\"}]}",
					   "{\"resources\":[{\"index\":0}]}" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(BAD); i++)
		assert_int_equal(read_text(BAD[i]), -1);
	assert_int_equal(read_text("{\"resources\":[]}"), 0);
}

static void a_state_is_letters_and_a_wrong_address_is_none(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"resources\":[{\"index\":0,\"state\":\"CRA\\u001b[31m\",\"instance_internal_ip\":\"x\"}]}"), 1);
	assert_string_equal(instances[0].state, "CRA?????");
	assert_int_equal(instances[0].address_length, 0);
	assert_false(instances[0].runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instances_are_read_with_state_and_address),
		cmocka_unit_test(what_is_no_such_answer_is_refused),
		cmocka_unit_test(a_state_is_letters_and_a_wrong_address_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
