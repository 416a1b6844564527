/* collector: the desk's program: one capture of a whole app; no privilege. */
/*
 * What the process that starts the commands and the one that merges tell each other: messages of a fixed size, with
 * descriptors beside them. Orders go to the merger, which believes them; of a report only numbers are believed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_NAME_SIZE 128
#define WIRE_INTERFACE_SIZE 64
#define WIRE_DESCRIPTION_SIZE 128
#define WIRE_ADDRESS_SIZE 16
#define WIRE_STREAM_SIZE (WIRE_NAME_SIZE + WIRE_INTERFACE_SIZE + 1) /* "shop/0 lo": name and interface */
#define WIRE_FDS_MOST 2

enum order_kind {
	ORDER_STREAM, /* a command was started: fds are its stdout and stderr, which do not block */
	ORDER_FILE,   /* the next file; without an fd there is none */
	ORDER_GONE,   /* the command has ended: what keeps its stdout open now is somebody else */
	ORDER_AGAIN,  /* it ended and will be started again: tell of it */
	ORDER_LOST,   /* it ended for good while others go on: tell of it */
	ORDER_STOP,   /* streams are ending: no more files are begun for the time that goes by */
	ORDER_FINISH, /* write what came, tell of it, and end */
	ORDER_HURRY,  /* the same, but do not wait long for a slow reader of the output */
};

struct order {
	uint32_t kind, stream;
	char name[WIRE_NAME_SIZE];           /* "shop/0" */
	char interface[WIRE_INTERFACE_SIZE]; /* that was asked for */
	char description[WIRE_DESCRIPTION_SIZE];
	uint8_t address[WIRE_ADDRESS_SIZE];
	uint32_t address_length; /* 0, 4 or 16 */
};

enum report_kind {
	REPORT_BEGAN,       /* the stream's header has come */
	REPORT_ENDED,       /* with an ending; the stream can be started anew */
	REPORT_FILE_WANTED, /* the file is full or old enough */
	REPORT_ENOUGH,      /* the count or size over all is reached */
	REPORT_READER_GONE, /* nobody reads the output any more */
	REPORT_FAILED,      /* the output cannot be written to */
};

enum ending {
	ENDING_WHOLE,   /* its final statistics have come */
	ENDING_UNKNOWN, /* it ended between two records, in a format that cannot say more */
	ENDING_BROKEN,  /* in the middle of a record, without its statistics, or in something that is no capture */
	ENDING_NOTHING, /* before anything of it came */
	ENDING_REFUSED, /* the same: the program does not know a flag */
	ENDING_COUNT,
};

struct report {
	uint32_t kind, stream, ending;
};

/* A pair of connected sockets. Returns 0, or -1 with errno. */
int wire_pair(int pair[2]);

/* Returns 0, or -1 with errno if nobody is there. */
int wire_send_order(int fd, const struct order *order, const int *fds, size_t fd_count);

/* Of so many bytes of reports, what is taken now. Returns their number. Whoever is gone is seen when orders are read. */
size_t wire_send_reports(int fd, const void *reports, size_t length);

/* Waits for a whole one. Returns 1, 0 at the end, or -1. fds that did not come are -1; they are the caller's. */
int wire_receive_order(int fd, struct order *order, int fds[WIRE_FDS_MOST]);
int wire_receive_report(int fd, struct report *report);
