/* The packet sockets: the only privileged calls of the project. */
#ifndef CFPCAP_SOCKETS_H
#define CFPCAP_SOCKETS_H


/*
 * Raises cap_net_raw, opens one AF_PACKET socket of type SOCK_RAW and one of SOCK_DGRAM, both
 * with protocol 0 (no packet is ever delivered before a bind), and drops every privilege.
 * Returns 0, or the errno of the failed call. Exits if privileges could not be dropped.
 */
int sockets_open(void);

/* The two packet descriptors, for the sandbox; -1 where there is none. */
int sockets_raw(void);
int sockets_cooked(void);

#endif
