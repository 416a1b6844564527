/* From the ring to stdout until something ends it. */
#pragma once

#include "setup/flags.h"
#include "formats/format.h"

struct capture {
	const struct options *options;
	struct format format;
	int packet_fd;
	int loopback_index; /* its outgoing copies are left out; 0 for none */
	bool show_progress; /* stderr is a terminal */
};

/*
 * Writes the file header at once, then the packets, until a stop. Logs what happens and the
 * summary. Returns the exit status: 0, or 1 after an error.
 */
int capture_run(struct capture *capture);

