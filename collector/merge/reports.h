/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * Reports on their way to the process that starts the commands. They wait here while it does not read: whoever waited
 * for it to read could be waited for by it, to read an order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/wire.h"

struct reports {
	uint8_t *bytes;
	size_t length, size;
};

/* Returns 0, or -1 if there is no memory. */
int reports_open(struct reports *reports, size_t streams);
void reports_close(struct reports *reports);

void reports_put(struct reports *reports, enum report_kind kind, size_t stream, enum ending ending);

/* Some wait. */
bool reports_wait(const struct reports *reports);

/* Sends what is taken now. */
void reports_send(struct reports *reports, int control);
