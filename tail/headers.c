/* tail: runs at build time, makes the program that ends each packet at its headers. */
/*
 * How much of a packet its headers are, as the kernel computes it. A function puts what runs last first: read
 * it from its end to its start, and one PUT() in order. X is where the next header starts, counted from the link
 * layer's end; A says which it is. A load past the packet's end would drop the packet: each is behind has(),
 * and a header that is cut is kept to its end.
 */
#include "headers.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "helper/headers.h"
#include "jumps.h"

/* How many of IPv6's extension headers, or AH: BPF has no loop, the code for each is there once more. */
#define EXTENSIONS 6
#define EXTENSIONS_TUNNELLED 3
#define TAGS 3
#define SLOT_ROOM 0 /* of BPF's memory: bytes behind the link layer, and MIDDLE, so that less than none is less */
#define SLOT_WORD 1
#define SLOT_NUMBER 2
#define MIDDLE 0x80000000u
#define ETHERTYPE_QINQ_OLD 0x9100
#define SNAPLEN UINT32_MAX

struct tail {
	struct program *program;
	unsigned int link;    /* bytes of the link layer as the program's offsets count it */
	unsigned int all;     /* where the whole packet is kept */
	unsigned int end;     /* where A is what is kept behind the link layer */
	unsigned int unknown; /* where X is the start of something unknown */
	unsigned int transport;
};

/* Where IP begins. */
struct network {
	unsigned int v4, v6;
};

#define PUT(...) PROGRAM_PUT(tail->program, __VA_ARGS__)
#define NEXT (tail->program->first)
#define LOAD(size, offset) BPF_STMT(BPF_LD | (size) | BPF_IND, tail->link + (offset))
#define ALU(operation, k) BPF_STMT(BPF_ALU | (operation) | BPF_K, k)
#define ADD_X BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0)
#define TO_X BPF_STMT(BPF_MISC | BPF_TAX, 0)
#define FROM_X BPF_STMT(BPF_MISC | BPF_TXA, 0)
#define STORE(slot) BPF_STMT(BPF_ST, slot)
#define RECALL(slot) BPF_STMT(BPF_LD | BPF_MEM, slot)

static unsigned int test(const struct tail *tail, unsigned short code, bpf_u_int32 k, unsigned int yes, unsigned int no)
{
	return program_test(tail->program, code | BPF_K, k, yes, no);
}

/* Are there so many bytes at X? */
static unsigned int has(const struct tail *tail, unsigned int bytes)
{
	test(tail, BPF_JGE, MIDDLE + bytes, NEXT, tail->all);
	return PUT(RECALL(SLOT_ROOM), BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0));
}

/* Keeps this header of so many bytes, and nothing behind it. */
static unsigned int keep(const struct tail *tail, unsigned int bytes)
{
	program_jump(tail->program, tail->end);
	return PUT(FROM_X, ALU(BPF_ADD, bytes));
}

/* X moves by so many bytes; A becomes what was stored. */
static void skip(const struct tail *tail, unsigned int bytes)
{
	PUT(STORE(SLOT_WORD), FROM_X, ALU(BPF_ADD, bytes), TO_X, RECALL(SLOT_WORD));
}

/* The helper puts its snaplen in the place of these two. */
static void put_ends(struct tail *tail, unsigned int kernel_link)
{
	tail->all = PUT(BPF_STMT(BPF_RET | BPF_K, SNAPLEN));
	PUT(BPF_STMT(BPF_RET | BPF_A, 0));
	test(tail, BPF_JGE, SNAPLEN, tail->all, NEXT);
	tail->end = PUT(ALU(BPF_ADD, kernel_link));
	PUT(BPF_STMT(BPF_LD | BPF_IMM, HEADERS_UNKNOWN - tail->link));
	test(tail, BPF_JGE, HEADERS_UNKNOWN - tail->link, tail->end, NEXT);
	tail->unknown = PUT(FROM_X);
}

static unsigned int put_tcp(const struct tail *tail)
{
	unsigned int enough;

	program_jump(tail->program, tail->end);
	enough = PUT(ADD_X);
	PUT(BPF_STMT(BPF_LD | BPF_IMM, 20));
	test(tail, BPF_JGE, 20, enough, NEXT);
	PUT(LOAD(BPF_B, 12), ALU(BPF_RSH, 2), ALU(BPF_AND, 0x3c));
	return has(tail, 13);
}

/* A is the protocol. */
static unsigned int put_transport(const struct tail *tail)
{
	const unsigned int nothing = keep(tail, 0), fixed8 = keep(tail, 8), fixed12 = keep(tail, 12);
	const unsigned int tcp = put_tcp(tail);

	test(tail, BPF_JEQ, IPPROTO_NONE, nothing, tail->unknown);
	test(tail, BPF_JEQ, IPPROTO_SCTP, fixed12, NEXT);
	test(tail, BPF_JEQ, IPPROTO_ICMPV6, fixed8, NEXT);
	test(tail, BPF_JEQ, IPPROTO_ICMP, fixed8, NEXT);
	test(tail, BPF_JEQ, IPPROTO_UDP, fixed8, NEXT);
	return test(tail, BPF_JEQ, IPPROTO_TCP, tcp, NEXT);
}

/* The word at X is stored. Its second byte is a length; X moves there, and A is the first byte, what comes next. */
static unsigned int put_move(const struct tail *tail, unsigned int next)
{
	const unsigned int later = keep(tail, 8);
	unsigned int options, authentication, fragment, move;

	program_jump(tail->program, next);
	move = PUT(ADD_X, TO_X, RECALL(SLOT_WORD), ALU(BPF_RSH, 24));
	options = PUT(RECALL(SLOT_WORD), ALU(BPF_RSH, 16), ALU(BPF_AND, 0xff), ALU(BPF_ADD, 1), ALU(BPF_LSH, 3));
	program_jump(tail->program, move);
	authentication = PUT(RECALL(SLOT_WORD), ALU(BPF_RSH, 16), ALU(BPF_AND, 0xff), ALU(BPF_ADD, 2),
			     ALU(BPF_LSH, 2));
	program_jump(tail->program, move);
	PUT(BPF_STMT(BPF_LD | BPF_IMM, 8));
	test(tail, BPF_JSET, 0xfff8, later, NEXT);
	fragment = PUT(RECALL(SLOT_WORD));
	test(tail, BPF_JEQ, IPPROTO_AH, authentication, options);
	return test(tail, BPF_JEQ, IPPROTO_FRAGMENT, fragment, NEXT);
}

/* One header, if A says that it is an extension's; anything else is for `others`. */
static unsigned int put_extension(const struct tail *tail, unsigned int next, unsigned int others)
{
	unsigned int extension;

	put_move(tail, next);
	PUT(LOAD(BPF_W, 0), STORE(SLOT_WORD), RECALL(SLOT_NUMBER));
	has(tail, 8);
	extension = PUT(STORE(SLOT_NUMBER));
	test(tail, BPF_JEQ, IPPROTO_AH, extension, others);
	test(tail, BPF_JEQ, IPPROTO_FRAGMENT, extension, NEXT);
	test(tail, BPF_JEQ, IPPROTO_DSTOPTS, extension, NEXT);
	test(tail, BPF_JEQ, IPPROTO_ROUTING, extension, NEXT);
	return test(tail, BPF_JEQ, IPPROTO_HOPOPTS, extension, NEXT);
}

static unsigned int put_ipv6(const struct tail *tail, unsigned int next)
{
	program_jump(tail->program, next);
	skip(tail, 40);
	PUT(LOAD(BPF_B, 6));
	test(tail, BPF_JEQ, 0x60, NEXT, tail->unknown);
	PUT(LOAD(BPF_B, 0), ALU(BPF_AND, 0xf0));
	return has(tail, 40);
}

static unsigned int put_ipv4(const struct tail *tail, unsigned int next)
{
	unsigned int later;

	program_jump(tail->program, tail->end);
	later = PUT(RECALL(SLOT_NUMBER), ADD_X);
	program_jump(tail->program, next);
	PUT(RECALL(SLOT_NUMBER), ADD_X, TO_X, RECALL(SLOT_WORD), ALU(BPF_AND, 0xff));
	test(tail, BPF_JSET, 0x1fff0000, later, NEXT); /* a fragment that is not the first */
	PUT(ALU(BPF_AND, 0xf), ALU(BPF_LSH, 2), STORE(SLOT_NUMBER), LOAD(BPF_W, 6), STORE(SLOT_WORD));
	test(tail, BPF_JGT, 0x4f, tail->unknown, NEXT);
	test(tail, BPF_JGE, 0x45, NEXT, tail->unknown);
	PUT(LOAD(BPF_B, 0));
	return has(tail, 20);
}

/* IP with its extensions; what they lead to is `upper`, with A the protocol. */
static struct network put_network(const struct tail *tail, int extensions, unsigned int upper)
{
	struct network network;
	unsigned int next = upper;

	for (int i = 0; i < extensions; i++)
		next = put_extension(tail, next, upper);
	network.v6 = put_ipv6(tail, next);
	next = test(tail, BPF_JEQ, IPPROTO_AH, next, upper); /* of them all, IPv4 has AH alone */
	network.v4 = put_ipv4(tail, next);
	return network;
}

/* A is an ethertype. */
static unsigned int put_ethertype(const struct tail *tail, const struct network *network)
{
	unsigned int tag, next = tail->unknown;

	for (int i = 0; i <= TAGS; i++) {
		tag = next;
		if (i > 0) {
			program_jump(tail->program, next);
			skip(tail, 4);
			PUT(LOAD(BPF_H, 2));
			tag = has(tail, 4);
		}
		test(tail, BPF_JEQ, ETHERTYPE_QINQ_OLD, tag, tail->unknown);
		test(tail, BPF_JEQ, ETH_P_8021AD, tag, NEXT);
		test(tail, BPF_JEQ, ETH_P_8021Q, tag, NEXT);
		test(tail, BPF_JEQ, ETH_P_IPV6, network->v6, NEXT);
		next = test(tail, BPF_JEQ, ETH_P_IP, network->v4, NEXT);
	}
	return next;
}

/* GRE's checksum, key and sequence number are there where their bits are. */
static unsigned int put_gre(const struct tail *tail, const struct network *inner)
{
	static const bpf_u_int32 PRESENT[] = { 0x80000000, 0x20000000, 0x10000000 };
	const unsigned int types = put_ethertype(tail, inner);
	unsigned int ethernet, absent;

	program_jump(tail->program, types);
	skip(tail, ETH_HLEN);
	PUT(LOAD(BPF_H, 12));
	ethernet = has(tail, ETH_HLEN);

	program_jump(tail->program, types);
	test(tail, BPF_JEQ, ETH_P_TEB, ethernet, NEXT);
	PUT(RECALL(SLOT_WORD), ALU(BPF_AND, 0xffff));
	for (int i = 0; i < 3; i++) {
		absent = NEXT;
		PUT(FROM_X, ALU(BPF_ADD, 4), TO_X);
		test(tail, BPF_JSET, PRESENT[i], NEXT, absent);
		PUT(RECALL(SLOT_WORD));
	}
	PUT(FROM_X, ALU(BPF_ADD, 4), TO_X);
	test(tail, BPF_JSET, 0x40070000, tail->unknown, NEXT); /* routing, or another version */
	PUT(LOAD(BPF_W, 0), STORE(SLOT_WORD));
	return has(tail, 4);
}

/* One tunnel; A is the protocol. */
static unsigned int put_tunnel(const struct tail *tail)
{
	const struct network inner = put_network(tail, EXTENSIONS_TUNNELLED, tail->transport);
	const unsigned int gre = put_gre(tail, &inner);

	test(tail, BPF_JEQ, IPPROTO_GRE, gre, tail->transport);
	test(tail, BPF_JEQ, IPPROTO_IPV6, inner.v6, NEXT);
	return test(tail, BPF_JEQ, IPPROTO_IPIP, inner.v4, NEXT);
}

/* Where a link layer's header ends, in the program and in the kernel, and where in it the ethertype is. */
struct link {
	int type;
	unsigned int length, kernel_length, ethertype_at;
};

static const struct link LINKS[] = {
	{ DLT_EN10MB, ETH_HLEN, ETH_HLEN, 12 },
	{ DLT_RAW, 0, 0, 0 },
	/* The kernel has no such header: libpcap moves these loads, kernel_runs(). */
	{ DLT_LINUX_SLL, 16, 0, 14 },
	{ DLT_LINUX_SLL2, 20, 0, 0 },
};

static void put_link(const struct tail *tail, const struct link *link, const struct network *network)
{
	if (link->type == DLT_RAW) {
		test(tail, BPF_JEQ, 0x60, network->v6, tail->unknown);
		test(tail, BPF_JEQ, 0x40, network->v4, NEXT);
		PUT(LOAD(BPF_B, 0), ALU(BPF_AND, 0xf0));
		has(tail, 1);
	} else {
		put_ethertype(tail, network);
		PUT(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, link->ethertype_at));
		has(tail, 0);
	}
	PUT(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), ALU(BPF_ADD, MIDDLE - link->kernel_length), STORE(SLOT_ROOM),
	    BPF_STMT(BPF_LDX | BPF_IMM, 0));
}

bool tail_put(struct program *program, unsigned int number, int *link_type)
{
	struct tail tail = { .program = program };
	struct network network;

	if (number >= sizeof LINKS / sizeof *LINKS)
		return false;
	*link_type = LINKS[number].type;
	tail.link = LINKS[number].length;
	put_ends(&tail, LINKS[number].kernel_length);
	tail.transport = put_transport(&tail);
	network = put_network(&tail, EXTENSIONS, put_tunnel(&tail));
	put_link(&tail, &LINKS[number], &network);
	return true;
}
