/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The bound of kernel memory: names in the abstract namespace, and what sock_diag(7) says of rings. */
#include "slots.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "common/cleanup.h"
#include "confinement.h"
#include "holders.h"

#define DUMP_BYTES 32768 /* what the kernel sends at a time is less */

/* A name in the abstract namespace is per network namespace and gone with its holder, unix(7). */
static int bind_slot(unsigned int number)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "cf-pcap.%u", number);

	return bind(WRITER_SLOT_FD, (const struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length));
}

void slots_report_full(unsigned int limit)
{
	struct holders holders;

	holders_find(&holders);
	log_record(LOG_ERROR, "too many captures in this container, end one first",
		   LOG_FIELDS(LOG_NUMBER("limit", limit), LOG_TEXT("captures", holders.list),
			      LOG_TEXT("hint", holders.hint),
			      LOG_TEXT("reason", limit < SLOTS ? "the operator's policy" : "kernel memory is bounded")));
}

int slots_take(unsigned int limit)
{
	errno = EADDRINUSE;
	for (unsigned int number = 0; number < limit && errno == EADDRINUSE; number++)
		if (bind_slot(number) == 0)
			return 0;
	if (errno == EADDRINUSE)
		slots_report_full(limit);
	else
		confinement_report("cannot take a slot among the captures in this container", "unix (bind)", errno);
	return -1;
}

/* Returns a socket on which the answer arrives, or -1 with errno. */
static int ask_for_rings(void)
{
	const struct {
		struct nlmsghdr header;
		struct packet_diag_req wanted;
	} request = {
		{ .nlmsg_len = sizeof request,
		  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		{ .sdiag_family = AF_PACKET, .pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_RING_CFG },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0 || send(fd, &request, sizeof request, 0) == sizeof request)
		return fd;
	close(fd);
	return -1;
}

/* Bytes of the ring of one socket. Root's are root's affair: they do not keep users from capturing. */
static uint64_t socket_memory(const struct nlmsghdr *message)
{
	const char *at = (const char *)message + NLMSG_SPACE(sizeof(struct packet_diag_msg));
	const char *end = (const char *)message + message->nlmsg_len;
	struct packet_diag_ring ring = { 0 };
	uint32_t owner = UINT32_MAX;

	while (end - at >= (ptrdiff_t)RTA_LENGTH(0)) {
		const struct rtattr *attribute = (const void *)at;
		if (attribute->rta_len < RTA_LENGTH(0) || attribute->rta_len > end - at)
			break;
		if (attribute->rta_type == PACKET_DIAG_RX_RING && attribute->rta_len >= RTA_LENGTH(sizeof ring))
			memcpy(&ring, at + RTA_LENGTH(0), sizeof ring);
		if (attribute->rta_type == PACKET_DIAG_UID && attribute->rta_len >= RTA_LENGTH(sizeof owner))
			memcpy(&owner, at + RTA_LENGTH(0), sizeof owner);
		at += RTA_ALIGN(attribute->rta_len);
	}
	return owner != 0 || getuid() == 0 ? (uint64_t)ring.pdr_block_size * ring.pdr_block_nr : 0;
}

/* Adds up a part of the answer. Returns 1, 0 if it was the last, or -1 with errno. */
static int add_answer(const void *answer, unsigned int length, uint64_t *sum)
{
	const struct nlmsghdr *message = answer;

	for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
		if (message->nlmsg_type == NLMSG_DONE)
			return 0;
		if (message->nlmsg_type == NLMSG_ERROR) {
			errno = -((const struct nlmsgerr *)NLMSG_DATA(message))->error;
			return -1;
		}
		*sum += socket_memory(message);
	}
	return 1;
}

/* The bytes of all rings in this network namespace. Returns 0, or -1 with errno. */
static int count_ring_memory(uint64_t *sum)
{
	static _Alignas(struct nlmsghdr) char answer[DUMP_BYTES];
	CLEANUP(cleanup_fd) int fd = ask_for_rings();
	ssize_t received;
	int more = 1;

	*sum = 0;
	while (fd >= 0 && more > 0) {
		received = recv(fd, answer, sizeof answer, 0);
		if (received < 0 && errno != EINTR)
			return -1;
		if (received >= 0)
			more = add_answer(answer, (unsigned int)received, sum);
	}
	return fd < 0 ? -1 : more;
}

/* The kernel has no such thing, or the platform does not let us ask: not what a user can bring about. */
static bool cannot_be_counted(int error)
{
	return error == EPROTONOSUPPORT || error == EAFNOSUPPORT || error == ENOENT || error == ENOSYS ||
	       error == EPERM || error == EACCES;
}

int slots_check_memory(uint64_t more)
{
	struct holders holders;
	uint64_t used;

	if (count_ring_memory(&used) != 0) {
		if (cannot_be_counted(errno))
			return 0;
		log_record(LOG_ERROR, "cannot count the captures' kernel memory",
			   LOG_FIELDS(LOG_TEXT("error", strerror(errno))));
		return -1;
	}
	if (used + more <= SLOTS_BYTES)
		return 0;
	holders_find(&holders);
	log_record(LOG_ERROR, "captures take up too much kernel memory in this container, end one first",
		   LOG_FIELDS(LOG_NUMBER("bytes", used + more), LOG_NUMBER("limit", SLOTS_BYTES),
			      LOG_TEXT("captures", holders.list), LOG_TEXT("hint", holders.hint)));
	return -1;
}
