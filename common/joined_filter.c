/* common: what helper and writer share, read together with the helper. */
/* The filter that the kernel runs, as text. */
#include "joined_filter.h"

#include <stdio.h>

void joined_filter(char *text, const char *guard, const char *filter)
{
	const bool both = guard[0] != '\0' && filter[0] != '\0';

	snprintf(text, JOINED_FILTER_SIZE, both ? "(%s) and (%s)" : "%s%s", guard, filter);
}
