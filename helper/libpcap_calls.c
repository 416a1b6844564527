/*
 * The names in a filter, looked up by somebody else. libpcap's calls are replaced at link time
 * (-Wl,--wrap=...), so that no resolver, no file and no other socket is in this process.
 */
#include "libpcap_calls.h"

#include <netdb.h>
#include <netinet/ether.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/protocol.h"

/* Only the linker's --wrap refers to these. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const struct addrinfo NO_HINTS;
static int lookup_channel = -1;
static struct lookup_answer answer; /* what getaddrinfo() returns points into it */

void lookup_use_channel(int channel)
{
	lookup_channel = channel;
}

/* Asks, and leaves what comes back in `answer`. A resolver that misbehaves ends this process. */
static int ask(enum lookup_kind kind, const char *name, const struct addrinfo *hints)
{
	struct lookup_request request = { { PROTOCOL_VERSION, MESSAGE_LOOKUP }, kind, hints->ai_family,
					  hints->ai_socktype, hints->ai_protocol, "" };
	ssize_t received;

	if (protocol_copy_text(request.name, sizeof request.name, name) != 0)
		return EAI_NONAME;
	if (channel_send(lookup_channel, &request, sizeof request) != 0)
		_exit(1);
	received = channel_receive(lookup_channel, &answer, sizeof answer);
	if (received <= 0 || !lookup_answer_valid(&answer, (size_t)received))
		_exit(1);
	return answer.error;
}

/* libpcap is done with one result before it asks for the next. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	static struct addrinfo found[LOOKUP_ADDRESS_MAX];
	int error = node != NULL ? ask(LOOKUP_ADDRESS, node, hints) :
				   ask(LOOKUP_SERVICE, service, hints);

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
