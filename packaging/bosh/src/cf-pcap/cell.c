#include "cell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void report(const struct folder *folder, const char *name, const char *what)
{
	char line[1024];
	int length = snprintf(line, sizeof line, "%s%s: %s", folder->path, name, what);

	for (int i = 0; i < length && line[i] != '\0'; i++)
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	printf("cf-pcap-cache: %s\n", line);
}

void report_change(struct cell *cell, const struct folder *folder, const char *name,
		   const char *what)
{
	report(folder, name, what);
	cell->changes++;
}

void report_failure(struct cell *cell, const struct folder *folder, const char *name,
		    const char *what)
{
	char text[256];

	if (errno == ENOENT) {
		cell->misses++;
		return;
	}
	snprintf(text, sizeof text, "FAILED %s: %s", what, strerror(errno));
	report(folder, name, text);
	cell->failures++;
}

const char *fd_path(char path[FD_PATH_SIZE], int fd)
{
	snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}
