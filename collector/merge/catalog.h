/* merge: inside the sandbox; here is what the remote machines sent. */
/*
 * What is told of the streams in each file: an interface block for each that any of them has described, numbered for
 * the whole run, and a name for each address. Texts of remote machines come out as plain ASCII.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "formats/pcapng_file.h"
#include "formats/reader.h"
#include "sink.h"

/* Shared out evenly, but each stream has what a section of its can need. */
#define CATALOG_INTERFACES 4096
#define CATALOG_INTERFACES_LEAST READER_INTERFACES_MOST
#define CATALOG_TEXT_EACH 256u /* bytes of all texts of an interface, on average */
#define CATALOG_SNAPLEN READER_PACKET_MOST /* the same in each block: libpcap refuses a file where they differ */

/* What a stream has used up of its part. */
struct catalog_share {
	size_t interfaces, text_bytes;
};

/* What names the interfaces of a stream. */
struct catalog_origin {
	struct catalog_share *share;
	const char *name, *interface, *description;
	unsigned int restarts;
};

struct catalog_name {
	uint8_t address[16];
	size_t length;
	char text[PCAPNG_TEXT_MOST];
};

struct catalog {
	struct format section; /* its system and application */
	struct format *formats; /* by number */
	size_t count, room;
	struct catalog_share most; /* of each stream: what one uses is no other's */
	char *texts;
	size_t text_bytes; /* used */
	struct catalog_name *names;
	size_t name_count;
};

/* Bytes that it takes at most, with so many streams. */
size_t catalog_bytes(size_t streams);

/* Each stream may have one name. Returns 0, or -1 if there is no memory. */
int catalog_open(struct catalog *catalog, size_t streams, const char *system, const char *application);
void catalog_close(struct catalog *catalog);

/* Adds an interface. Returns its number, or -1 if its stream has too many, or there is no memory. */
long catalog_add(struct catalog *catalog, const struct catalog_origin *origin, const struct reader_interface *interface);

/* Adds a name of an address of 4 or 16 bytes, unless it is there. Returns whether it was added. */
bool catalog_add_name(struct catalog *catalog, const uint8_t *address, size_t length, const char *text);

/* Each puts one block into the sink, which has room for it. */
void catalog_put_section(const struct catalog *catalog, struct sink *sink);
void catalog_put_interface(const struct catalog *catalog, size_t number, struct sink *sink);
void catalog_put_name(const struct catalog *catalog, size_t index, struct sink *sink);

/* Copies text as plain ASCII, what else there is as '?', and ends it with a NUL. */
void catalog_plain(char *out, size_t size, struct reader_text text);
