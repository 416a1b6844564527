/* desk: starts the commands; what streams hold is never looked at here. */
/* The way to the other end: what -via says, or goes without saying. */
#pragma once

#include <stdbool.h>

#include "flags.h"

bool via_is_cf(const struct collect_options *options);

bool via_is_ssh(const struct collect_options *options);

/* The command's words, see words_expand(). */
const char *via_template(const struct collect_options *options);
