/* Dropping privileges for good, and proving it. */
#ifndef CFPCAP_PRIVILEGE_H
#define CFPCAP_PRIVILEGE_H

#include <stdbool.h>

/*
 * Empties the permitted, effective, inheritable and ambient sets, sets no_new_privs, then reads
 * all of it back. Returns 0, or -1 if anything is left: the caller must exit.
 */
int privilege_drop_all(void);

/* True when every capability set is empty and no_new_privs is set. */
bool privilege_is_dropped(void);

#endif
