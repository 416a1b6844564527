/* common: what helper and writer share, read together with the helper. */
/* Fixed-size messages and one file descriptor over an AF_UNIX SOCK_SEQPACKET pair. */
#include "channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more fds than are ever accepted, so that a surplus is seen and closed, not truncated. */
#define FDS_RECEIVED_MAX 8

int channel_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
}

static int all_was_sent(ssize_t sent, size_t size)
{
	if (sent < 0)
		return -1;
	if ((size_t)sent != size) {
		errno = EMSGSIZE;
		return -1;
	}
	return 0;
}

/* send() and not sendmsg(): a sandbox that allows only this cannot pass an fd. */
int channel_send(int channel, const void *message, size_t size)
{
	ssize_t sent;

	do
		sent = send(channel, message, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return all_was_sent(sent, size);
}

int channel_send_fd(int channel, const void *message, size_t size, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof fd)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { .iov_base = (void *)(uintptr_t)message, .iov_len = size };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof control.bytes };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	ssize_t sent;

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(rights), &fd, sizeof fd);
	do
		sent = sendmsg(channel, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return all_was_sent(sent, size);
}

static size_t rights_count(const struct cmsghdr *control)
{
	if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
		return 0;
	return (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

static int rights_fd(struct cmsghdr *control, size_t index)
{
	int fd;

	memcpy(&fd, CMSG_DATA(control) + index * sizeof fd, sizeof fd);
	return fd;
}

static void close_received(struct msghdr *header)
{
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(header); control != NULL;
	     control = CMSG_NXTHDR(header, control))
		for (size_t i = 0; i < rights_count(control); i++)
			close(rights_fd(control, i));
}

/* Exactly one control message, exactly one fd in it. */
static bool holds_one_fd(struct msghdr *header)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);

	return control != NULL && CMSG_NXTHDR(header, control) == NULL &&
	       control->cmsg_len == CMSG_LEN(sizeof(int)) && rights_count(control) == 1;
}

/* recv() and not recvmsg(): whatever fd the other end sends, this process does not get it. */
ssize_t channel_receive(int channel, void *message, size_t size)
{
	ssize_t received = recv(channel, message, size, MSG_TRUNC); /* the length that it had, unix(7) */

	if (received <= (ssize_t)size)
		return received;
	errno = EBADMSG;
	return -1;
}

ssize_t channel_receive_fd(int channel, void *message, size_t size, int *fd)
{
	union {
		char bytes[CMSG_SPACE(FDS_RECEIVED_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { .iov_base = message, .iov_len = size };
	struct msghdr header = { .msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof control.bytes };
	ssize_t received = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	struct cmsghdr *first;
	bool whole;

	*fd = -1;
	if (received < 0)
		return -1;
	first = CMSG_FIRSTHDR(&header);
	whole = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
	/* End of stream carries nothing; an empty message with an fd is none of ours. */
	if (received == 0 && whole && first == NULL)
		return 0;
	if (first == NULL || !whole || !holds_one_fd(&header) || received == 0) {
		close_received(&header);
		errno = EBADMSG;
		return -1;
	}
	*fd = rights_fd(first, 0);
	return received;
}
