/* helper: what runs with the capability. */
/* What libpcap calls, replaced at link time: sockets that are open already, and names from elsewhere. */
#pragma once

#include <stdbool.h>

#include "common/protocol.h"
#include "sockets.h"

/*
 * libpcap's socket() returns each of these once, and no other. Where it asks for a ring of its own, the
 * packet socket gets a slot among the captures and the request's ring, packet_mmap.rst. Its name look-ups
 * (getaddrinfo, getnetbyname_r, getprotobyname_r, ether_hostton) go to the resolver at the channel's other end.
 */
void libpcap_calls_use(const struct sockets *sockets, const struct open_request *request, int lookup_channel);

/* Whether names are looked up at all, as they are until told otherwise. Addresses are none: nobody is asked what they are. */
void libpcap_calls_know_names(bool known);

/* errno of the last setsockopt() of libpcap's that failed, ENOSPC: all slots are taken; 0: none did. */
int libpcap_calls_error(void);
