/* The packet sockets: the only privileged calls of the project. */
#include "sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handle.h"
#include "common/privilege.h"

/* Only the linker's --wrap refers to these. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int __real_socket(int domain, int type, int protocol);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);

struct sockets sockets_left = { -1, -1, -1 };

int sockets_open(void)
{
	int error;

	/* Fails without the capability; then socket() fails too, and its errno is the answer. */
	privilege_set("cap_net_raw=ep");
	/* Protocol 0: deaf until libpcap binds them. */
	sockets_left.raw = __real_socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sockets_left.raw >= 0)
		sockets_left.cooked = __real_socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	error = sockets_left.cooked < 0 ? errno : 0;
	/* Everything after this line runs without any privilege, and cannot get one back. */
	if (privilege_drop_all() != 0)
		_exit(1);
	sockets_left.local = __real_socket(AF_UNIX, SOCK_RAW | SOCK_CLOEXEC, 0);
	return error;
}

static const struct sock_fprog NOTHING = { 1, (struct sock_filter[]){ BPF_STMT(BPF_RET | BPF_K, 0) } };

/*
 * What libpcap gets from socket(): each of ours once, and no other. (-Wl,--wrap=socket) No packet
 * passes it until the whole filter takes the place of this one, so the ring never sees another.
 */
int __wrap_socket(int domain, int type, int protocol)
{
	int none = -1, *wanted = &none, fd;

	(void)protocol;
	if (domain == AF_PACKET)
		wanted = type == SOCK_RAW ? &sockets_left.raw : &sockets_left.cooked;
	else if (domain == AF_UNIX)
		wanted = &sockets_left.local; /* carries SIOCETHTOOL, nothing else */
	fd = *wanted;
	*wanted = -1;
	errno = EACCES;
	return domain != AF_PACKET ||
	       __real_setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &NOTHING, sizeof NOTHING) == 0 ? fd : -1;
}

/*
 * Where libpcap makes its ring, before it binds, the writer's is made: another one later would cost
 * some ten milliseconds, and another such call. What libpcap maps in its place is plain memory.
 */
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	if (level == SOL_PACKET && option == PACKET_RX_RING)
		return __real_setsockopt(fd, level, option, &capture_ring, sizeof capture_ring);
	return __real_setsockopt(fd, level, option, value, length);
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	(void)flags, (void)fd;
	return __real_mmap(address, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, offset);
}
