/* What the unit tests share: cmocka, a look at stderr and stdout, and the count of open fds. */
#ifndef CFPCAP_TESTS_SCRATCH_H
#define CFPCAP_TESTS_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* From here on fd (1 or 2) goes to a file in memory. Ends with scratch_end_capture(). */
void scratch_begin_capture(int fd);

/* What was written to it since, NUL-terminated, in a static buffer; fd is as before. */
const char *scratch_end_capture(void);

/* How many fds this process has open. */
int scratch_open_fds(void);

#endif
