/* base/quantity.c: numbers, sizes and durations. */
#include "base/quantity.h"

#include "scratch.h"

#define SECOND UINT64_C(1000000000)

struct parsed {
	const char *text;
	uint64_t value;
};

typedef int parse_function(const char *text, uint64_t *value);

static void assert_all_parse(parse_function *parse, const struct parsed *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 1;
		if (parse(cases[i].text, &value) != 0 || value != cases[i].value)
			fail_msg("\"%s\" gave %llu", cases[i].text, (unsigned long long)value);
	}
}

static void assert_none_parses(parse_function *parse, const char *const *texts, size_t count)
{
	uint64_t value;

	for (size_t i = 0; i < count; i++)
		if (parse(texts[i], &value) != -1)
			fail_msg("\"%s\" was taken", texts[i]);
}

static void numbers_are_decimal_up_to_64_bits(void **state)
{
	static const struct parsed CASES[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "007", 7 },
		{ "65535", 65535 },
		{ "18446744073709551615", UINT64_MAX },
		{ "000000000000000000000000000000000001", 1 },
	};

	(void)state;
	assert_all_parse(quantity_parse_number, CASES, COUNT_OF(CASES));
}

static void anything_else_is_no_number(void **state)
{
	static const char *const TEXTS[] = {
		"",    " ",    " 1",  "1 ",  "-1", "+1",  "1.0",  "1e3", "0x10", "1k",
		"1,0", "1\n", "\t1", "one", "١",  "--1", "1-",
		"18446744073709551616", "99999999999999999999", "184467440737095516150",
	};

	(void)state;
	assert_none_parses(quantity_parse_number, TEXTS, COUNT_OF(TEXTS));
}

static void sizes_count_in_powers_of_1024_in_either_case(void **state)
{
	static const struct parsed CASES[] = {
		{ "0", 0 },	       { "1", 1 },		 { "500k", 500 << 10 },
		{ "500K", 500 << 10 }, { "100M", 100 << 20 },	 { "100m", 100 << 20 },
		{ "2G", UINT64_C(2) << 30 }, { "2g", UINT64_C(2) << 30 }, { "0G", 0 },
		{ "18446744073709551615", UINT64_MAX },
		{ "18014398509481983k", UINT64_C(18014398509481983) << 10 },
		{ "17179869183G", UINT64_C(17179869183) << 30 },
	};

	(void)state;
	assert_all_parse(quantity_parse_size, CASES, COUNT_OF(CASES));
}

static void anything_else_is_no_size(void **state)
{
	static const char *const TEXTS[] = {
		"",	"k",   "M",    "1kb",  "1KiB", "1 k", "1T",  "1b",  "1kk", "-1k",
		"1.5k", "k1",  "1k ",  "0x1k", "1\x0b", "1\xeb", "1@", "1 ",
		"18014398509481984k", "17592186044416M", "17179869184G", "18446744073709551616",
	};

	(void)state;
	assert_none_parses(quantity_parse_size, TEXTS, COUNT_OF(TEXTS));
}

static void durations_are_those_of_go(void **state)
{
	static const struct parsed CASES[] = {
		{ "30s", 30 * SECOND },
		{ "5m", 300 * SECOND },
		{ "1h30m", 5400 * SECOND },
		{ "1h1m1s1ms1us1ns", 3661 * SECOND + 1001001 },
		{ "100ms", SECOND / 10 },
		{ "250us", 250000 },
		{ "1ns", 1 },
		{ "0s", 0 },
		{ "1.5s", 1500000000 },
		{ ".5s", SECOND / 2 },
		{ "1.s", SECOND },
		{ "0.000000001s", 1 },
		{ "1.5h", 5400 * SECOND },
		{ "0.5ns", 0 },
		{ "0.1m0.1m", 12 * SECOND },
		{ "1s1h", 3601 * SECOND },
		{ "18446744073s", UINT64_C(18446744073) * SECOND },
	};

	(void)state;
	assert_all_parse(quantity_parse_duration, CASES, COUNT_OF(CASES));
}

static void nine_places_are_exact_in_every_unit(void **state)
{
	static const struct parsed CASES[] = {
		{ "0.999999999s", 999999999 },
		{ "0.999999999h", UINT64_C(3599999996400) },
		{ "0.999999999m", UINT64_C(59999999940) },
		{ "1.123456789h", UINT64_C(4044444440400) },
	};

	(void)state;
	assert_all_parse(quantity_parse_duration, CASES, COUNT_OF(CASES));
}

static void anything_else_is_no_duration(void **state)
{
	static const char *const TEXTS[] = {
		"",	"30",  "s",    "h1",   "1d",	"1 s", " 1s",  "1s ",	"-1s",	     "+1s",
		"1..5s", ".s", ".",    "1.5",  "1s2",	"1S",  "1H",   "1e3s",	"1.0000000001s", "1:30",
		"18446744074s", "5124096h", "18446744073709551616ns", "18446744073709551615ns1ns",
		"99999999999999999999999s",
	};

	(void)state;
	assert_none_parses(quantity_parse_duration, TEXTS, COUNT_OF(TEXTS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_decimal_up_to_64_bits),
		cmocka_unit_test(anything_else_is_no_number),
		cmocka_unit_test(sizes_count_in_powers_of_1024_in_either_case),
		cmocka_unit_test(anything_else_is_no_size),
		cmocka_unit_test(durations_are_those_of_go),
		cmocka_unit_test(nine_places_are_exact_in_every_unit),
		cmocka_unit_test(anything_else_is_no_duration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
