/* desk: starts the commands; what streams hold is never looked at here. */
/* The command line of cf-pcap-collect. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLECT_FILTER_SIZE 16384 /* bytes, with the NUL: cf-pcap's own limit */
#define COLLECT_HOSTS_MOST 1000

struct collect_options {
	char *const *apps; /* the words before the first flag */
	size_t app_count;
	const char *hosts[COLLECT_HOSTS_MOST];
	size_t host_count;
	const char *hosts_file;
	const char *via, *remote;
	const char *instances, *process; /* "0,2-4"; NULL: all */
	const char *interfaces;          /* "lo,eth0" */
	/* passed on as they are; NULL: not given */
	const char *snaplen, *direction, *buffer_size;
	bool nano, cooked_v1, no_promisc, no_ssh_guard, headers_only;
	char filter[COLLECT_FILTER_SIZE];
	const char *output; /* NULL: stdout */
	const char *fifo;   /* to be opened for writing, before output is looked at; NULL: none */
	uint64_t rotate_size, keep, count, max_size, memory; /* 0: not given, as the next */
	uint64_t rotate_every, duration, window;             /* nanoseconds */
	bool reconnect, no_progress, verbose, install_extcap, version, help;
};

/* Fills *options. Returns 0, or -1 after one ERROR line. */
int collect_flags_parse(struct collect_options *options, int argc, char *const *argv);

/* Writes the usage text to stdout. */
void collect_flags_print_help(void);
