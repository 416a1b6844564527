/* common: what helper and writer share, read together with the helper. */
/*
 * The protocol between the helper, the writer and the resolver.
 *
 * Two AF_UNIX SOCK_SEQPACKET pairs, made by the helper before it forks:
 *
 *   capture channel   writer   -> helper   struct open_request
 *                     helper   -> writer   struct open_reply (ready or refused)
 *                     writer   -> helper   struct bare_message, MESSAGE_SANDBOXED: "my sandbox is closed"
 *                     helper   -> writer   struct bare_message, MESSAGE_PACKET_FD, + one SCM_RIGHTS fd
 *                     writer   -> helper   struct bare_message, MESSAGE_STATUS_QUESTION (any number, one
 *                     helper   -> writer   struct status_answer                         at a time)
 *   lookup channel    helper   -> resolver struct lookup_request   (any number, while it
 *                     resolver -> helper   struct lookup_answer     works on the request)
 *
 * Every message has one fixed size and one type, and is in host byte order: both ends are
 * built together. Both sides check a message with the functions below and nowhere else.
 * Anything unexpected ends the process that received it.
 */
#pragma once

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define PROTOCOL_VERSION 2u

/* File descriptors that the writer is executed with, besides 0, 1 and 2. */
#define WRITER_SLOT_FD 3 /* a socket that the helper holds too, to be given a name: writer/setup/slots.h */
#define WRITER_CAPTURE_CHANNEL_FD 4
#define WRITER_HELPER_FILE_FD 5 /* O_PATH of the helper's file: a policy lies beside it */
#define WRITER_LOOKUP_CHANNEL_FD 6
#define WRITER_EVENTS_FD 7 /* made by the writer: an epoll(7) set with the packet socket */

#define INTERFACE_NAME_SIZE 16 /* IFNAMSIZ, with the NUL */
#define FILTER_TEXT_SIZE 16384 /* the user's filter, with the NUL */
#define GUARD_TEXT_SIZE 2048   /* the guard, with the NUL */
#define POLICY_TEXT_SIZE 4096  /* the operator's filter, with the NUL */
#define JOINED_FILTER_SIZE (POLICY_TEXT_SIZE + GUARD_TEXT_SIZE + FILTER_TEXT_SIZE + sizeof "() and () and ()")
#define REFUSAL_TEXT_SIZE 1024
#define LOOKUP_NAME_SIZE 256 /* a DNS name is at most 253 characters */
#define LOOKUP_ADDRESS_MAX 128
#define RING_BLOCK_LEAST 4096u /* bytes; a power of two */
#define RING_BYTES_MOST (64u << 20) /* kernel memory that is charged to nobody */
#define SNAPLEN_MAX 262144u /* libpcap's MAXIMUM_SNAPLEN, bytes */

enum message_type {
	MESSAGE_OPEN = 0x6370306f,
	MESSAGE_OPEN_REPLY,
	MESSAGE_SANDBOXED,
	MESSAGE_PACKET_FD,
	MESSAGE_STATUS_QUESTION,
	MESSAGE_STATUS_ANSWER,
	MESSAGE_LOOKUP,
	MESSAGE_LOOKUP_ANSWER,
};

struct message_header {
	uint32_t version; /* PROTOCOL_VERSION */
	uint32_t type;    /* enum message_type */
};

enum open_flag {
	OPEN_PROMISCUOUS = 1,
	OPEN_IGNORE_OUTGOING = 2, /* PACKET_IGNORE_OUTGOING, packet(7) */
	OPEN_COOKED_V1 = 4,       /* LINUX_SLL instead of LINUX_SLL2 on "any" */
	OPEN_HEADERS_ONLY = 8,    /* of each packet no more than its headers */
	OPEN_FLAGS_ALL = 15,
};

struct open_request {
	struct message_header header;
	uint32_t flags;   /* enum open_flag, or-ed */
	uint32_t snaplen; /* bytes, 1..SNAPLEN_MAX */
	struct tpacket_req3 ring; /* PACKET_RX_RING, packet_mmap.rst; RING_BYTES_MOST in all */
	uint32_t netmask; /* of the interface, host byte order; PCAP_NETMASK_UNKNOWN if none */
	char interface[INTERFACE_NAME_SIZE];
	char policy[POLICY_TEXT_SIZE]; /* pcap-filter(7) without names, from the operator; may be empty */
	char guard[GUARD_TEXT_SIZE];   /* pcap-filter(7), made by the writer; may be empty */
	char filter[FILTER_TEXT_SIZE]; /* pcap-filter(7), from the user; may be empty */
};

enum open_result {
	OPEN_READY,
	OPEN_REFUSED_NO_SOCKET,      /* error is the errno of socket(AF_PACKET) */
	OPEN_REFUSED_INTERFACE,      /* text is libpcap's */
	OPEN_REFUSED_INTERFACE_DOWN, /* text is libpcap's */
	OPEN_REFUSED_SLOTS,          /* the kernel has as many captures here as there may be */
	OPEN_REFUSED_POLICY,         /* text is libpcap's, of the operator's filter */
	OPEN_REFUSED_FILTER,         /* text is libpcap's */
	OPEN_REFUSED_JOINED,         /* text is libpcap's: each filter is good, but not all of them together */
	OPEN_REFUSED_FILTER_KERNEL,  /* text says what the kernel cannot run, error is its errno */
	OPEN_REFUSED_SYSTEM,         /* text says what failed, error is its errno */
	OPEN_RESULT_COUNT,
};

struct open_reply {
	struct message_header header;
	uint32_t result;    /* enum open_result */
	int32_t error;      /* errno, or 0 */
	uint32_t had_capability; /* 1: cap_net_raw was permitted when the helper started */
	uint32_t no_new_privs;   /* 1: no_new_privs was set when the helper started */
	uint32_t guarded;   /* 1: the guard is part of the filter, or of what was refused; else 0 */
	int32_t link_type;  /* DLT_ of the packet fd, as pcap_datalink(3PCAP) */
	uint32_t filter_bytes; /* OPEN_REFUSED_FILTER_KERNEL: of the program that the kernel refused */
	char text[REFUSAL_TEXT_SIZE];
};

/* MESSAGE_SANDBOXED, MESSAGE_PACKET_FD or MESSAGE_STATUS_QUESTION. */
struct bare_message {
	struct message_header header;
};

/* What the kernel says of the packet socket; reading it clears the first three, packet(7), socket(7). */
struct status_answer {
	struct message_header header;
	uint32_t packets;   /* that the filter let through since the last answer, */
	uint32_t dropped;   /* and of these, those that the ring had no room for: PACKET_STATISTICS */
	int32_t error;      /* SO_ERROR */
	int32_t interface;  /* index that it is bound to, negative: that interface is gone */
};

enum lookup_kind {
	LOOKUP_ADDRESS,  /* getaddrinfo(3): name -> addresses */
	LOOKUP_SERVICE,  /* getaddrinfo(3): name -> ports */
	LOOKUP_NETWORK,  /* getnetbyname_r(3): name -> number */
	LOOKUP_PROTOCOL, /* getprotobyname_r(3): name -> number */
	LOOKUP_ETHERNET, /* ether_hostton(3): name -> 6 bytes in entry[0] */
	LOOKUP_KIND_COUNT,
};

struct lookup_request {
	struct message_header header;
	uint32_t kind; /* enum lookup_kind */
	int32_t family, socket_type, protocol; /* getaddrinfo's hints */
	char name[LOOKUP_NAME_SIZE];
};

struct lookup_entry {
	int32_t family;      /* AF_INET or AF_INET6 */
	int32_t socket_type; /* SOCK_ */
	int32_t protocol;    /* IPPROTO_ */
	union {
		struct sockaddr any; /* its sa_family is family */
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
		uint8_t ethernet[6]; /* LOOKUP_ETHERNET */
	} address;
};

struct lookup_answer {
	struct message_header header;
	int32_t error;   /* 0, or getaddrinfo's EAI_ code, or -1 for the other kinds */
	uint32_t number; /* LOOKUP_NETWORK, LOOKUP_PROTOCOL: host byte order */
	uint32_t count;  /* entries used, 0..LOOKUP_ADDRESS_MAX */
	struct lookup_entry entry[LOOKUP_ADDRESS_MAX];
};

/*
 * Each takes the number of bytes received and says whether the buffer holds exactly one valid
 * message of its kind: size, version, type, ranges, and a NUL inside every text.
 */
bool open_request_valid(const struct open_request *request, size_t received);
bool open_reply_valid(const struct open_reply *reply, size_t received);
bool bare_message_valid(const struct bare_message *message, enum message_type type, size_t received);
bool status_answer_valid(const struct status_answer *answer, size_t received);
bool lookup_request_valid(const struct lookup_request *request, size_t received);
bool lookup_answer_valid(const struct lookup_answer *answer, size_t received);

/* A device name as the kernel's dev_valid_name() takes it, so that no path can be made of it. */
bool interface_name_valid(const char *name);

/* Bytes of kernel memory that a ring takes. */
uint64_t protocol_ring_bytes(const struct tpacket_req3 *ring);

/* Copies text into a field of the given size. Returns 0, or -1 if it does not fit with its NUL. */
int protocol_copy_text(char *field, size_t size, const char *text);

