/* common: what helper and writer share, read together with the helper. */
/* Dropping privileges for good, and proving it. */
#include "privilege.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include "cleanup.h"

static void cleanup_cap(cap_t *set)
{
	if (*set != NULL)
		cap_free(*set);
}

static bool sets_are_empty(void)
{
	CLEANUP(cleanup_cap) cap_t none = cap_init();
	CLEANUP(cleanup_cap) cap_t now = cap_get_proc();

	return none != NULL && now != NULL && cap_compare(now, none) == 0;
}

static bool ambient_is_empty(void)
{
	for (cap_value_t value = 0; CAP_AMBIENT_SUPPORTED() && value < cap_max_bits(); value++)
		if (cap_get_ambient(value) != 0)
			return false;
	return true;
}

bool privilege_is_dropped(void)
{
	return sets_are_empty() && ambient_is_empty() &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

int privilege_set(const char *text)
{
	CLEANUP(cleanup_cap) cap_t set = cap_from_text(text);

	return set == NULL ? -1 : cap_set_proc(set);
}

int privilege_drop_all(void)
{
	/* An empty permitted set empties the ambient set as well, capabilities(7). */
	if (privilege_set("=") != 0)
		return -1;
	/* From here on no exec, of any file, can give anything back. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return privilege_is_dropped() ? 0 : -1;
}
