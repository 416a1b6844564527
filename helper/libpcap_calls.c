/* helper: what runs with the capability. */
/*
 * What libpcap calls, replaced at link time (-Wl,--wrap=...): it gets sockets that are open already, a ring of
 * the size that the writer asked for, and names from the resolver's process. So it opens no socket and no file and
 * looks up no name here. Its calls pass no context of ours, so `given` is a static.
 */
#include "libpcap_calls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"

/* Only the linker, and libpcap by declarations of its own, refer to these. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int __real_bind(int fd, const struct sockaddr *address, socklen_t length);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);

#define SLOTS 8
#define FIRST_GROUP 0xcfa0 /* unusual: somebody else's group of that number counts as a slot that is taken */
#define FANOUT_IGNORE_OUTGOING 0x4000 /* PACKET_FANOUT_FLAG_IGNORE_OUTGOING, late 2022 */

static struct given {
	struct sockets left; /* those that libpcap has not got yet */
	int packet_fd;       /* the AF_PACKET socket that it got; -1: none */
	int lookup_channel;
	const struct open_request *request;
	bool names; /* may be looked up */
	bool bound, has_slot;
	int error;
} given = { { -1, -1, -1 }, -1, -1, NULL, true, false, false, 0 };

void libpcap_calls_use(const struct sockets *sockets, const struct open_request *request, int lookup_channel)
{
	given = (struct given){ *sockets, -1, lookup_channel, request, true, false, false, 0 };
}

void libpcap_calls_know_names(bool known)
{
	given.names = known;
}

int libpcap_calls_error(void)
{
	return given.error;
}

static const struct sock_fprog NOTHING = { 1, (struct sock_filter[]){ BPF_STMT(BPF_RET | BPF_K, 0) } };

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * Each of our sockets once, and no other. Its first filter drops every packet, until the whole filter
 * replaces it: the ring never has a packet that the whole filter would not let through.
 */
int __wrap_socket(int domain, int type, int protocol)
{
	(void)protocol;
	if (domain == AF_UNIX)
		return take(&given.left.local); /* carries SIOCETHTOOL, nothing else */
	if (domain != AF_PACKET)
		return -1;
	given.packet_fd = take(type == SOCK_RAW ? &given.left.raw : &given.left.cooked);
	return __real_setsockopt(given.packet_fd, SOL_SOCKET, SO_ATTACH_FILTER, &NOTHING,
				 sizeof NOTHING) == 0 ? given.packet_fd : -1;
}

/* As libpcap binds later, but before there is a ring. Returns 0, or -1 with errno. */
static int bind_early(int fd)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq device = { 0 };

	memcpy(device.ifr_name, given.request->interface, sizeof device.ifr_name);
	if (strcmp(device.ifr_name, "any") != 0 && ioctl(fd, SIOCGIFINDEX, &device) != 0)
		return -1;
	address.sll_ifindex = device.ifr_ifindex; /* 0: any */
	given.bound = __real_bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	return given.bound ? 0 : -1;
}

/*
 * The kernel ties a slot to the socket: a fanout group of one member is left after the ring is freed, however
 * its process ends, so there are never more rings than slots. Returns 0, or -1 with errno.
 */
static int take_slot(int fd)
{
	const bool ignore = (given.request->flags & OPEN_IGNORE_OUTGOING) != 0;
	struct fanout_args group = { .type_flags = PACKET_FANOUT_CPU | (ignore ? FANOUT_IGNORE_OUTGOING : 0),
				     .max_num_members = 1 };
	socklen_t length = sizeof errno;

	if (given.has_slot) /* libpcap asks again when there was no memory for the ring */
		return 0;
	/* Older kernels (before 5.11) have no such groups: only the names limit the captures, writer/setup/slots.c. */
	if (__real_setsockopt(fd, SOL_PACKET, PACKET_FANOUT, NULL, sizeof group) == 0 || errno != EFAULT)
		return 0;
	if (bind_early(fd) != 0)
		return -1;
	for (unsigned int i = 0; i < SLOTS; i++) {
		group.id = (uint16_t)(FIRST_GROUP + i);
		given.has_slot = __real_setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, sizeof group) == 0;
		if (given.has_slot)
			return 0;
		if (errno != ENOSPC && errno != EINVAL) /* EINVAL: it is taken on another device */
			return -1;
	}
	/* Before Linux 6.13 a device that is down, at bind() or since, is EINVAL too. */
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &length) == 0 && errno == 0)
		errno = ENOSPC;
	return -1;
}

/*
 * When libpcap asks for its ring it gets one of the writer's layout: to make a second one later would take some
 * ten milliseconds, and one more such call. And it cannot detach a filter: it gets the one that drops all.
 */
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	int result = 0;

	if (level == SOL_PACKET && option == PACKET_RX_RING) {
		result = take_slot(fd);
		value = &given.request->ring;
		length = sizeof given.request->ring;
	} else if (level == SOL_SOCKET && option == SO_DETACH_FILTER) {
		option = SO_ATTACH_FILTER;
		value = &NOTHING;
		length = sizeof NOTHING;
	}
	if (result == 0)
		result = __real_setsockopt(fd, level, option, value, length);
	if (result != 0)
		given.error = errno;
	return result;
}

/* The kernel refuses to bind a member of a fanout group. bind_early() has bound it. */
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return given.bound ? 0 : __real_bind(fd, address, length);
}

/* The ring is the writer's to map: what libpcap gets in its place is plain memory. */
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (fd >= 0 && fd == given.packet_fd)
		return __real_mmap(address, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return __real_mmap(address, length, protection, flags, fd, offset);
}

static const struct addrinfo NO_HINTS;
static struct lookup_answer answer; /* what getaddrinfo() returns points into it */

/* Asks, and leaves what comes back in `answer`. A resolver that misbehaves ends this process. */
static int ask(enum lookup_kind kind, const char *name, const struct addrinfo *hints)
{
	struct lookup_request request = { { PROTOCOL_VERSION, MESSAGE_LOOKUP }, kind, hints->ai_family,
					  hints->ai_socktype, hints->ai_protocol, "" };
	ssize_t received;

	if (!given.names || protocol_copy_text(request.name, sizeof request.name, name) != 0)
		return EAI_NONAME;
	if (channel_send(given.lookup_channel, &request, sizeof request) != 0)
		_exit(1);
	received = channel_receive(given.lookup_channel, &answer, sizeof answer);
	if (received <= 0 || !lookup_answer_valid(&answer, (size_t)received))
		_exit(1);
	return answer.error;
}

/* libpcap looks up IPv6 addresses as names. Answered here, the user's resolver cannot change what the operator's mean. */
static bool is_address(const char *node)
{
	struct lookup_entry *only = answer.entry;

	*only = (struct lookup_entry){ AF_INET6, SOCK_STREAM, IPPROTO_TCP, { .ipv6 = { .sin6_family = AF_INET6 } } };
	answer.count = 1;
	return node != NULL && inet_pton(AF_INET6, node, &only->address.ipv6.sin6_addr) == 1;
}

/* libpcap is done with one result before it asks for the next. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	static struct addrinfo found[LOOKUP_ADDRESS_MAX];
	int error = is_address(node) ? 0 :
				       ask(node != NULL ? LOOKUP_ADDRESS : LOOKUP_SERVICE, node != NULL ? node : service, hints);

	if (error != 0 || answer.count == 0)
		return error != 0 ? error : EAI_NONAME;
	for (uint32_t i = 0; i < answer.count; i++) {
		struct lookup_entry *entry = &answer.entry[i];
		found[i] = (struct addrinfo){ 0, entry->family, entry->socket_type, entry->protocol,
					      sizeof entry->address, &entry->address.any, NULL,
					      i + 1 < answer.count ? &found[i + 1] : NULL };
	}
	*result = found;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *result)
{
	(void)result; /* never allocated */
}

struct hostent *__wrap_gethostbyname(const char *name)
{
	return (void)name, NULL; /* for pcap_nametoaddr(), which no filter reaches */
}

int __wrap_getnetbyname_r(const char *name, struct netent *net, char *buffer, size_t size,
			  struct netent **result, int *error)
{
	*result = ask(LOOKUP_NETWORK, name, &NO_HINTS) == 0 ? net : NULL;
	net->n_net = answer.number;
	return (void)buffer, (void)size, *error = 0;
}

int __wrap_getprotobyname_r(const char *name, struct protoent *protocol, char *buffer, size_t size,
			    struct protoent **result)
{
	*result = ask(LOOKUP_PROTOCOL, name, &NO_HINTS) == 0 ? protocol : NULL;
	protocol->p_proto = (int)answer.number;
	return (void)buffer, (void)size, 0; /* an unknown name is no error, as in glibc */
}

int __wrap_ether_hostton(const char *name, struct ether_addr *address)
{
	int error = ask(LOOKUP_ETHERNET, name, &NO_HINTS);

	memcpy(address, answer.entry[0].address.ethernet, sizeof *address);
	return error;
}
