/* helper: what runs with the capability. */
/* The writer, carried inside this file: executed from a copy that its user cannot read. */
#pragma once

#include "start.h"

/*
 * Executes the writer with the given arguments and an environment from an allow-list, non-dumpable and with the
 * shield where there is one. Not if the user could have changed the folder of this file. Ends with a message if
 * that fails.
 */
_Noreturn void image_exec_writer(int argc, char **argv, const struct start_state *state);
