/* helper: what runs with the capability. */
/* The packet sockets: the only privileged calls of the project. */
#include "sockets.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/privilege.h"

int __real_socket(int domain, int type, int protocol); /* libpcap_calls.c has the other one */

int sockets_open(struct sockets *sockets)
{
	int error;

	*sockets = (struct sockets){ -1, -1, -1 };
	/* Fails without the capability; then socket() fails too, and its errno is the answer. */
	privilege_set("cap_net_raw=ep");
	/* Protocol 0: they get no packet until they are bound. */
	sockets->raw = __real_socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sockets->raw >= 0)
		sockets->cooked = __real_socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	error = sockets->cooked < 0 ? errno : 0;
	/*
	 * Nothing after this line is privileged. The capability stays permitted as a shield, privilege.h. The
	 * sandbox allows neither capset(), to make it effective again, nor socket().
	 */
	if (privilege_lower() != 0)
		_exit(1);
	sockets->local = __real_socket(AF_UNIX, SOCK_RAW | SOCK_CLOEXEC, 0);
	return error;
}
