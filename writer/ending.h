/* Why a capture ends. */
#pragma once

enum ending {
	RUNNING,
	ENDING_ASKED, /* a signal, or the duration */
	ENDING_COUNT,
	ENDING_SIZE,
	ENDING_OUTPUT, /* see run.output */
	ENDING_INTERFACE_GONE,
	ENDING_RING_CORRUPT,
};

/* In words, for a message and for the end of a pcapng file. */
const char *ending_text(enum ending ending);
