/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * What a remote command says on its stderr: relayed line by line under the stream's name, so many a second at most.
 * Until the capture's header has come it is held: of a program that only refuses a flag the user hears nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REMOTE_TEXT_SIZE 8192
#define REMOTE_TEXT_LINES_A_SECOND 20

struct remote_text {
	char bytes[REMOTE_TEXT_SIZE];
	size_t length;
	size_t judged;      /* of it, whole lines that were looked at */
	bool is_held;
	bool refused;       /* it does not know a flag */
	uint64_t packets;   /* that it says to have written; UINT64_MAX: it has not said */
	uint64_t dropped;   /* the same, that its kernel dropped */
	char last[256];     /* line that was not empty */
	char error[256];    /* what the last ERROR line of a cf-pcap says, "" if there was none */
	int64_t second;     /* of the lines that were counted */
	unsigned int lines; /* relayed in it */
	uint64_t left_out;  /* lines */
};

void remote_text_begin(struct remote_text *text);

/* Where bytes can be put, and how many: always some. They were, at that time. */
char *remote_text_room(struct remote_text *text, size_t *room);
void remote_text_received(struct remote_text *text, size_t length, const char *stream, int64_t now_ms);

/* What was held is relayed, or forgotten; from now on nothing is held. */
void remote_text_release(struct remote_text *text, const char *stream, int64_t now_ms);
void remote_text_forget(struct remote_text *text);

/* It has ended: what lacks the end of its line is a line too. */
void remote_text_end(struct remote_text *text, const char *stream, int64_t now_ms);
