/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* What the process that makes the guard answers, and what of it is believed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/protocol.h"

#define GUARD_PORTS_MOST 9    /* port 2222, and 8 proxies of it */
#define GUARD_REASON_SIZE 160 /* JSON_ERROR_TEXT_LENGTH */

/* What was odd about the environment. */
struct guard_warnings {
	char instance_ports[GUARD_REASON_SIZE]; /* why parts of CF_INSTANCE_PORTS are ignored, or empty */
	uint32_t ssh_connection;                /* 1: SSH_CONNECTION is ignored */
};

/* Logs one WARN for each variable that was odd. */
void guard_warnings_report(const struct guard_warnings *warnings);

struct guard_answer {
	char text[GUARD_TEXT_SIZE];
	struct guard_warnings warnings;
	uint32_t ssh_known; /* 1: guard_make() returned true */
};

/*
 * True if the answer is one that guard_make() can have given: its text is empty, or up to
 * GUARD_PORTS_MOST terms for a port and after them up to one for a connection, letter for letter, with
 * ports from 1 to 65535 and addresses as inet_ntop(3) writes them; the numbers are 0 or 1, and
 * whatever is text ends. So the worst that a lie can do is to leave the wrong session out.
 */
bool guard_answer_valid(const struct guard_answer *answer);
