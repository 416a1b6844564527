/* What the helper may call once its sockets are open. */
#ifndef CFPCAP_SANDBOX_RULES_H
#define CFPCAP_SANDBOX_RULES_H

/* Closes the helper's sandbox. Returns 0, or -1 with errno. */
int enter_helper_sandbox(int capture_channel, int lookup_channel);

#endif
