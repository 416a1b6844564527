/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/*
 * The program as an extcap: Wireshark lists its interfaces, draws a dialog for each, and starts it with a FIFO to
 * write to. Source of the protocol: Wireshark's doc/README.extcap and ui/qt/extcap_argument.cpp.
 */
#pragma once

#include <stdbool.h>

#include "collector/desk/flags.h"

enum extcap_answer {
	EXTCAP_ANSWERED,
	EXTCAP_FAILED,  /* after an ERROR line */
	EXTCAP_USAGE,   /* the same: of the command line */
	EXTCAP_CAPTURE, /* options say what is to be captured, and where to */
};

/* It is Wireshark that calls. */
bool extcap_is_asked(int argc, char *const *argv);

/* Answers on stdout, or fills *options, whose texts go on to lie in argv and in static memory. */
enum extcap_answer extcap_answer(struct collect_options *options, int argc, char *const *argv);
