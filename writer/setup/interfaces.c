/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The interfaces of this network namespace. */
#include "interfaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "common/cleanup.h"

#define NAMES_SIZE 1024
/* ARPHRD_ of linux/if_arp.h, which does not go with net/if.h */
#define HARDWARE_CAN 280
#define HARDWARE_NETLINK 824

static void cleanup_ifaddrs(struct ifaddrs **list)
{
	if (*list != NULL)
		freeifaddrs(*list);
}

/* An IPv4 address may have a label of its own, "eth0:1", for the interface's name. */
static bool is_of(const struct ifaddrs *entry, const char *name)
{
	size_t length = strlen(name);

	return strncmp(entry->ifa_name, name, length) == 0 &&
	       (entry->ifa_name[length] == '\0' || entry->ifa_name[length] == ':');
}

/* Each interface has one entry of its own; those without a hardware address have none there. */
static bool is_link(const struct ifaddrs *entry)
{
	return entry->ifa_addr == NULL || entry->ifa_addr->sa_family == AF_PACKET;
}

/* ARPHRD_, net/if_arp.h; -1 if it is gone. */
static int hardware_type(const char *name)
{
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	return ioctl(fd, SIOCGIFHWADDR, &request) == 0 ? request.ifr_hwaddr.sa_family : -1;
}

/* What a capture there is written as: libpcap's choice. */
static const char *link_type_name(const char *name)
{
	switch (hardware_type(name)) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return "EN10MB (Ethernet)";
	case ARPHRD_NONE:
	case ARPHRD_TUNNEL:
	case ARPHRD_SIT:
		return "RAW (Raw IP)";
	case HARDWARE_NETLINK:
	case HARDWARE_CAN:
	case ARPHRD_IEEE80211:
	case ARPHRD_IEEE80211_PRISM:
	case ARPHRD_IEEE80211_RADIOTAP:
		return "(cannot be captured)";
	default:
		return "LINUX_SLL (Linux cooked)";
	}
}

static unsigned int prefix_length(const struct sockaddr *mask)
{
	const uint8_t *bytes = mask->sa_family == AF_INET ?
				       (const uint8_t *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr :
				       (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr;
	unsigned int length = 0;

	for (int i = 0; i < (mask->sa_family == AF_INET ? 4 : 16); i++)
		length += (unsigned int)__builtin_popcount(bytes[i]);
	return length;
}

static void print_addresses(const struct ifaddrs *list, const char *name)
{
	char address[INET6_ADDRSTRLEN + IFNAMSIZ + 1];

	for (; list != NULL; list = list->ifa_next) {
		int family = list->ifa_addr != NULL ? list->ifa_addr->sa_family : AF_UNSPEC;
		socklen_t length = family == AF_INET ? sizeof(struct sockaddr_in) :
						       sizeof(struct sockaddr_in6);
		if ((family != AF_INET && family != AF_INET6) || !is_of(list, name) ||
		    getnameinfo(list->ifa_addr, length, address, sizeof address, NULL, 0, NI_NUMERICHOST))
			continue;
		address[strcspn(address, "%")] = '\0';
		printf(" %s", address);
		if (list->ifa_netmask != NULL)
			printf("/%u", prefix_length(list->ifa_netmask));
	}
}

static int get_interfaces(struct ifaddrs **list)
{
	if (getifaddrs(list) == 0)
		return 0;
	*list = NULL;
	log_record(LOG_ERROR, "cannot list the interfaces", LOG_FIELDS(LOG_TEXT("error", strerror(errno))));
	return -1;
}

int interfaces_list(void)
{
	CLEANUP(cleanup_ifaddrs) struct ifaddrs *list = NULL;

	if (get_interfaces(&list) != 0)
		return -1;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
		if (!is_link(entry))
			continue;
		printf("%-15s %-4s  %-25s", entry->ifa_name,
		       (entry->ifa_flags & IFF_UP) != 0 ? "up" : "down", link_type_name(entry->ifa_name));
		print_addresses(list, entry->ifa_name);
		putchar('\n');
	}
	printf("%-15s %-4s  %-25s\n", "any", "-", "LINUX_SLL2 (Linux cooked)");
	return 0;
}

const char *interfaces_own_name(const char *name)
{
	static char own[IF_NAMESIZE];
	unsigned int index = if_nametoindex(name);

	return index != 0 && if_indextoname(index, own) != NULL ? own : name;
}

void interfaces_report_unknown(const char *name)
{
	CLEANUP(cleanup_ifaddrs) struct ifaddrs *list = NULL;
	char names[NAMES_SIZE];
	size_t used = 0;

	if (getifaddrs(&list) != 0)
		list = NULL;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next)
		if (is_link(entry) && used + IFNAMSIZ + 1 < sizeof names)
			used += (size_t)snprintf(names + used, sizeof names - used, "%s ", entry->ifa_name);
	snprintf(names + used, sizeof names - used, "any");
	if (name == NULL)
		log_record(LOG_ERROR, "-interface is required",
			   LOG_FIELDS(LOG_TEXT("flag", "-interface"), LOG_TEXT("expected", names)));
	else
		log_record(LOG_ERROR, "no such interface",
			   LOG_FIELDS(LOG_TEXT("interface", name), LOG_TEXT("available", names)));
}

static void examine(const struct ifaddrs *entry, const char *name, struct interface_facts *facts)
{
	bool is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0, is_named = is_of(entry, name);
	struct sockaddr_in mask;

	if (is_link(entry) && is_loopback && entry->ifa_addr != NULL)
		facts->loopback_index = ((const struct sockaddr_ll *)(const void *)entry->ifa_addr)->sll_ifindex;
	if (is_link(entry) && is_named)
		facts->is_loopback = is_loopback;
	if (is_named && entry->ifa_netmask != NULL && entry->ifa_netmask->sa_family == AF_INET &&
	    facts->netmask == PCAP_NETMASK_UNKNOWN) {
		memcpy(&mask, entry->ifa_netmask, sizeof mask);
		facts->netmask = mask.sin_addr.s_addr;
	}
}

int interfaces_examine(const char *name, struct interface_facts *facts)
{
	CLEANUP(cleanup_ifaddrs) struct ifaddrs *list = NULL;

	*facts = (struct interface_facts){ .netmask = PCAP_NETMASK_UNKNOWN };
	if (get_interfaces(&list) != 0)
		return -1;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next)
		examine(entry, name, facts);
	return 0;
}
