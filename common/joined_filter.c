/* common: what helper and writer share, read together with the helper. */
/* The filter that the kernel runs, as text. */
#include "joined_filter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

void joined_filter(char *text, const char *policy, const char *guard, const char *filter)
{
	const char *const parts[] = { policy, guard, filter };
	const bool several = (policy[0] != '\0') + (guard[0] != '\0') + (filter[0] != '\0') > 1;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (parts[i][0] != '\0')
			used += (size_t)snprintf(text + used, JOINED_FILTER_SIZE - used, several ? "%s(%s)" : "%s%s",
						 used > 0 ? " and " : "", parts[i]);
}
