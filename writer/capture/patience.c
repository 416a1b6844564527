/* capture: inside the sandbox, with the packets. */
/* With a reader that takes nothing, once a stop is requested. */
#include "patience.h"

#include "base/clock.h"
#include "base/stop.h"

#define STALL_LIMIT_MS 2000

bool patience_is_over(struct patience *patience, uint64_t moved)
{
	if (!stop_requested())
		return false;
	if (stop_urgent())
		return true;
	if (patience->moved_ms == 0 || patience->moved != moved)
		*patience = (struct patience){ moved, clock_ms() };
	return clock_ms() - patience->moved_ms >= STALL_LIMIT_MS;
}
