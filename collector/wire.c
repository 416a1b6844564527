/* collector: the desk's program: one capture of a whole app; no privilege. */
/* What the process that starts the commands and the one that merges tell each other. */
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for the descriptors beside a message. */
union ancillary {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(WIRE_FDS_MOST * sizeof(int))];
};

int wire_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

/* The rest of a message, whose first part went with the descriptors. */
static int send_rest(int fd, const void *message, size_t length, size_t done)
{
	while (done < length) {
		const ssize_t count = send(fd, (const char *)message + done, length - done, 0);
		if (count < 0 && errno != EINTR)
			return -1;
		done += count > 0 ? (size_t)count : 0;
	}
	return 0;
}

int wire_send_order(int fd, const struct order *order, const int *fds, size_t fd_count)
{
	struct iovec bytes = { (void *)(uintptr_t)order, sizeof *order };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	union ancillary ancillary;
	ssize_t count;

	memset(&ancillary, 0, sizeof ancillary);
	if (fd_count > 0) {
		message.msg_control = &ancillary;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
		ancillary.header.cmsg_level = SOL_SOCKET;
		ancillary.header.cmsg_type = SCM_RIGHTS;
		ancillary.header.cmsg_len = CMSG_LEN(fd_count * sizeof *fds);
		memcpy(CMSG_DATA(&ancillary.header), fds, fd_count * sizeof *fds);
	}
	do
		count = sendmsg(fd, &message, 0);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -1 : send_rest(fd, order, sizeof *order, (size_t)count);
}

size_t wire_send_reports(int fd, const void *reports, size_t length)
{
	const ssize_t count = send(fd, reports, length, MSG_DONTWAIT);

	return count > 0 ? (size_t)count : 0;
}

/* Returns 1, 0 if there is none at all, or -1. */
static int receive_rest(int fd, void *message, size_t length, size_t done)
{
	while (done < length) {
		const ssize_t count = recv(fd, (char *)message + done, length - done, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count == 0 && done == 0 ? 0 : -1;
		done += (size_t)count;
	}
	return 1;
}

static void take_descriptors(struct msghdr *message, int fds[WIRE_FDS_MOST])
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t count;

	if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return;
	count = (header->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
	memcpy(fds, CMSG_DATA(header), (count < WIRE_FDS_MOST ? count : WIRE_FDS_MOST) * sizeof *fds);
}

int wire_receive_order(int fd, struct order *order, int fds[WIRE_FDS_MOST])
{
	struct iovec bytes = { order, sizeof *order };
	union ancillary ancillary;
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &ancillary,
				  .msg_controllen = sizeof ancillary };
	ssize_t count;

	memset(&ancillary, 0, sizeof ancillary);
	for (int i = 0; i < WIRE_FDS_MOST; i++)
		fds[i] = -1;
	do
		count = recvmsg(fd, &message, 0);
	while (count < 0 && errno == EINTR);
	if (count <= 0)
		return (int)count;
	take_descriptors(&message, fds);
	return receive_rest(fd, order, sizeof *order, (size_t)count);
}

int wire_receive_report(int fd, struct report *report)
{
	return receive_rest(fd, report, sizeof *report, 0);
}
