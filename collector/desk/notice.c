/* desk: starts the commands; what streams hold is never looked at here. */
/* Messages while captures run. */
#include "notice.h"

#include <unistd.h>

void notice(enum log_level level, const char *message, const struct log_field *fields)
{
	if (isatty(STDERR_FILENO) == 1)
		log_progress(" ");
	log_record(level, message, fields);
}
