/* helper: what runs with the capability. */
/* What the helper may call once its sockets are open. */
#pragma once

#include "sockets.h"

/* Closes the helper's sandbox. Returns 0, or -1 with errno. */
int enter_helper_sandbox(const struct sockets *sockets, int capture_channel, int lookup_channel);

