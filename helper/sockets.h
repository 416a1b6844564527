/* helper: what runs with the capability. */
/* The packet sockets: the only privileged calls of the project. */
#pragma once

struct sockets {
	int raw, cooked, local; /* AF_PACKET, AF_PACKET, AF_UNIX; -1 where there is none */
};

/*
 * Raises cap_net_raw, opens one AF_PACKET socket of type SOCK_RAW and one of SOCK_DGRAM, both
 * with protocol 0 (no packet is ever delivered before a bind), and lowers it to permitted only.
 * Returns 0, or the errno of the failed call. Exits if it could not be lowered.
 */
int sockets_open(struct sockets *sockets);
