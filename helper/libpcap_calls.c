/* helper: what runs with the capability. */
/*
 * What libpcap calls, replaced at link time (-Wl,--wrap=...): sockets that are open already, a ring of
 * the writer's size, and names looked up by somebody else, so that no resolver, no file and no other
 * socket is in this process. It calls without a context, so what it is to get is kept here.
 */
#include "libpcap_calls.h"

#include <linux/filter.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"

/* Only the linker, and libpcap by declarations of its own, refer to these. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);

static struct given {
	struct sockets left;      /* those that libpcap has not got yet */
	int packet_fd;            /* the AF_PACKET socket that it got; -1: none */
	struct tpacket_req3 ring; /* for that one */
	int lookup_channel;
} given = { { -1, -1, -1 }, -1, { 0 }, -1 };

void libpcap_calls_use(const struct sockets *sockets, const struct tpacket_req3 *ring, int lookup_channel)
{
	given = (struct given){ *sockets, -1, *ring, lookup_channel };
}

static const struct sock_fprog NOTHING = { 1, (struct sock_filter[]){ BPF_STMT(BPF_RET | BPF_K, 0) } };

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * Each of ours once, and no other. No packet passes it until the whole filter takes the place of this
 * one, so the ring never sees another.
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

/*
 * Where libpcap makes its ring, before it binds, the writer's is made: another one later would cost
 * some ten milliseconds, and another such call.
 */
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
	if (level == SOL_PACKET && option == PACKET_RX_RING)
		return __real_setsockopt(fd, level, option, &given.ring, sizeof given.ring);
	return __real_setsockopt(fd, level, option, value, length);
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

	if (protocol_copy_text(request.name, sizeof request.name, name) != 0)
		return EAI_NONAME;
	if (channel_send(given.lookup_channel, &request, sizeof request) != 0)
		_exit(1);
	received = channel_receive(given.lookup_channel, &answer, sizeof answer);
	if (received <= 0 || !lookup_answer_valid(&answer, (size_t)received))
		_exit(1);
	return answer.error;
}

/* libpcap is done with one result before it asks for the next. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	static struct addrinfo found[LOOKUP_ADDRESS_MAX];
	int error = ask(node != NULL ? LOOKUP_ADDRESS : LOOKUP_SERVICE, node != NULL ? node : service, hints);

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

/*
 * libpcap's capture modules that cf-pcap does not offer: with these entry points defined, the linker
 * leaves theirs, and the libraries they drag in, out of the helper.
 */
#define NO_MODULE(name)                                                      \
	pcap_t *name##_create(const char *device, char *error, int *is_ours) \
	{ return (void)device, (void)error, *is_ours = 0, NULL; }            \
	int name##_findalldevs(void *list, char *error)                      \
	{ return (void)list, (void)error, 0; }

NO_MODULE(bt) NO_MODULE(bt_monitor) NO_MODULE(dbus)
NO_MODULE(netfilter) NO_MODULE(rdmasniff) NO_MODULE(usb)
