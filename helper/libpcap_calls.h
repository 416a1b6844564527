/* The names in a filter, looked up by somebody else. */
#pragma once

/*
 * Sends libpcap's name look-ups (getaddrinfo, getnetbyname_r, getprotobyname_r, ether_hostton,
 * replaced at link time) to the resolver at the other end of the channel.
 */
void lookup_use_channel(int channel);

