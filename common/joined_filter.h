/* common: what helper and writer share, read together with the helper. */
/* The filter that the kernel runs, as text. */
#pragma once

#include "protocol.h"

/*
 * Writes the operator's filter, the guard and the user's, each pcap-filter(7) or empty, as one expression
 * to text, which has JOINED_FILTER_SIZE bytes. In this order: "vlan", "mpls" and their like change what
 * comes after them means, and only the last is the user's.
 */
void joined_filter(char *text, const char *policy, const char *guard, const char *filter);
