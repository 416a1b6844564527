/* The packet sockets: the only privileged calls of the project. */
#include "sockets.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "privilege.h"

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

static struct sockets left = { -1, -1, -1 };

struct sockets sockets_left(void)
{
	return left;
}

int sockets_open(void)
{
	int error = 0;

	/* Fails without the capability; then socket() fails too, and its errno is the answer. */
	privilege_set("cap_net_raw=ep");
	/* Protocol 0: deaf until libpcap binds them, so no packet passes before there is a filter. */
	left.raw = __real_socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (left.raw >= 0)
		left.cooked = __real_socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (left.cooked < 0)
		error = errno;
	/* Everything after this line runs without any privilege, and cannot get one back. */
	if (privilege_drop_all() != 0)
		_exit(1);
	left.local = __real_socket(AF_UNIX, SOCK_RAW | SOCK_CLOEXEC, 0);
	return error;
}

/* What libpcap gets from socket(): each of ours once, and no other. (-Wl,--wrap=socket) */
int __wrap_socket(int domain, int type, int protocol)
{
	int none = -1, *wanted = &none, fd;

	(void)protocol;
	if (domain == AF_PACKET)
		wanted = type == SOCK_RAW ? &left.raw : &left.cooked;
	else if (domain == AF_UNIX)
		wanted = &left.local; /* carries SIOCETHTOOL, nothing else */
	fd = *wanted;
	*wanted = -1;
	errno = EACCES;
	return fd;
}
