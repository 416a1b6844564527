/* merge: inside the sandbox; here is what the remote machines sent. */
/* One stream: a remote command's stdout and stderr, how far it was read, and what is to be told of it at the end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "catalog.h"
#include "collector/wire.h"
#include "queue.h"
#include "remote_text.h"
#include "sink.h"

struct stream {
	int out, err; /* -1: ended */
	struct order facts;
	unsigned int starts; /* of its command */
	struct queue queue;
	struct remote_text text;
	struct catalog_share share; /* over all starts */
	uint32_t numbers[READER_INTERFACES_MOST]; /* of its interfaces in the output */
	uint32_t numbered;    /* so many of this section are */
	uint64_t finals;      /* a bit for each of them that has its final statistics, and no packet behind them */
	bool unfinished;      /* a section before this one ended without */
	uint64_t watermark;   /* no packet before it follows: of its last heartbeat or packet */
	bool began;           /* its header has come */
	bool looked;          /* all that came was looked at, as far as it is whole */
	bool told;            /* that it ended */
	bool command_is_gone; /* what keeps stdout open is somebody else: it ends when nothing is left in it */
	int64_t ended_ms;     /* stdout; 0: it has not */
	const char *broken;   /* why it was given up */
	enum ending ending;
	/* over all starts */
	uint64_t packets, bytes, dropped, late, latest_ns, ahead, cut;
	uint64_t dropped_before; /* of starts and sections before this one */
	uint64_t dropped_of[READER_INTERFACES_MOST]; /* of this one's interfaces */
	uint64_t attempt_packets; /* of this start, as the next */
	uint64_t came;            /* written or, behind the last that was asked for, not */
	bool was_broken;      /* in any of its starts */
	bool failure_is_told; /* as an error */
	char why[256];        /* the first time */
	char name[WIRE_STREAM_SIZE]; /* as its interface is called in the file */
};

/* size: its share of the memory. Returns 0, or -1 if there is no memory. */
int stream_open(struct stream *stream, size_t size, int64_t grain_ms);

/* Its command was started, or again. */
void stream_start(struct stream *stream, const struct order *order, int out, int err);

/* Reads stdout once. Returns true if something came, or the end. */
bool stream_receive(struct stream *stream, int64_t now_ms);

/* Reads stderr once. */
void stream_receive_text(struct stream *stream, int64_t now_ms);

/*
 * Looks at what came up to the next packet, which then waits in queue.reader.packet: returns true. What is told of
 * interfaces goes to the sink, which has to have room; without room it returns false, and looked is false.
 */
bool stream_advance(struct stream *stream, struct catalog *catalog, struct sink *sink);

/* Its stdout has ended, and nothing of it waits: what is to be said of how goes to the sink. Sets ending. */
void stream_finish(struct stream *stream, const struct catalog *catalog, struct sink *sink);

/* Reads no more from it. */
void stream_close(struct stream *stream);
