/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The operator's policy: how far captures go, whatever the user asks for. cf-pcap.policy(5) */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/protocol.h"

#define POLICY_NAME "cf-pcap.policy"
#define POLICY_BYTES 4096 /* of the file, at most */

enum policy_word {
	POLICY_HEADERS_ONLY,
	POLICY_NO_USER_FILTER,
	POLICY_MAX_SNAPLEN,  /* bytes */
	POLICY_MAX_DURATION, /* nanoseconds */
	POLICY_MAX_SIZE,     /* bytes */
	POLICY_MAX_CAPTURES,
	POLICY_INTERFACES,
	POLICY_FILTER,
	POLICY_WORDS,
};

struct policy {
	char text[POLICY_BYTES + 1];     /* the file's; the values point into it */
	const char *value[POLICY_WORDS]; /* as it is written there; NULL: no such limit */
	uint64_t number[POLICY_WORDS];   /* of the words that begin with max-; 0: no such limit */
};

struct policy_fault {
	unsigned int line; /* 0: the whole file */
	const char *reason;
	const char *text; /* that is wrong */
};

/* The word as the file has it. */
const char *policy_word(enum policy_word word);

/*
 * Reads `length` bytes of policy->text, POLICY_BYTES at most, of which it makes a policy. Returns 0, or -1
 * with what is wrong.
 */
int policy_parse(struct policy *policy, size_t length, struct policy_fault *fault);

/* May this interface be captured on? */
bool policy_allows_interface(const struct policy *policy, const char *name);

/* Of pcap-filter(7), without names; "" if there is none. */
const char *policy_filter(const struct policy *policy);

/* How many captures there may be at a time: 1..SLOTS. */
unsigned int policy_captures(const struct policy *policy);

/* One ERROR line, for user and operator: there will be no capture. Returns -1. */
int policy_report(const struct policy_fault *fault);

