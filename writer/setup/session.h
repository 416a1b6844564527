/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The writer's side of the protocol: from options to a packet fd. */
#pragma once

#include "base/audience.h"
#include "common/protocol.h"
#include "flags.h"
#include "interfaces.h"
#include "policy.h"

#define SESSION_STOPPED (-2) /* by base/stop.h, or stdout's reader gone, before there was a capture; not logged */

struct session {
	const struct policy *policy;
	struct open_reply reply;
	char guard[GUARD_TEXT_SIZE];
	char filter[JOINED_FILTER_SIZE]; /* that the kernel runs, with what the operator and the guard leave out */
	bool ssh_known; /* false: there may be a session that the guard does not leave out */
};

/*
 * True if this process was started by the helper and has been out of every debugger's reach from
 * its first instruction: non-dumpable, without privileges, with both channels.
 */
bool session_is_genuine(void);

/*
 * Takes one of the slots for captures in this network namespace, which it keeps: they bound kernel
 * memory that is charged to nobody. Asks the helper to open the interface with the guarded filter,
 * while a child of this process looks up the names in it. Logs how it went. Returns 0, -1 or
 * SESSION_STOPPED.
 */
int session_open(struct session *session, const struct options *options, const struct policy *policy,
		 const struct interface_facts *facts, const struct tpacket_req3 *ring, struct audience *audience);

/*
 * Tells the helper that the sandbox is closed and receives the packet fd. Call it once, inside
 * the sandbox. Returns the fd, bound, filtered and locked, with the helper about to end; -1,
 * logged; or SESSION_STOPPED.
 */
int session_receive_packet_fd(struct audience *audience);

/* The helper's pid, for session_end(); 0 if it was not started by one. */
pid_t session_helper(void);

/*
 * Lets the helper end, if it is still there, and waits for that: where nobody reaps orphans it would be a
 * zombie for ever. For a second at most, in case somebody has stopped it.
 */
void session_end(pid_t helper);

