/*
 * The names in a filter, looked up by somebody else. libpcap's calls are replaced at link time
 * (-Wl,--wrap=...), so that no resolver, no file and no other socket is in this process.
 */
#include "lookup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "protocol.h"

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);
void __wrap_freeaddrinfo(struct addrinfo *result);
struct hostent *__wrap_gethostbyname(const char *name);
int __wrap_getnetbyname_r(const char *name, struct netent *net, char *buffer, size_t size,
			  struct netent **result, int *error);
int __wrap_getprotobyname_r(const char *name, struct protoent *protocol, char *buffer, size_t size,
			    struct protoent **result);
int __wrap_ether_hostton(const char *name, struct ether_addr *address);

struct found_address {
	struct addrinfo info;
	struct sockaddr_storage address;
};

static int lookup_channel = -1;
static struct lookup_answer answer;

void lookup_use_channel(int channel)
{
	lookup_channel = channel;
}

/* Asks, and leaves what comes back in `answer`. A resolver that misbehaves ends this process. */
static int ask(enum lookup_kind kind, const char *name, const struct addrinfo *hints)
{
	struct lookup_request request = { .header = { PROTOCOL_VERSION, MESSAGE_LOOKUP }, .kind = kind };
	ssize_t received;

	if (protocol_copy_text(request.name, sizeof request.name, name) != 0)
		return EAI_NONAME;
	if (hints != NULL) {
		request.family = hints->ai_family;
		request.socket_type = hints->ai_socktype;
		request.protocol = hints->ai_protocol;
	}
	if (channel_send(lookup_channel, &request, sizeof request) != 0)
		_exit(1);
	received = channel_receive(lookup_channel, &answer, sizeof answer);
	if (received <= 0 || !lookup_answer_valid(&answer, (size_t)received))
		_exit(1);
	return answer.error;
}

static void fill_address(struct found_address *found, const struct lookup_entry *entry)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)&found->address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&found->address;

	found->info = (struct addrinfo){ .ai_family = entry->family,
					 .ai_socktype = entry->socket_type,
					 .ai_protocol = entry->protocol,
					 .ai_addrlen = sizeof found->address,
					 .ai_addr = (struct sockaddr *)&found->address };
	found->address.ss_family = (sa_family_t)entry->family;
	if (entry->family == AF_INET) {
		ipv4->sin_port = entry->port;
		memcpy(&ipv4->sin_addr, entry->address, sizeof ipv4->sin_addr);
	} else {
		ipv6->sin6_port = entry->port;
		memcpy(&ipv6->sin6_addr, entry->address, sizeof ipv6->sin6_addr);
	}
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	int error = ask(node != NULL ? LOOKUP_ADDRESS : LOOKUP_SERVICE,
			node != NULL ? node : service, hints);
	struct found_address *found;

	if (error != 0)
		return error;
	if (answer.count == 0)
		return EAI_NONAME;
	found = calloc(answer.count, sizeof *found);
	if (found == NULL)
		return EAI_MEMORY;
	for (uint32_t i = 0; i < answer.count; i++) {
		fill_address(&found[i], &answer.entry[i]);
		found[i].info.ai_next = i + 1 < answer.count ? &found[i + 1].info : NULL;
	}
	*result = &found->info;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *result)
{
	free(result);
}

struct hostent *__wrap_gethostbyname(const char *name)
{
	(void)name; /* for pcap_nametoaddr(), which no filter reaches */
	return NULL;
}

int __wrap_getnetbyname_r(const char *name, struct netent *net, char *buffer, size_t size,
			  struct netent **result, int *error)
{
	(void)buffer, (void)size;
	*error = HOST_NOT_FOUND;
	*result = NULL;
	if (ask(LOOKUP_NETWORK, name, NULL) != 0)
		return ENOENT;
	*net = (struct netent){ .n_addrtype = AF_INET, .n_net = answer.number };
	*result = net;
	return 0;
}

int __wrap_getprotobyname_r(const char *name, struct protoent *protocol, char *buffer, size_t size,
			    struct protoent **result)
{
	(void)buffer, (void)size;
	*result = NULL;
	if (ask(LOOKUP_PROTOCOL, name, NULL) != 0)
		return ENOENT;
	*protocol = (struct protoent){ .p_proto = (int)answer.number };
	*result = protocol;
	return 0;
}

int __wrap_ether_hostton(const char *name, struct ether_addr *address)
{
	if (ask(LOOKUP_ETHERNET, name, NULL) != 0 || answer.count == 0)
		return -1;
	memcpy(address, answer.entry[0].address, sizeof *address);
	return 0;
}
