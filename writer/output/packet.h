/* output: inside the sandbox, on the way to stdout; it never waits. */
/* A packet as the kernel's ring holds it. */
#pragma once

#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdint.h>

/* As seen from the interface. */
enum direction { DIRECTION_INOUT, DIRECTION_IN, DIRECTION_OUT };

/* Valid until its block is given back to the kernel. */
struct packet {
	uint32_t seconds, nanoseconds; /* since the epoch */
	uint32_t captured;             /* bytes at data */
	uint32_t original;             /* bytes it had on the wire */
	uint16_t vlan_tci, vlan_tpid;  /* host byte order, valid if vlan */
	bool vlan;                     /* the kernel has taken a tag out of the data */
	const uint8_t *data;
	const struct sockaddr_ll *address;
};
