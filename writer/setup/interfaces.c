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
#include "confinement.h"
#include "tunnels.h"

#define NAMES_SIZE 1024

/*
 * What libpcap 1.10 makes of a hardware type, ARPHRD_ of linux/if_arp.h: map_arphrd_to_dlt() in its
 * pcap-linux.c. What is not in a list is captured cooked. tests/links/test_hardware_types.py compares.
 */
static const uint16_t ETHERNET_TYPES[] = { 1, 23 /* METRICOM */, 772 /* LOOPBACK */ };
static const uint16_t RAW_TYPES[] = {
	15 /* DLCI */,	  256 /* SLIP */,     257 /* CSLIP */,	 258 /* SLIP6 */, 259 /* CSLIP6 */,
	264 /* ADAPT */,  518 /* RAWHDLC */,  768 /* TUNNEL */,	 776 /* SIT */,	  65534 /* NONE */,
};
/* A link type that cf-pcap does not write: frame_link_type(). */
static const uint16_t REFUSED_TYPES[] = {
	2 /* EETHER */,	 3 /* AX25 */,	4 /* PRONET */,	 5 /* CHAOS */,	 6 /* IEEE802 */,     7 /* ARCNET */,
	18 /* RFC 4338 */, 280 /* CAN */, 513 /* CISCO */, 770 /* FRAD */, 773 /* LOCALTLK */, 774 /* FDDI */,
	783 /* IRDA */,	 784 /* FCPP */, 785 /* FCAL */, 786 /* FCPL */,	 787 /* FCFABRIC */, 800 /* IEEE802_TR */,
	801 /* IEEE80211 */, 802 /* IEEE80211_PRISM */, 803 /* IEEE80211_RADIOTAP */, 804 /* IEEE802154 */,
	824 /* NETLINK */, 826 /* VSOCKMON */, 8445 /* LAPD */,
};

#define IS_ONE_OF(type, list) is_one_of(type, list, sizeof(list) / sizeof *(list))

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

static bool is_one_of(int type, const uint16_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == type)
			return true;
	return false;
}

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* What a capture there is written as: libpcap's choice, for which Ethernet devices of some names are none. */
static const char *link_type_name(const char *name)
{
	const int type = hardware_type(name);
	const bool ethernet = IS_ONE_OF(type, ETHERNET_TYPES);

	if (type < 0 || IS_ONE_OF(type, REFUSED_TYPES))
		return "(cannot be captured)";
	if (IS_ONE_OF(type, RAW_TYPES) || (type == ARPHRD_ETHER && begins_with(name, "cdma_rmnet")))
		return "RAW (Raw IP)";
	if (ethernet && !begins_with(name, "isdn") && !begins_with(name, "isdY"))
		return "EN10MB (Ethernet)";
	return "LINUX_SLL (Linux cooked)";
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
	confinement_report("cannot list the interfaces", "network netlink", errno);
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

/* The names there are, with blanks between them: NAMES_SIZE bytes. */
static void list_names(char *names)
{
	CLEANUP(cleanup_ifaddrs) struct ifaddrs *list = NULL;
	size_t used = 0;

	if (getifaddrs(&list) != 0)
		list = NULL;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next)
		if (is_link(entry) && used + IFNAMSIZ + 1 < NAMES_SIZE)
			used += (size_t)snprintf(names + used, NAMES_SIZE - used, "%s ", entry->ifa_name);
	snprintf(names + used, NAMES_SIZE - used, "any");
}

void interfaces_report_unknown(const char *name)
{
	char names[NAMES_SIZE];

	list_names(names);
	log_record(LOG_ERROR, "no such interface",
		   LOG_FIELDS(LOG_TEXT("interface", name), LOG_TEXT("available", names)));
}

void interfaces_report_missing(const char *words)
{
	char names[NAMES_SIZE], hint[64 + IF_NAMESIZE] = "see -help";

	list_names(names);
	if (if_nametoindex(words) != 0 || strcmp(words, "any") == 0)
		snprintf(hint, sizeof hint, "write cf-pcap -interface %s", words);
	log_record(LOG_ERROR, "-interface is required",
		   LOG_FIELDS(LOG_TEXT("flag", "-interface"), LOG_TEXT("expected", names), LOG_TEXT("hint", hint)));
}

void interfaces_describe(char *text, size_t size)
{
	struct if_nameindex *list = if_nameindex();
	char entry[IF_NAMESIZE + 16];
	size_t used = 0;

	text[0] = '\0';
	for (const struct if_nameindex *one = list; one != NULL && one->if_index != 0; one++) {
		size_t length = (size_t)snprintf(entry, sizeof entry, "%s%u %s", used > 0 ? ", " : "", one->if_index,
						 one->if_name);
		if (length >= size - used)
			break;
		memcpy(text + used, entry, length + 1);
		used += length;
	}
	if (list != NULL)
		if_freenameindex(list);
}

static void examine(const struct ifaddrs *entry, const char *name, struct interface_facts *facts)
{
	bool is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0, is_named = is_of(entry, name);
	struct sockaddr_in mask;

	if (is_link(entry) && is_loopback && entry->ifa_addr != NULL)
		facts->loopback_index = ((const struct sockaddr_ll *)(const void *)entry->ifa_addr)->sll_ifindex;
	if (is_link(entry) && is_named)
		facts->is_loopback = is_loopback;
	if (is_link(entry) && !is_named && (entry->ifa_flags & IFF_UP) != 0 && facts->tunnel[0] == '\0' &&
	    tunnels_has(entry->ifa_name, hardware_type(entry->ifa_name)))
		protocol_copy_text(facts->tunnel, sizeof facts->tunnel, entry->ifa_name);
	if (is_named && entry->ifa_netmask != NULL && entry->ifa_netmask->sa_family == AF_INET &&
	    facts->netmask == PCAP_NETMASK_UNKNOWN) {
		memcpy(&mask, entry->ifa_netmask, sizeof mask);
		facts->netmask = ntohl(mask.sin_addr.s_addr); /* as libpcap compares it with what it loads */
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
