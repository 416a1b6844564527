/* common: what helper and writer share, read together with the helper. */
/* Dropping privileges for good, and proving it. */
#pragma once

#include <stdbool.h>

/*
 * Sets the effective, permitted and inheritable sets to what cap_from_text(3) makes of the text.
 * Returns 0, or -1 with errno.
 */
int privilege_set(const char *text);

/*
 * Empties the permitted, effective, inheritable and ambient sets, sets no_new_privs, then reads
 * all of it back. Returns 0, or -1 if anything is left: the caller must exit.
 */
int privilege_drop_all(void);

/* True when every capability set is empty and no_new_privs is set. */
bool privilege_is_dropped(void);

