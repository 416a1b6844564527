/* capture: inside the sandbox, with the packets. */
/*
 * Whether the captured interface is still there, and up.
 *
 * The kernel reports one error, when the interface goes down, which is also the first step of
 * its removal; of the removal itself it says nothing more. So that error makes us look again
 * until the interface is back, and what we say waits until it is clear which of the two it is.
 */
#include "presence.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define LOOK_AGAIN_MS 150 /* a removal takes the kernel some ten of them */

int presence_timeout(const struct presence *presence)
{
	if (presence->down)
		return LOOK_AGAIN_MS;
	/* Whoever asked for the counts took the error too, and it does not wake anybody any more. */
	return presence->socket->error != 0 ? 0 : -1;
}

static void note_error(struct presence *presence, int64_t now_ms)
{
	int error = presence->socket->error;

	presence->socket->error = 0;
	if (error != 0 && error != ENETDOWN)
		log_record(LOG_WARN, "packet socket reports an error",
			   LOG_FIELDS(LOG_TEXT("error", strerror(error))));
	if (error != ENETDOWN)
		return;
	presence->down = true;
	presence->reported = false;
	presence->due_ms = now_ms + LOOK_AGAIN_MS;
	presence->down_at = clock_wall();
}

bool presence_lost(struct presence *presence, bool socket_failed, int64_t now_ms)
{
	if (socket_failed || presence->down)
		kept_socket_ask(presence->socket);
	note_error(presence, now_ms); /* which another question may have brought */
	if (!presence->down)
		return false;
	/* Unregistered, or moved to another network namespace: the kernel has unbound the socket. */
	if (presence->socket->unbound) {
		log_record(LOG_ERROR, "interface is gone",
			   LOG_FIELDS(LOG_TEXT("interface", presence->interface)));
		return true;
	}
	if (!presence->reported && now_ms >= presence->due_ms) {
		presence->reported = true;
		log_record(LOG_WARN, "interface went down, capture resumes when it is up",
			   LOG_FIELDS(LOG_TEXT("interface", presence->interface)));
	}
	return false;
}

void presence_packet(struct presence *presence, uint64_t time)
{
	if (!presence->down || time <= presence->down_at)
		return;
	presence->down = false;
	if (presence->reported)
		log_record(LOG_INFO, "interface is up again",
			   LOG_FIELDS(LOG_TEXT("interface", presence->interface)));
}
