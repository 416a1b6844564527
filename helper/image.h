/* helper: what runs with the capability. */
/* Finding the writer, and executing it from an image that its user cannot read. */
#pragma once

#include <stdbool.h>

/*
 * Executes cf-pcap-writer from the folder of /proc/self/exe with the given arguments and an
 * environment from an allow-list. With `protect`, only a writer that the user cannot have
 * changed is executed. The process stays non-dumpable. Ends with a message if that fails.
 */
_Noreturn void image_exec_writer(int argc, char **argv, bool protect);

