/* common: what helper and writer share, read together with the helper. */
/* The filter that the kernel runs, as text. */
#pragma once

#include "protocol.h"

/*
 * Writes guard and filter, each pcap-filter(7) or empty, as one expression to text, which has
 * JOINED_FILTER_SIZE bytes.
 */
void joined_filter(char *text, const char *guard, const char *filter);
