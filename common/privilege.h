/* common: what helper and writer share, read together with the helper. */
/* Lowering privileges, and reading back what is left. */
#pragma once

#include <stdbool.h>

/*
 * Sets the effective, permitted and inheritable sets to what cap_from_text(3) makes of the text.
 * Returns 0, or -1 with errno.
 */
int privilege_set(const char *text);

/*
 * Leaves cap_net_raw permitted, as a shield: nobody who lacks it may look into this process or take
 * its descriptors, cap_ptrace_access_check(), not even while it dies. Nothing is effective,
 * inheritable or ambient. Returns 0, or -1 with errno where it is not permitted.
 */
int privilege_shield(void);

/*
 * Whether there is a capability and the file gave it. Root gets his from any exec, so he gains nothing by
 * getting at ours: false. True if it cannot be told.
 */
bool privilege_is_the_files(void);

/*
 * Keeps the shield across exec, as an ambient capability: it is effective then, until the new program calls
 * privilege_lower(). Sets no_new_privs. Returns 0, or -1 with errno.
 */
int privilege_shield_exec(void);

/* The shield where it is permitted, else nothing; sets no_new_privs and reads all back. Returns 0, or -1. */
int privilege_lower(void);

/* Empties all sets, and reads that back. Returns 0, or -1: the caller must exit. */
int privilege_clear(void);

/* The same, and sets no_new_privs: no exec, of any file, can give anything back. */
int privilege_drop_all(void);
