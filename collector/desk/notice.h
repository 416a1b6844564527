/* desk: starts the commands; what streams hold is never looked at here. */
/* Messages while captures run. */
#pragma once

#include "base/log.h"

/* The merger draws its line on the same terminal: it is erased first. */
void notice(enum log_level level, const char *message, const struct log_field *fields);
