/* common: what helper and writer share, read together with the helper. */
/* Lowering privileges, and reading back what is left. */
#include "privilege.h"

#include <errno.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cleanup.h"

static void cleanup_cap(cap_t *set)
{
	if (*set != NULL)
		cap_free(*set);
}

int privilege_set(const char *text)
{
	CLEANUP(cleanup_cap) cap_t set = cap_from_text(text);

	return set == NULL ? -1 : cap_set_proc(set);
}

static bool sets_are(const char *text)
{
	CLEANUP(cleanup_cap) cap_t wanted = cap_from_text(text);
	CLEANUP(cleanup_cap) cap_t now = cap_get_proc();

	return wanted != NULL && now != NULL && cap_compare(now, wanted) == 0;
}

int privilege_shield(void)
{
	/* Nothing inheritable, so nothing ambient either, capabilities(7). */
	return privilege_set("cap_net_raw=p");
}

bool privilege_is_the_files(void)
{
	const bool root = getuid() == 0 && (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & SECBIT_NOROOT) == 0;

	return !root && !sets_are("="); /* if it cannot be read: assume that there is one */
}

int privilege_shield_exec(void)
{
	if (privilege_set("cap_net_raw=pi") != 0 || cap_set_ambient(CAP_NET_RAW, CAP_SET) != 0)
		return -1;
	/* From here on exec gives nothing but what is ambient. */
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int privilege_lower(void)
{
	/* EPERM: the capability is not there. */
	if (privilege_shield() != 0 && (errno != EPERM || privilege_set("=") != 0))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return sets_are("cap_net_raw=p") || sets_are("=") ? 0 : -1;
}

int privilege_clear(void)
{
	return privilege_set("=") == 0 && sets_are("=") ? 0 : -1;
}

int privilege_drop_all(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? privilege_clear() : -1;
}
