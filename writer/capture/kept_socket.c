/* capture: inside the sandbox, with the packets. */
/*
 * The packet socket, which the helper keeps: here are its ring, its events, and questions about it.
 *
 * Who holds a packet socket can send with it. The ring's mapping and the epoll set hold the file and give
 * no way to it, so a writer that prints has none.
 */
#include "kept_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "common/channel.h"
#include "common/privilege.h"
#include "common/protocol.h"

#define ANSWER_MOST_MS 100 /* that a helper which somebody has stopped holds the capture up, once */

int kept_socket_take(struct ring *ring, int packet_fd, const struct tpacket_req3 *layout)
{
	struct epoll_event readable = { .events = EPOLLIN };

	if (ring_map(ring, packet_fd, layout) == 0 &&
	    epoll_ctl(WRITER_EVENTS_FD, EPOLL_CTL_ADD, packet_fd, &readable) == 0 && close(packet_fd) == 0 &&
	    privilege_clear() == 0) /* the shield was for as long as the socket was here */
		return 0;
	log_record(LOG_ERROR, "cannot take the kernel's ring",
		   LOG_FIELDS(LOG_TEXT("error", strerror(errno)),
			      LOG_NUMBER("buffer-size", protocol_ring_bytes(layout))));
	return -1;
}

static void take_answer(struct kept_socket *socket)
{
	struct status_answer answer;
	ssize_t received = channel_receive(WRITER_CAPTURE_CHANNEL_FD, &answer, sizeof answer);

	if (received <= 0 || !status_answer_valid(&answer, (size_t)received)) {
		socket->gone = true;
		return;
	}
	socket->asked = socket->silent = false;
	socket->received += answer.packets;
	socket->dropped += answer.dropped;
	socket->unbound = answer.interface < 0;
	if (answer.error != 0)
		socket->error = answer.error;
}

/* Whether there is something to receive, within so many ms; a signal does not end the wait. */
static bool wait_for_answer(int most_ms)
{
	struct pollfd answered = { .fd = WRITER_CAPTURE_CHANNEL_FD, .events = POLLIN };
	const int64_t until_ms = clock_ms() + most_ms;
	int64_t left_ms = most_ms;
	int ready;

	while ((ready = poll(&answered, 1, (int)left_ms)) < 0 && left_ms > 0)
		left_ms = until_ms > clock_ms() ? until_ms - clock_ms() : 0;
	return ready > 0;
}

bool kept_socket_ask(struct kept_socket *socket)
{
	const struct bare_message question = { { PROTOCOL_VERSION, MESSAGE_STATUS_QUESTION } };

	if (!socket->gone && socket->asked && wait_for_answer(0)) /* late, but counts all the same */
		take_answer(socket);
	if (!socket->gone && !socket->asked) {
		socket->asked = channel_send(WRITER_CAPTURE_CHANNEL_FD, &question, sizeof question) == 0;
		socket->gone = !socket->asked;
	}
	if (!socket->gone && wait_for_answer(socket->silent ? 0 : ANSWER_MOST_MS))
		take_answer(socket);
	else
		socket->silent = !socket->gone;
	return !socket->gone && !socket->asked;
}

enum kept_socket_event kept_socket_event(void)
{
	struct epoll_event event = { 0 };

	if (epoll_wait(WRITER_EVENTS_FD, &event, 1, 0) <= 0)
		return SOCKET_QUIET;
	return (event.events & EPOLLERR) != 0 ? SOCKET_ERROR : SOCKET_READY;
}
