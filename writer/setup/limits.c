/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* What the user asks for, within what the operator allows. */
#include "limits.h"

#include "base/log.h"

static void lower(uint64_t *value, uint64_t limit)
{
	if (limit != 0 && (*value == 0 || *value > limit)) /* 0: the user set none */
		*value = limit;
}

/* The whole policy, as it is written, on one line. */
static void report(const struct policy *policy)
{
	struct log_field fields[POLICY_WORDS + 1];
	int count = 0;

	for (enum policy_word word = 0; word < POLICY_WORDS; word++)
		if (policy->value[word] != NULL)
			fields[count++] = (struct log_field){
				policy_word(word), policy->value[word][0] == '\0' ? "true" : policy->value[word], 0
			};
	fields[count] = (struct log_field){ 0 };
	if (count > 0)
		log_record(LOG_INFO, "limited by the operator's policy", fields);
}

static int refuse(const char *message, const char *flag, const char *value)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("flag", flag), LOG_TEXT("value", value)));
	return -1;
}

/* What cannot be lowered. Which packets match a filter tells of their payload, of which it may ask bit by bit. */
static int check(const struct options *options, const struct policy *policy)
{
	if (!policy_allows_interface(policy, options->interface)) {
		log_record(LOG_ERROR, "the operator's policy does not allow this interface",
			   LOG_FIELDS(LOG_TEXT("interface", options->interface),
				      LOG_TEXT("allowed", policy->value[POLICY_INTERFACES])));
		return -1;
	}
	if (policy->value[POLICY_HEADERS_ONLY] != NULL && options->headers_only == WISH_NO)
		return refuse("the operator's policy allows headers only", "-headers-only", "false");
	if (policy->value[POLICY_NO_USER_FILTER] != NULL && options->filter[0] != '\0')
		return refuse("the operator's policy allows no filter of the user's", "-filter", options->filter);
	return 0;
}

int limits_apply(struct options *options, const struct policy *policy)
{
	if (check(options, policy) != 0)
		return -1;
	if (policy->value[POLICY_HEADERS_ONLY] != NULL)
		options->headers_only = WISH_YES;
	lower(&options->snaplen, policy->number[POLICY_MAX_SNAPLEN]);
	lower(&options->block_packet, policy->number[POLICY_MAX_SNAPLEN]);
	lower(&options->duration, policy->number[POLICY_MAX_DURATION]);
	lower(&options->max_size, policy->number[POLICY_MAX_SIZE]);
	report(policy);
	return 0;
}
