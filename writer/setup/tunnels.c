/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* Interfaces whose packets travel inside packets of another one. */
#include "tunnels.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/cleanup.h"

/* ARPHRD_ of linux/if_arp.h. */
static const uint16_t TYPES[] = {
	512 /* PPP */, 768 /* TUNNEL */, 769 /* TUNNEL6 */, 776 /* SIT */, 778 /* IPGRE */, 823 /* IP6GRE */,
	65534 /* NONE: tun, wireguard */,
};
/* Of those that look like Ethernet, as their drivers call themselves. */
static const char *const DRIVERS[] = { "802.1Q VLAN Support", "bareudp", "geneve", "gretap", "erspan", "ip6gretap",
				       "ip6erspan", "macsec", "tun", "vxlan" };

static bool is_tunnels_type(int type)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (TYPES[i] == type)
			return true;
	return false;
}

static bool is_tunnels_driver(const char *driver)
{
	for (size_t i = 0; i < sizeof DRIVERS / sizeof *DRIVERS; i++)
		if (strcmp(driver, DRIVERS[i]) == 0)
			return true;
	return false;
}

bool tunnels_has(const char *interface, int hardware_type)
{
	CLEANUP(cleanup_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (char *)&driver };

	if (is_tunnels_type(hardware_type))
		return true;
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	return ioctl(fd, SIOCETHTOOL, &request) == 0 && is_tunnels_driver(driver.driver);
}
