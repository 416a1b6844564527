/* Why a capture ends. */
#include "ending.h"

#include <stddef.h>

#include "stop.h"

const char *ending_text(enum ending ending)
{
	switch (ending) {
	case ENDING_COUNT:
		return "reached packet count";
	case ENDING_SIZE:
		return "reached maximum size";
	case ENDING_INTERFACE_GONE:
		return "interface is gone";
	case ENDING_RING_CORRUPT:
		return "the kernel's packet ring is inconsistent";
	default:
		return stop_signal_name() != NULL ? "received signal" : "reached duration";
	}
}
