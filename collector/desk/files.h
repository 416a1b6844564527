/* desk: starts the commands; what streams hold is never looked at here. */
/* The output's files: opened here, because whoever writes them has no call for it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "flags.h"

#define FILES_NAME_SIZE 4096

struct files {
	const struct collect_options *options;
	char (*names)[FILES_NAME_SIZE]; /* of this run's, as many as are kept, "" for none; NULL: none are removed */
	uint64_t number; /* of the last one */
};

/* The first one, a FIFO, or stdout; nonblocking if it is a pipe. Returns a descriptor, or -1 after an ERROR line. */
int files_open(struct files *files, const struct collect_options *options);

/* The next one; one that is too many is removed. The same. */
int files_next(struct files *files);

void files_close(struct files *files);
