/* collector/extcap/request.c, collector/desk/app_names.c: Wireshark's command lines, and what the platform tells of apps. */
#include <string.h>

#include "collector/desk/app_names.h"
#include "collector/extcap/request.h"
#include "scratch.h"

static struct extcap_request request;
static struct collect_options options;

/* Of words that end with a NULL. What is said is kept from the terminal. */
static int read_words(const char **words)
{
	int count = 0, result;

	while (words[count] != NULL)
		count++;
	scratch_begin_capture(STDERR_FILENO);
	result = request_read(&request, count, (char *const *)(uintptr_t)words);
	if (result == 0 && request.capture)
		result = request_translate(&request, &options, "cf-pcap-collect");
	scratch_end_capture();
	return result;
}

#define READ(...) read_words((const char *[]){ "cf-pcap-collect", __VA_ARGS__, NULL })
#define CAPTURE(interface, ...) READ("--capture", "--extcap-interface", interface, "--fifo", "/f", __VA_ARGS__)

static void a_capture_of_apps_is_a_command_line_of_ours(void **state)
{
	(void)state;
	assert_int_equal(CAPTURE(EXTCAP_APP, "--app", "shop, api", "--process", "worker", "--instances", "all", "--instance-list", "0,2-4", "--interface",
				 "lo,eth0", "--headers-only", "--snaplen", "96", "--window", "1s", "--via", "cf", "--remote",
				 "/usr/bin/cf-pcap", "--extcap-capture-filter", "tcp port 80"), 0);
	assert_int_equal(options.app_count, 2);
	assert_string_equal(options.apps[1], "api");
	assert_string_equal(options.process, "worker");
	assert_string_equal(options.instances, "0,2-4");
	assert_string_equal(options.interfaces, "lo,eth0");
	assert_string_equal(options.snaplen, "96");
	assert_string_equal(options.remote, "/usr/bin/cf-pcap");
	assert_string_equal(options.filter, "tcp port 80");
	assert_string_equal(options.fifo, "/f");
	assert_true(options.headers_only && options.window == 1000000000);
}

static void a_capture_on_hosts_is_one_too(void **state)
{
	(void)state;
	assert_int_equal(CAPTURE(EXTCAP_SSH, "--hosts", "db1,db2 db3"), 0);
	assert_int_equal(options.host_count, 3);
	assert_string_equal(options.interfaces, "any");
	assert_string_equal(options.hosts[2], "db3");
	assert_int_equal(options.app_count, 0);
}

static void defaults_are_left_to_the_program_there(void **state)
{
	(void)state;
	assert_int_equal(CAPTURE(EXTCAP_APP, "--app", "shop", "--instances", "all", "--snaplen", EXTCAP_SNAPLEN, "--process", ""), 0);
	assert_null(options.instances);
	assert_null(options.snaplen);
	assert_null(options.process);
	assert_string_equal(options.interfaces, "lo");
	assert_false(options.headers_only);
}

static void unknown_words_of_newer_versions_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(READ("--extcap-interfaces", "--extcap-version=9.9"), 0);
	assert_true(request.interfaces);
	assert_int_equal(READ("--extcap-new", "value", "--extcap-interface=" EXTCAP_APP, "--extcap-dlts"), 0);
	assert_true(request.dlts);
	assert_int_equal(READ("--extcap-interface", EXTCAP_APP, "--no-such"), -1);
}

static void what_cannot_be_captured_is_refused(void **state)
{
	(void)state;
	assert_int_equal(CAPTURE(EXTCAP_APP, "--app", ""), -1);
	assert_int_equal(CAPTURE(EXTCAP_SSH, "--app", "shop"), -1);
	assert_int_equal(CAPTURE(EXTCAP_APP, "--app", "-o"), -1);
	assert_int_equal(CAPTURE(EXTCAP_APP, "--app", "shop,-o,x"), -1);
	assert_int_equal(CAPTURE(EXTCAP_APP, "--app", "shop", "--window", "soon"), -1);
	assert_int_equal(CAPTURE("lo", "--app", "shop"), -1);
	assert_int_equal(READ("--capture", "--extcap-interface", EXTCAP_APP, "--app", "shop"), -1);
	assert_int_equal(READ("--extcap-dlts"), -1);
	assert_int_equal(READ("--extcap-interface"), -1);
}

static void names_of_apps_are_words(void **state)
{
	static const char ANSWER[] = "{\"resources\":[{\"name\":\"shop\"},{\"name\":\"-o\"},{\"name\":\"a b\"},{\"name\":\"a{b}\"},"
				     "{\"name\":\"\\u001b[31m\"},{\"name\":\"\"},{\"name\":3},4,{\"name\":\"api\"}]}";
	static struct app_names names;

	(void)state;
	assert_int_equal(app_names_read(&names, ANSWER, strlen(ANSWER)), 0);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.name[0], "shop");
	assert_string_equal(names.name[1], "api");
	assert_int_equal(app_names_read(&names, "{}", 2), -1);
	assert_int_equal(app_names_read(&names, "FAILED", 6), -1);
}

static void the_space_is_that_of_cfs_configuration(void **state)
{
	static const char *const BAD[] = { "", "{}", "{\"SpaceFields\":{\"GUID\":\"\"}}", "{\"SpaceFields\":{\"GUID\":\"../x\"}}" };
	static const char GOOD[] = "{\"SpaceFields\":{\"GUID\":\"0a-1B\",\"Name\":\"dev\"}}";
	char guid[GUID_SIZE];

	(void)state;
	assert_int_equal(app_names_read_space(guid, GOOD, strlen(GOOD)), 0);
	assert_string_equal(guid, "0a-1B");
	for (size_t i = 0; i < COUNT_OF(BAD); i++)
		assert_int_equal(app_names_read_space(guid, BAD[i], strlen(BAD[i])), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_capture_of_apps_is_a_command_line_of_ours),
		cmocka_unit_test(a_capture_on_hosts_is_one_too),
		cmocka_unit_test(defaults_are_left_to_the_program_there),
		cmocka_unit_test(unknown_words_of_newer_versions_are_left_out),
		cmocka_unit_test(what_cannot_be_captured_is_refused),
		cmocka_unit_test(names_of_apps_are_words),
		cmocka_unit_test(the_space_is_that_of_cfs_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
