/* The answer of the process that makes the guard: whatever it is, what is believed has a guard's shape. */
#include <arpa/inet.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fuzz.h"
#include "setup/guard_answer.h"

#define PORT "([1-9][0-9]{0,4})"
#define ADDRESS "([0-9a-f.:]+)"
#define DIRECTION "\\(src host " ADDRESS " and tcp src port " PORT " and dst host " ADDRESS " and tcp dst port " PORT "\\)"
#define CONNECTION "not \\(" DIRECTION " or " DIRECTION "\\)"
#define PORTS "not tcp port " PORT "( and not tcp port " PORT "){0,8}"
#define GROUPS 20

/* In another way than the checker does it: the worst that can be said in such a text is a wrong number. */
static void expect_shape(const char *text)
{
	regmatch_t found[GROUPS];
	static regex_t shape;
	static bool made;

	if (!made)
		PROMISE(regcomp(&shape, "^(" PORTS "( and " CONNECTION ")?|" CONNECTION ")?$", REG_EXTENDED) == 0);
	made = true;
	PROMISE(regexec(&shape, text, GROUPS, found, 0) == 0);
}

static void expect_ports(const char *text)
{
	for (const char *at = text; (at = strstr(at, " port ")) != NULL; at += strlen(" port ")) {
		unsigned long port = strtoul(at + strlen(" port "), NULL, 10);
		PROMISE(port >= 1 && port <= 65535);
	}
}

static void expect_addresses(const char *text)
{
	for (const char *at = text; (at = strstr(at, " host ")) != NULL; at += strlen(" host ")) {
		char address[INET6_ADDRSTRLEN] = "";
		size_t length = strcspn(at + strlen(" host "), " ");
		struct in6_addr binary;

		PROMISE(length < sizeof address);
		memcpy(address, at + strlen(" host "), length);
		PROMISE(inet_pton(AF_INET, address, &binary) == 1 || inet_pton(AF_INET6, address, &binary) == 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The text first, and as long as the input is: then the rest is zeros. */
	struct guard_answer *answer = calloc(1, sizeof *answer);

	PROMISE(answer != NULL);
	if (size > 0)
		memcpy(answer, data, size < sizeof *answer ? size : sizeof *answer);
	if (guard_answer_valid(answer)) {
		PROMISE(memchr(answer->text, '\0', sizeof answer->text) != NULL);
		expect_shape(answer->text);
		expect_ports(answer->text);
		expect_addresses(answer->text);
		guard_warnings_report(&answer->warnings);
	}
	free(answer);
	return 0;
}
