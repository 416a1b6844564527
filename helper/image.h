/* Finding the writer, and executing it from an image that its user cannot read. */
#ifndef CFPCAP_IMAGE_H
#define CFPCAP_IMAGE_H

#include <stdbool.h>

/*
 * Executes cf-pcap-writer from the folder of /proc/self/exe with the given arguments and an
 * environment from an allow-list. With `protect`, only a writer that the user cannot have
 * changed is executed, and the process stays non-dumpable. Returns only on failure, with errno.
 */
void image_exec_writer(int argc, char **argv, bool protect);

/* What failed, in words for the user. */
const char *image_error(void);

#endif
