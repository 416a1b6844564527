/* What the writer may call once it is to hold a packet fd. */
#ifndef CFPCAP_WRITER_SANDBOX_RULES_H
#define CFPCAP_WRITER_SANDBOX_RULES_H

/* Closes the writer's sandbox. Returns 0, or -1 with errno. */
int enter_writer_sandbox(void);

#endif
