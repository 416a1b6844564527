/* capture: inside the sandbox, with the packets. */
/* With a reader that takes nothing, once a stop is requested. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct patience {
	uint64_t moved;   /* bytes, when the reader was last seen to take something, and when that */
	int64_t moved_ms; /* was, clock_ms(); 0: not looked at since the stop */
};

/* To be asked each time that nothing could be written, `moved` bytes having moved so far. True if he is to be given up. */
bool patience_is_over(struct patience *patience, uint64_t moved);
