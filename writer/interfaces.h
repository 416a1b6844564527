/* The interfaces of this network namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Prints name, state, link type and addresses of each to stdout, unflushed. Returns 0, or -1 after a message. */
int interfaces_list(void);

/* One ERROR line: there is no such interface (NULL: none was given), and those there are. */
void interfaces_report_unknown(const char *name);

/* Also false if the kernel does not tell. */
bool interfaces_is_loopback(const char *name);

/* The IPv4 netmask, network byte order; PCAP_NETMASK_UNKNOWN if there is none. */
uint32_t interfaces_netmask(const char *name);

/* The index of the loopback interface; 0 if there is none, or the kernel does not tell. */
int interfaces_loopback_index(void);

