/* common: what helper and writer share, read together with the helper. */
/* Fixed-size messages and one file descriptor over an AF_UNIX SOCK_SEQPACKET pair. */
#pragma once

#include <sys/types.h>

/* Makes a connected pair, not close-on-exec. Returns 0, or -1 with errno. */
int channel_pair(int pair[2]);

/* Sends size bytes as one message. Returns 0, or -1 with errno (never SIGPIPE). */
int channel_send(int channel, const void *message, size_t size);

/* Sends size bytes with fd as SCM_RIGHTS, unix(7). Returns 0, or -1 with errno. */
int channel_send_fd(int channel, const void *message, size_t size, int fd);

/*
 * Receives one message of at most size bytes; an fd that came with it never becomes one of ours. Returns
 * its length, 0 at the end of the stream, or -1 with errno: EBADMSG for one that was longer, EINTR
 * when a signal came first.
 */
ssize_t channel_receive(int channel, void *message, size_t size);

/*
 * As channel_receive, but the message must carry exactly one fd and nothing else, which becomes the
 * caller's in *fd (close-on-exec). On any other return *fd is -1 and nothing is left open.
 */
ssize_t channel_receive_fd(int channel, void *message, size_t size, int *fd);

