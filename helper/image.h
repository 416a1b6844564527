/* helper: what runs with the capability. */
/* The writer, carried inside this file: executed from a copy that its user cannot read. */
#pragma once

#include "start.h"

/*
 * Executes the writer with the given arguments and an environment from an allow-list, non-dumpable, and with the
 * shield (privilege.h) if there is one. The folder of this file is checked by the writer, policy_file.c. Ends the
 * process with a message if that fails.
 */
_Noreturn void image_exec_writer(int argc, char **argv, const struct start_state *state);
