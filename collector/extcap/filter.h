/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* Is a capture filter one? */
#pragma once

/* Prints what is wrong with it, or nothing. Names are not looked up: that is done where the capture runs. */
void filter_check(const char *filter);
