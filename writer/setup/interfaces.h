/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The interfaces of this network namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/protocol.h"

/* Prints name, state, link type and addresses of each to stdout, unflushed. Returns 0, or -1 after a message. */
int interfaces_list(void);

/* One ERROR line: there is no such interface, and those there are. */
void interfaces_report_unknown(const char *name);

/* One ERROR line: none was given, but perhaps its name alone, as these words. */
void interfaces_report_missing(const char *words);

/* An alternative name (`ip link property add`) is turned into the interface's own, any other stays. */
const char *interfaces_own_name(const char *name);

/* "1 lo, 2 eth0": what the indexes in LINUX_SLL2 stand for, as far as there is room for whole entries. */
void interfaces_describe(char *text, size_t size);

struct interface_facts {
	bool is_loopback;
	uint32_t netmask;   /* IPv4, host byte order; PCAP_NETMASK_UNKNOWN if there is none */
	int loopback_index; /* of the loopback interface here; 0 if there is none */
	char tunnel[INTERFACE_NAME_SIZE]; /* one that is up and not this one, tunnels.h; empty if there is none */
};

/* What a capture needs to know. Returns 0, also if there is no such interface, or -1, logged. */
int interfaces_examine(const char *name, struct interface_facts *facts);

