/* common: what helper and writer share, read together with the helper. */
/* The checks of every message between the processes. */
#include "protocol.h"

#include <string.h>
#include <sys/socket.h>

static bool header_valid(const struct message_header *header, enum message_type type,
			 size_t received, size_t size)
{
	return received == size && header->version == PROTOCOL_VERSION && header->type == type;
}

static bool text_terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

uint64_t protocol_ring_bytes(const struct tpacket_req3 *ring)
{
	return (uint64_t)ring->tp_block_size * ring->tp_block_nr;
}

static bool ring_valid(const struct tpacket_req3 *ring)
{
	/* The kernel rounds a block up to a power of two: then this takes no more than it asks for. */
	return protocol_ring_bytes(ring) <= RING_BYTES_MOST && ring->tp_block_size >= RING_BLOCK_LEAST &&
	       (ring->tp_block_size & (ring->tp_block_size - 1)) == 0 &&
	       ring->tp_sizeof_priv == 0 && ring->tp_feature_req_word == 0;
}

bool interface_name_valid(const char *name)
{
	return name[0] != '\0' &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strpbrk(name, "/: \t\n\v\f\r") == NULL;
}

bool open_request_valid(const struct open_request *request, size_t received)
{
	return header_valid(&request->header, MESSAGE_OPEN, received, sizeof *request) &&
	       (request->flags & ~(uint32_t)OPEN_FLAGS_ALL) == 0 && request->snaplen >= 1 &&
	       request->snaplen <= SNAPLEN_MAX && ring_valid(&request->ring) &&
	       text_terminated(request->interface, sizeof request->interface) &&
	       interface_name_valid(request->interface) &&
	       text_terminated(request->policy, sizeof request->policy) &&
	       text_terminated(request->guard, sizeof request->guard) &&
	       text_terminated(request->filter, sizeof request->filter);
}

bool open_reply_valid(const struct open_reply *reply, size_t received)
{
	return header_valid(&reply->header, MESSAGE_OPEN_REPLY, received, sizeof *reply) &&
	       reply->result < OPEN_RESULT_COUNT && reply->had_capability <= 1 &&
	       reply->no_new_privs <= 1 && reply->guarded <= 1 &&
	       text_terminated(reply->text, sizeof reply->text);
}

bool bare_message_valid(const struct bare_message *message, enum message_type type, size_t received)
{
	return header_valid(&message->header, type, received, sizeof *message);
}

bool status_answer_valid(const struct status_answer *answer, size_t received)
{
	return header_valid(&answer->header, MESSAGE_STATUS_ANSWER, received, sizeof *answer) &&
	       answer->dropped <= answer->packets;
}

bool lookup_request_valid(const struct lookup_request *request, size_t received)
{
	return header_valid(&request->header, MESSAGE_LOOKUP, received, sizeof *request) &&
	       request->kind < LOOKUP_KIND_COUNT &&
	       text_terminated(request->name, sizeof request->name);
}

bool lookup_answer_valid(const struct lookup_answer *answer, size_t received)
{
	if (!header_valid(&answer->header, MESSAGE_LOOKUP_ANSWER, received, sizeof *answer) ||
	    answer->count > LOOKUP_ADDRESS_MAX)
		return false;
	for (uint32_t i = 0; i < answer->count; i++) {
		const struct lookup_entry *entry = &answer->entry[i];
		if ((entry->family != AF_INET && entry->family != AF_INET6) ||
		    entry->address.any.sa_family != entry->family)
			return false;
	}
	return true;
}

int protocol_copy_text(char *field, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size)
		return -1;
	memcpy(field, text, length + 1);
	return 0;
}
