/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The operator's policy: how far captures go, whatever the user asks for. cf-pcap.policy(5) */
#include "policy.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/quantity.h"
#include "slots.h"

#define BLANKS " \t"
#define MAX_SIZE_LEAST 1024 /* as -max-size */
#define SHOWN 64	    /* bytes of what is wrong */

_Static_assert(POLICY_BYTES <= POLICY_TEXT_SIZE, "a filter fits the request");

typedef int parse_number(const char *text, uint64_t *number);

static int parse_nothing(const char *text, uint64_t *number)
{
	*number = 1;
	return text[0] == '\0' ? 0 : -1;
}

static int parse_any(const char *text, uint64_t *number)
{
	*number = 1;
	return text[0] != '\0' ? 0 : -1;
}

static int parse_names(const char *text, uint64_t *number)
{
	char name[INTERFACE_NAME_SIZE];
	size_t length;

	*number = 1;
	do {
		length = strcspn(text, BLANKS);
		if (length >= sizeof name)
			return -1;
		memcpy(name, text, length);
		name[length] = '\0';
		if (!interface_name_valid(name))
			return -1;
		text += length;
		text += strspn(text, BLANKS);
	} while (*text != '\0');
	return 0;
}

static const struct word {
	const char *name;
	parse_number *parse;
	uint64_t least, most;
	const char *expected;
} WORDS[POLICY_WORDS] = {
	[POLICY_HEADERS_ONLY] = { "headers-only", parse_nothing, 1, 1, "expected nothing after this word" },
	[POLICY_NO_USER_FILTER] = { "no-user-filter", parse_nothing, 1, 1, "expected nothing after this word" },
	[POLICY_MAX_SNAPLEN] = { "max-snaplen", quantity_parse_number, 1, SNAPLEN_MAX,
				 "expected a number from 1 to 262144" },
	[POLICY_MAX_DURATION] = { "max-duration", quantity_parse_duration, 1, INT64_MAX,
				  "expected a duration above 0, such as 30s, 10m or 1h30m" },
	[POLICY_MAX_SIZE] = { "max-size", quantity_parse_size, MAX_SIZE_LEAST, UINT64_MAX,
			      "expected a size of at least 1k, such as 500k, 100M or 2G" },
	[POLICY_MAX_CAPTURES] = { "max-captures", quantity_parse_number, 1, SLOTS, "expected a number from 1 to 8" },
	[POLICY_INTERFACES] = { "interfaces", parse_names, 1, 1,
				"expected names of interfaces, 15 characters each at most, with blanks between" },
	[POLICY_FILTER] = { "filter", parse_any, 1, 1, "expected a filter of pcap-filter(7)" },
};

_Static_assert(SLOTS == 8 && SNAPLEN_MAX == 262144, "what is expected");

const char *policy_word(enum policy_word word)
{
	return WORDS[word].name;
}

static int mistake(struct policy_fault *fault, const char *reason, const char *text)
{
	fault->reason = reason;
	fault->text = text;
	return -1;
}

/* A line without the blanks around it: a word, and what it says. */
static int parse_line(struct policy *policy, char *line, struct policy_fault *fault)
{
	const char *name = strsep(&line, BLANKS);
	const char *value = line != NULL ? line + strspn(line, BLANKS) : "";
	int word = 0;

	while (word < POLICY_WORDS && strcmp(WORDS[word].name, name) != 0)
		word++;
	if (word == POLICY_WORDS)
		return mistake(fault, "unknown word", name);
	if (policy->value[word] != NULL)
		return mistake(fault, "this word was there before", name);
	if (WORDS[word].parse(value, &policy->number[word]) != 0 || policy->number[word] < WORDS[word].least ||
	    policy->number[word] > WORDS[word].most)
		return mistake(fault, WORDS[word].expected, value);
	policy->value[word] = value;
	return 0;
}

static bool has_control_character(const char *line)
{
	for (; *line != '\0'; line++)
		if ((*line < ' ' && *line != '\t' && *line >= 0) || *line == '\x7f')
			return true;
	return false;
}

/* What is not blank of a line; it is cut off at the end. */
static char *trim(char *line)
{
	char *end;

	line += strspn(line, BLANKS);
	for (end = line + strlen(line); end > line && strchr(BLANKS, end[-1]) != NULL; end--)
		continue;
	*end = '\0';
	return line;
}

int policy_parse(struct policy *policy, size_t length, struct policy_fault *fault)
{
	char *rest = policy->text, *line;
	bool limits = false;

	policy->text[length] = '\0';
	memset(policy->value, 0, sizeof policy->value);
	memset(policy->number, 0, sizeof policy->number);
	*fault = (struct policy_fault){ 0 };
	if (strlen(policy->text) != length)
		return mistake(fault, "there is a NUL byte in it", "");
	while ((line = strsep(&rest, "\n")) != NULL) {
		fault->line++;
		if (has_control_character(line))
			return mistake(fault, "a control character, such as the CR of CRLF", line);
		line = trim(line);
		if (*line == '\0' || *line == '#')
			continue;
		if (parse_line(policy, line, fault) != 0)
			return -1;
		limits = true;
	}
	fault->line = 0;
	/* Somebody wanted it to limit something. */
	return limits ? 0 : mistake(fault, "it limits nothing", "");
}

bool policy_allows_interface(const struct policy *policy, const char *name)
{
	const char *at = policy->value[POLICY_INTERFACES];
	const size_t length = strlen(name);

	if (at == NULL)
		return true;
	while (*at != '\0') {
		if (strcspn(at, BLANKS) == length && strncmp(at, name, length) == 0)
			return true;
		at += strcspn(at, BLANKS);
		at += strspn(at, BLANKS);
	}
	return false;
}

const char *policy_filter(const struct policy *policy)
{
	return policy->value[POLICY_FILTER] != NULL ? policy->value[POLICY_FILTER] : "";
}

unsigned int policy_captures(const struct policy *policy)
{
	const uint64_t captures = policy->number[POLICY_MAX_CAPTURES];

	return captures != 0 ? (unsigned int)captures : SLOTS;
}

int policy_report(const struct policy_fault *fault)
{
	static const struct log_field POLICY = LOG_TEXT("policy", POLICY_NAME);
	static const struct log_field HINT = LOG_TEXT("hint", "for the operator: see cf-pcap.policy(5)");
	const struct log_field reason = LOG_TEXT("reason", fault->reason);
	char text[SHOWN + 1];

	snprintf(text, sizeof text, "%s", fault->text);
	log_record(LOG_ERROR, "the operator's policy cannot be used, so nothing is captured",
		   fault->line != 0 ? LOG_FIELDS(POLICY, LOG_NUMBER("line", fault->line), reason, LOG_TEXT("text", text), HINT) :
		   text[0] != '\0'  ? LOG_FIELDS(POLICY, reason, LOG_TEXT("text", text), HINT) :
				      LOG_FIELDS(POLICY, reason, HINT));
	return -1;
}
