/* desk: starts the commands; what streams hold is never looked at here. */
/* The output's files. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "collector/platform.h"

#define FIFO_LIMIT_MS 10000
#define FIFO_RETRY_MS 10
#define MODE 0600 /* packets are nobody else's business */

static int fail(const char *message, const char *file, const char *reason)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("file", file), LOG_TEXT("reason", reason)));
	return -1;
}

static bool are_rotated(const struct collect_options *options)
{
	return options->rotate_size > 0 || options->rotate_every > 0;
}

/* "shop.pcapng" becomes "shop_00001_20261126204500.pcapng", as dumpcap names its files. */
static int make_name(char *name, size_t size, const char *base, uint64_t number)
{
	const char *file = strrchr(base, '/') != NULL ? strrchr(base, '/') + 1 : base;
	const char *dot = strrchr(file, '.');
	const size_t stem = dot != NULL && dot > file ? (size_t)(dot - base) : strlen(base);
	const time_t now = time(NULL);
	char stamp[20];
	struct tm parts;
	int length;

	if (gmtime_r(&now, &parts) == NULL || strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &parts) == 0)
		return -1;
	length = snprintf(name, size, "%.*s_%05llu_%s%s", (int)stem, base, (unsigned long long)number, stamp, base + stem);
	return length > 0 && (size_t)length < size ? 0 : -1;
}

static int open_file(const char *name)
{
	const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) != 0)
		return fail("cannot open the file", name, strerror(errno));
	if (S_ISREG(status.st_mode))
		(void)fchmod(fd, MODE); /* one that was there already; it may be another user's */
	else
		(void)fcntl(fd, F_SETFL, O_NONBLOCK); /* a reader that takes nothing must not hold everything up */
	return fd;
}

static int open_stdout(void)
{
	struct stat status;

	if (fstat(STDOUT_FILENO, &status) != 0)
		return fail("cannot write to stdout", "stdout", strerror(errno));
	if (isatty(STDOUT_FILENO) == 1)
		return fail("refusing to write binary pcapng to a terminal", "stdout",
			    "redirect it, pipe it into wireshark -k -i -, or use -o");
	if (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode))
		return STDOUT_FILENO;
	platform_enlarge_pipe(STDOUT_FILENO, PLATFORM_PIPE_MOST);
	return platform_nonblocking(STDOUT_FILENO);
}

/* Wireshark makes it and opens its end a little later: until then there is nobody to write to. */
static int open_fifo(const char *name)
{
	const int64_t deadline = clock_ms() + FIFO_LIMIT_MS;
	int fd;

	while ((fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && errno == ENXIO && clock_ms() < deadline)
		poll(NULL, 0, FIFO_RETRY_MS);
	if (fd < 0)
		return fail("cannot open the FIFO", name, strerror(errno));
	platform_enlarge_pipe(fd, PLATFORM_PIPE_MOST);
	return fd;
}

/* The oldest is removed when there is one more than are kept. */
static void keep_last(struct files *files, const char *name)
{
	const size_t place = (size_t)(files->number % files->options->keep);

	if (files->names[place][0] != '\0' && unlink(files->names[place]) != 0)
		log_record(LOG_WARN, "cannot remove a file that is not to be kept",
			   LOG_FIELDS(LOG_TEXT("file", files->names[place]), LOG_TEXT("reason", strerror(errno))));
	memcpy(files->names[place], name, strlen(name) + 1);
}

int files_next(struct files *files)
{
	char name[FILES_NAME_SIZE];
	int fd;

	if (!are_rotated(files->options)) /* the merger would not ask: somebody else is in it */
		return fail("a file was asked for that is not due", "", "");
	if (make_name(name, sizeof name, files->options->output, files->number + 1) != 0)
		return fail("a name that is too long", files->options->output, "");
	fd = open_file(name);
	if (fd >= 0) {
		files->number++;
		if (files->names != NULL)
			keep_last(files, name);
	}
	return fd;
}

int files_open(struct files *files, const struct collect_options *options)
{
	*files = (struct files){ .options = options };
	if (options->fifo != NULL)
		return open_fifo(options->fifo);
	if (options->output == NULL)
		return open_stdout();
	if (!are_rotated(options))
		return open_file(options->output);
	if (options->keep > 0) {
		files->names = calloc((size_t)options->keep, sizeof *files->names);
		if (files->names == NULL)
			return fail("there is no memory", options->output, "");
	}
	return files_next(files);
}

void files_close(struct files *files)
{
	free(files->names);
}
