/* desk: starts the commands; what streams hold is never looked at here. */
/* The apps of the space that cf is at. */
#pragma once

#include <stddef.h>

#include "guid.h"
#include "targets.h"

#define APP_NAMES_MOST 500 /* of a space with more the first ones */

struct app_names {
	char name[APP_NAMES_MOST][TARGET_PLACE_SIZE];
	size_t count;
};

/* Asks cf, in the order of the alphabet. Returns 0, or -1 after an ERROR line. */
int app_names_ask(struct app_names *names);

/* Reads the answer: names that are no more than one word. Returns 0, or -1 if it is no such answer. */
int app_names_read(struct app_names *names, const char *json, size_t length);

/* The space in cf's config.json. The same. */
int app_names_read_space(char guid[GUID_SIZE], const char *json, size_t length);
