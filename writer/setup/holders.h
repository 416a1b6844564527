/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The captures that hold the slots, as far as /proc shows them. */
#pragma once

struct holders {
	char list[600]; /* "4711 since 2026-02-12T16:58:33.000Z, ..."; empty if none is to be seen */
	char hint[120]; /* what the user can do about them */
};

/*
 * Looks for processes that are captures in this network namespace, and so whether they are this user's.
 * Others can give themselves such a name: the list is for reading, not for acting upon.
 */
void holders_find(struct holders *holders);
