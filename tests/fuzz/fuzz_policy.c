/* The operator's policy: any bytes of a file. */
#include "fuzz.h"
#include "setup/policy.h"

/* A value lies in the text, ends there, and has nothing that a message or a filter must not have. */
static void expect_whole(const struct policy *policy, const char *value)
{
	PROMISE(value >= policy->text && value < policy->text + sizeof policy->text);
	for (; *value != '\0'; value++)
		PROMISE(((uint8_t)*value >= ' ' && *value != '\x7f') || *value == '\t');
	PROMISE(value < policy->text + sizeof policy->text);
}

static void expect_in_range(const struct policy *policy)
{
	const uint64_t *number = policy->number;
	bool limits = false;

	for (int word = 0; word < POLICY_WORDS; word++) {
		PROMISE((policy->value[word] != NULL) == (number[word] != 0));
		limits |= policy->value[word] != NULL;
		if (policy->value[word] != NULL && *policy->value[word] != '\0')
			expect_whole(policy, policy->value[word]);
	}
	PROMISE(limits);
	PROMISE(number[POLICY_MAX_SNAPLEN] <= SNAPLEN_MAX && number[POLICY_MAX_DURATION] <= INT64_MAX);
	PROMISE(number[POLICY_MAX_SIZE] == 0 || number[POLICY_MAX_SIZE] >= 1024);
	PROMISE(policy_captures(policy) >= 1 && policy_captures(policy) <= 8);
	PROMISE(strlen(policy_filter(policy)) < POLICY_TEXT_SIZE);
	PROMISE(policy->value[POLICY_INTERFACES] == NULL || !policy_allows_interface(policy, ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy policy;
	struct policy_fault fault;

	if (size > POLICY_BYTES)
		return 0;
	memset(&policy, 0xee, sizeof policy);
	if (size > 0)
		memcpy(policy.text, data, size);
	if (policy_parse(&policy, size, &fault) == 0)
		expect_in_range(&policy);
	else
		PROMISE(fault.reason != NULL && fault.text != NULL && policy_report(&fault) == -1);
	return 0;
}
