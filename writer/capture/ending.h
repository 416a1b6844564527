/* capture: inside the sandbox, with the packets. */
/* Why a capture ends. */
#pragma once

#include "base/audience.h"
#include "output/output.h"

enum ending {
	RUNNING,
	ENDING_ASKED, /* base/stop.h */
	ENDING_COUNT,
	ENDING_SIZE,
	ENDING_OUTPUT, /* see run.result */
	ENDING_INTERFACE_GONE,
	ENDING_HELPER_GONE, /* somebody killed it: the socket would be asked of nobody */
	ENDING_RING_CORRUPT,
};

/* Nothing that has arrived already is wanted any more. */
bool ending_is_final(enum ending ending);

/* In words, for a message and for the end of a pcapng file. */
const char *ending_text(enum ending ending);

/* Logs that the capture was asked to stop, and why. */
void ending_announce(const struct audience *audience);

/* Logs what the user has not been told yet about it, and the counts. torn: the last record is not whole. */
void ending_report(enum ending ending, enum output_result output, bool torn, const struct audience_counts *counts);

/* The exit status: 0, or 1 after an error. */
int ending_status(enum ending ending, enum output_result output, bool torn);
