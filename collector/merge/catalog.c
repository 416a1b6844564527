/* merge: inside the sandbox; here is what the remote machines sent. */
/* What is told of the streams in each file. */
#include "catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_STEP 64

static size_t interfaces_each(size_t streams)
{
	const size_t each = CATALOG_INTERFACES / streams;

	return each > CATALOG_INTERFACES_LEAST ? each : CATALOG_INTERFACES_LEAST;
}

size_t catalog_bytes(size_t streams)
{
	const size_t interface = sizeof(struct format) + CATALOG_TEXT_EACH;

	return streams * (interfaces_each(streams) * interface + sizeof(struct catalog_name));
}

int catalog_open(struct catalog *catalog, size_t streams, const char *system, const char *application)
{
	const size_t each = interfaces_each(streams);

	*catalog = (struct catalog){ .section = { .kind = FORMAT_PCAPNG, .system = system, .application = application },
				     .most = { each, each * CATALOG_TEXT_EACH },
				     .names = calloc(streams, sizeof *catalog->names),
				     .texts = malloc(streams * each * CATALOG_TEXT_EACH) };
	return catalog->names != NULL && catalog->texts != NULL ? 0 : -1;
}

void catalog_close(struct catalog *catalog)
{
	free(catalog->formats);
	free(catalog->names);
	free(catalog->texts);
	*catalog = (struct catalog){ 0 };
}

void catalog_plain(char *out, size_t size, struct reader_text text)
{
	const size_t length = text.length < size - 1 ? text.length : size - 1;

	for (size_t i = 0; i < length; i++) {
		out[i] = '?';
		if (text.at[i] >= ' ' && text.at[i] <= '~')
			out[i] = text.at[i];
	}
	out[length] = '\0';
}

/* NULL if there is no room. */
static const char *keep(struct catalog *catalog, struct catalog_share *share, const char *text)
{
	const size_t size = strlen(text) + 1;
	char *kept = catalog->texts + catalog->text_bytes;

	if (size > catalog->most.text_bytes - share->text_bytes)
		return NULL;
	memcpy(kept, text, size);
	catalog->text_bytes += size;
	share->text_bytes += size;
	return kept;
}

static const char *keep_plain(struct catalog *catalog, struct catalog_share *share, struct reader_text text, size_t size)
{
	char plain[FORMAT_FILTER_SIZE];

	catalog_plain(plain, size < sizeof plain ? size : sizeof plain, text);
	return keep(catalog, share, plain);
}

static int make_room(struct catalog *catalog)
{
	struct format *formats;

	if (catalog->count < catalog->room)
		return 0;
	formats = realloc(catalog->formats, (catalog->room + ROOM_STEP) * sizeof *formats);
	if (formats == NULL)
		return -1;
	catalog->formats = formats;
	catalog->room += ROOM_STEP;
	return 0;
}

/* "shop/0 lo": the remote's word for the interface, if it has one. */
static void make_name(char *out, size_t size, const struct catalog_origin *origin, const struct reader_interface *interface)
{
	char plain[64];

	catalog_plain(plain, sizeof plain, interface->name);
	snprintf(out, size, "%s %s", origin->name, plain[0] != '\0' ? plain : origin->interface);
}

static void make_description(char *out, size_t size, const struct catalog_origin *origin)
{
	if (origin->restarts > 0)
		snprintf(out, size, "%s%sstarted again (%u)", origin->description,
			 origin->description[0] != '\0' ? ", " : "", origin->restarts);
	else
		snprintf(out, size, "%s", origin->description);
}

long catalog_add(struct catalog *catalog, const struct catalog_origin *origin, const struct reader_interface *interface)
{
	char name[PCAPNG_TEXT_MOST], description[PCAPNG_TEXT_MOST];
	struct catalog_share *share = origin->share;
	const size_t before = share->text_bytes;
	const bool has_room = before + interface->filter.length < catalog->most.text_bytes / 4; /* names come first */
	struct format *format;

	if (share->interfaces == catalog->most.interfaces || make_room(catalog) != 0)
		return -1;
	make_name(name, sizeof name, origin, interface);
	make_description(description, sizeof description, origin);
	format = &catalog->formats[catalog->count];
	*format = (struct format){ .kind = FORMAT_PCAPNG, .nano = interface->nano, .snaplen = CATALOG_SNAPLEN,
				   .link_type = (enum link_type)interface->link_type,
				   .interface = keep(catalog, share, name),
				   .description = keep(catalog, share, description),
				   .os = keep_plain(catalog, share, interface->os, PCAPNG_TEXT_MOST),
				   .filter = keep_plain(catalog, share,
							has_room ? interface->filter : (struct reader_text){ 0 },
							FORMAT_FILTER_SIZE),
				   .started = FORMAT_UNKNOWN,
				   .number = (uint32_t)catalog->count };
	if (format->interface == NULL || format->description == NULL || format->os == NULL || format->filter == NULL) {
		catalog->text_bytes -= share->text_bytes - before; /* it is in no file, so it has no number */
		share->text_bytes = before;
		return -1;
	}
	catalog->count++;
	share->interfaces++;
	return (long)format->number;
}

bool catalog_add_name(struct catalog *catalog, const uint8_t *address, size_t length, const char *text)
{
	struct catalog_name *name = &catalog->names[catalog->name_count];

	for (size_t i = 0; i < catalog->name_count; i++)
		if (catalog->names[i].length == length && memcmp(catalog->names[i].address, address, length) == 0)
			return false;
	memcpy(name->address, address, length);
	name->length = length;
	snprintf(name->text, sizeof name->text, "%s", text);
	catalog->name_count++;
	return true;
}

void catalog_put_section(const struct catalog *catalog, struct sink *sink)
{
	sink_commit(sink, pcapng_section(&catalog->section, sink_at(sink)));
}

void catalog_put_interface(const struct catalog *catalog, size_t number, struct sink *sink)
{
	sink_commit(sink, pcapng_interface(&catalog->formats[number], sink_at(sink)));
}

void catalog_put_name(const struct catalog *catalog, size_t index, struct sink *sink)
{
	const struct catalog_name *name = &catalog->names[index];

	sink_commit(sink, pcapng_name(sink_at(sink), name->address, name->length, name->text));
}
