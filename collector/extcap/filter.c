/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/*
 * Capture filters, compiled by libpcap and forgotten. Names of hosts, ports and the like are known to the container,
 * and not here: on Linux they are all taken as good (-Wl,--wrap=...), and nobody is asked.
 */
#include "filter.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SNAPLEN 262144
#define NETMASK 0xffffff00u /* "ip broadcast" needs one */

/* Returns "" if it is valid for this link type. */
static const char *failure_for(int link_type, const char *filter)
{
	static char failure[PCAP_ERRBUF_SIZE];
	pcap_t *handle = pcap_open_dead(link_type, SNAPLEN);
	struct bpf_program program;

	failure[0] = '\0';
	if (handle == NULL)
		return "there is no memory";
	if (pcap_compile(handle, &program, filter, 0, NETMASK) == 0)
		pcap_freecode(&program);
	else
		snprintf(failure, sizeof failure, "%s", pcap_geterr(handle));
	pcap_close(handle);
	return failure;
}

/* Interfaces there are Ethernet, but "any" is not: what one of them knows is valid. */
void filter_check(const char *filter)
{
	const char *failure = failure_for(DLT_LINUX_SLL2, filter);

	if (*failure != '\0')
		failure = failure_for(DLT_EN10MB, filter);
	if (*failure != '\0')
		puts(failure);
}

/* Only the linker refers to these, whose names are its own. NOLINTBEGIN(bugprone-reserved-identifier) */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* An IPv6 address that is written out has to be the only answer. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	static struct sockaddr_in one = { .sin_family = AF_INET };
	static struct sockaddr_in6 other = { .sin6_family = AF_INET6 };
	static struct addrinfo found[2];
	const bool is_ipv6 = node != NULL && inet_pton(AF_INET6, node, &other.sin6_addr) == 1;

	(void)service, (void)hints;
	found[1] = (struct addrinfo){ 0, AF_INET6, SOCK_STREAM, IPPROTO_TCP, sizeof other, (struct sockaddr *)&other, NULL, NULL };
	found[0] = (struct addrinfo){ 0, AF_INET, SOCK_STREAM, IPPROTO_TCP, sizeof one, (struct sockaddr *)&one, NULL, &found[1] };
	*result = is_ipv6 ? &found[1] : found;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *result)
{
	(void)result; /* never allocated */
}

struct hostent *__wrap_gethostbyname(const char *name)
{
	return (void)name, NULL; /* no filter reaches it */
}

int __wrap_getnetbyname_r(const char *name, struct netent *net, char *buffer, size_t size, struct netent **result, int *error)
{
	(void)name, (void)buffer, (void)size;
	net->n_net = 10;
	*result = net;
	return *error = 0;
}

int __wrap_getprotobyname_r(const char *name, struct protoent *protocol, char *buffer, size_t size, struct protoent **result)
{
	(void)name, (void)buffer, (void)size;
	protocol->p_proto = IPPROTO_TCP;
	*result = protocol;
	return 0;
}

int __wrap_ether_hostton(const char *name, struct ether_addr *address)
{
	(void)name;
	memset(address, 0, sizeof *address);
	return 0;
}

/* NOLINTEND(bugprone-reserved-identifier) */
