/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The AppArmor profile that this process runs under, which what it executes inherits. */
#pragma once

#define CONFINEMENT_SIZE 128

/* The profile's name and mode as the kernel has them, or "": there is none, or it is not for us to read. */
void confinement_profile(char profile[CONFINEMENT_SIZE]);

/*
 * One ERROR line for a call that needs no privilege: message and error, and, if it was denied (EACCES)
 * and there is a profile, that as well, with `rule` for what would allow it.
 */
void confinement_report(const char *message, const char *rule, int error);
