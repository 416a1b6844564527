/* output: inside the sandbox, on the way to stdout; it never waits. */
/* A packet as its link type has it in a file: tags put back, cooked headers made. */
#include "frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#define DLT_RAW_LINUX 12 /* DLT_RAW, pcap/dlt.h */
#define VLAN_TAG_LENGTH 4
#define ETHERNET_ADDRESSES_LENGTH (ETH_ALEN + ETH_ALEN)
#define SLL_LENGTH 16
#define SLL_PROTOCOL_OFFSET 14
#define SLL2_LENGTH 20
#define SLL_ADDRESS_LENGTH 8

enum link_type frame_link_type(int dlt)
{
	switch (dlt) {
	case LINK_TYPE_ETHERNET:
	case LINK_TYPE_LINUX_SLL:
	case LINK_TYPE_LINUX_SLL2:
		return (enum link_type)dlt;
	case DLT_RAW_LINUX:
		return LINK_TYPE_RAW;
	default:
		return 0;
	}
}

static uint8_t *put16(uint8_t *at, uint16_t network_order)
{
	memcpy(at, &network_order, sizeof network_order);
	return at + sizeof network_order;
}

static void add_vlan_tag(struct frame *frame, const struct packet *packet)
{
	uint8_t *at = frame->head + frame->head_length;

	put16(put16(at, htons(packet->vlan_tpid)), htons(packet->vlan_tci));
	frame->head_length += VLAN_TAG_LENGTH;
	frame->original += VLAN_TAG_LENGTH;
}

/* The tag goes between the addresses and the type. */
static void make_ethernet(struct frame *frame, const struct packet *packet)
{
	if (!packet->vlan || packet->captured < ETHERNET_ADDRESSES_LENGTH)
		return;
	memcpy(frame->head, frame->body, ETHERNET_ADDRESSES_LENGTH);
	frame->head_length = ETHERNET_ADDRESSES_LENGTH;
	frame->body += ETHERNET_ADDRESSES_LENGTH;
	frame->body_length -= ETHERNET_ADDRESSES_LENGTH;
	add_vlan_tag(frame, packet);
}

/* What the kernel leaves behind the address in the ring is of other packets. */
static uint8_t *put_address(uint8_t *at, const struct sockaddr_ll *from)
{
	size_t length = from->sll_halen < SLL_ADDRESS_LENGTH ? from->sll_halen : SLL_ADDRESS_LENGTH;

	memset(at, 0, SLL_ADDRESS_LENGTH);
	memcpy(at, from->sll_addr, length);
	return at + SLL_ADDRESS_LENGTH;
}

/* struct sll_header, pcap/sll.h; a tag goes in front of the protocol, as libpcap puts it. */
static void make_sll(struct frame *frame, const struct packet *packet)
{
	const struct sockaddr_ll *from = packet->address;
	uint8_t *at = put16(frame->head, htons(from->sll_pkttype));

	at = put16(at, htons(from->sll_hatype));
	at = put16(at, htons(from->sll_halen));
	put_address(at, from);
	frame->head_length = SLL_PROTOCOL_OFFSET;
	frame->original += SLL_LENGTH;
	if (packet->vlan && packet->captured >= SLL_PROTOCOL_OFFSET)
		add_vlan_tag(frame, packet);
	put16(frame->head + frame->head_length, from->sll_protocol);
	frame->head_length += sizeof from->sll_protocol;
}

/* struct sll2_header, pcap/sll.h */
static void make_sll2(struct frame *frame, const struct packet *packet)
{
	const struct sockaddr_ll *from = packet->address;
	uint8_t *at = put16(put16(frame->head, from->sll_protocol), 0);
	uint32_t interface_index = htonl((uint32_t)from->sll_ifindex);

	memcpy(at, &interface_index, sizeof interface_index);
	at = put16(at + sizeof interface_index, htons(from->sll_hatype));
	*at++ = from->sll_pkttype;
	*at++ = from->sll_halen;
	put_address(at, from);
	frame->head_length = SLL2_LENGTH;
	frame->original += SLL2_LENGTH;
}

static void cut(struct frame *frame, uint32_t snaplen)
{
	if (frame->head_length > snaplen)
		frame->head_length = snaplen;
	if (frame->body_length > snaplen - frame->head_length)
		frame->body_length = snaplen - frame->head_length;
}

void frame_make(struct frame *frame, enum link_type link_type, uint32_t snaplen,
		const struct packet *packet)
{
	frame->head_length = 0;
	frame->body = packet->data;
	frame->body_length = packet->captured;
	frame->original = packet->original;
	if (link_type == LINK_TYPE_ETHERNET)
		make_ethernet(frame, packet);
	else if (link_type == LINK_TYPE_LINUX_SLL)
		make_sll(frame, packet);
	else if (link_type == LINK_TYPE_LINUX_SLL2)
		make_sll2(frame, packet);
	cut(frame, snaplen);
}
