/* What the unit tests share: cmocka, a look at stderr and stdout, children, and the count of open fds. */
#ifndef CFPCAP_TESTS_SCRATCH_H
#define CFPCAP_TESTS_SCRATCH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* From here on fd (1 or 2) goes to a file in memory. Ends with scratch_end_capture(). */
void scratch_begin_capture(int fd);

/* What was written to it since, NUL-terminated, in a static buffer; fd is as before. */
const char *scratch_end_capture(void);

/* How many fds this process has open. */
int scratch_open_fds(void);

/* A pair of channels, for a test's setup, and for its teardown: 0, or -1. */
int scratch_open_pair(int pair[2]);
int scratch_close_pair(const int pair[2]);

/* While it is set it answers what is asked of packet sockets, setsockopt(2), and they can be bound. */
extern int (*scratch_packet_option)(int option, const void *value);

/*
 * A child with stdout `out`, which the parent no longer has, that runs `body` and judges there with
 * CHECK: for modules that keep their state for the life of a process.
 */
pid_t scratch_start_child(int out, void (*body)(void));
void scratch_assert_content(pid_t child);
void scratch_in_child(int out, void (*body)(void));

#define CHECK(condition)                                                            \
	do                                                                          \
		if (!(condition)) {                                                 \
			dprintf(STDERR_FILENO, "%d: %s, errno %d\n", __LINE__, #condition, errno); \
			_exit(1);                                                   \
		}                                                                   \
	while (0)

#endif
