/* What the helper may call once its sockets are open. */
#pragma once

/* Closes the helper's sandbox. Returns 0, or -1 with errno. */
int enter_helper_sandbox(int capture_channel, int lookup_channel);

