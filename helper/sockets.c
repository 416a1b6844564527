/* The packet sockets: the only privileged calls of the project. */
#include "sockets.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "privilege.h"

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

static int raw = -1, cooked = -1, local = -1;

int sockets_raw(void)
{
	return raw;
}

int sockets_cooked(void)
{
	return cooked;
}

static int raise_net_raw(void)
{
	const cap_value_t net_raw = CAP_NET_RAW;
	cap_t set = cap_get_proc();
	int result = -1;

	if (set != NULL && cap_set_flag(set, CAP_EFFECTIVE, 1, &net_raw, CAP_SET) == 0)
		result = cap_set_proc(set);
	if (set != NULL)
		cap_free(set);
	return result;
}

int sockets_open(void)
{
	int error = 0;

	/* Fails without the capability; then socket() fails too, and its errno is the answer. */
	raise_net_raw();
	/* Protocol 0: deaf until libpcap binds them, so no packet passes before there is a filter. */
	raw = __real_socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (raw >= 0)
		cooked = __real_socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (raw < 0 || cooked < 0)
		error = errno;
	/* Everything after this line runs without any privilege, and cannot get one back. */
	if (privilege_drop_all() != 0)
		_exit(1);
	local = __real_socket(AF_UNIX, SOCK_RAW | SOCK_CLOEXEC, 0);
	return error;
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	if (taken < 0)
		errno = EACCES;
	return taken;
}

/* What libpcap gets from socket(): each of ours once, and no other. (-Wl,--wrap=socket) */
int __wrap_socket(int domain, int type, int protocol)
{
	(void)protocol;
	if (domain == AF_PACKET && type == SOCK_RAW)
		return take(&raw);
	if (domain == AF_PACKET && type == SOCK_DGRAM)
		return take(&cooked);
	if (domain == AF_UNIX && type == SOCK_RAW) /* carries SIOCETHTOOL, nothing else */
		return take(&local);
	errno = EACCES;
	return -1;
}
