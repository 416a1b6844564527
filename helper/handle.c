/* helper: what runs with the capability. */
/* libpcap's live handle: a device opened, and a filter that the kernel runs and nobody changes. */
#include "handle.h"

#include <errno.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/joined_filter.h"
#include "headers.h"
#include "libpcap_calls.h"
#include "program.h"

#define COMPILE_LIMIT_SECONDS 5 /* of CPU time: 300 hosts take 2 */
#define OPTIMIZED_SOON 512      /* instructions: libpcap's optimizer takes long for many more */

static int refuse(struct open_reply *reply, enum open_result result, int error, const char *text)
{
	reply->error = error;
	reply->result = result;
	snprintf(reply->text, sizeof reply->text, "%s", text);
	return -1;
}

static int refuse_activation(struct open_reply *reply, pcap_t *handle, int status)
{
	const int error = libpcap_calls_error();

	return refuse(reply, status == PCAP_ERROR_NO_SUCH_DEVICE			  ? OPEN_REFUSED_INTERFACE :
			     status == PCAP_ERROR_IFACE_NOT_UP || error == ENETDOWN ? OPEN_REFUSED_INTERFACE_DOWN :
			     error == ENOSPC					  ? OPEN_REFUSED_SLOTS :
										    OPEN_REFUSED_SYSTEM,
		      error, pcap_geterr(handle)[0] != '\0' ? pcap_geterr(handle) : pcap_statustostr(status));
}

static int open_device(pcap_t **handle, const struct open_request *request, struct open_reply *reply)
{
	const int on = 1;
	char error[PCAP_ERRBUF_SIZE] = "";
	int status;

	*handle = pcap_create(request->interface, error);
	if (*handle == NULL)
		return refuse(reply, OPEN_REFUSED_SYSTEM, errno, error);
	pcap_set_snaplen(*handle, (int)request->snaplen);
	pcap_set_promisc(*handle, (request->flags & OPEN_PROMISCUOUS) != 0);
	status = pcap_activate(*handle);
	if (status < 0)
		return refuse_activation(reply, *handle, status);
	if (strcmp(request->interface, "any") == 0)
		pcap_set_datalink(*handle, request->flags & OPEN_COOKED_V1 ? DLT_LINUX_SLL : DLT_LINUX_SLL2);
	if ((request->flags & OPEN_IGNORE_OUTGOING) != 0) /* Linux 4.20; the filter has it too */
		setsockopt(pcap_fileno(*handle), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	reply->link_type = pcap_datalink(*handle);
	return 0;
}

/*
 * Without libpcap's optimizer, which is wrong for some filters. It runs all the same, and its result is not used:
 * only the optimizer refuses a filter that can match nothing. For large filters it would take too long.
 */
static int compile(pcap_t *handle, const struct open_request *request, const char *text, struct bpf_program *program)
{
	struct bpf_program optimized;
	int status = pcap_compile(handle, program, text, 0, request->netmask);

	return status == 0 && program->bf_len <= OPTIMIZED_SOON ?
		       pcap_compile(handle, &optimized, text, 1, request->netmask) : status;
}

/*
 * Each text must be an expression by itself. Otherwise a user's "x) or (y" would lead around the guard once it is
 * joined; alone it is a syntax error. The user's container decides what names stand for, so the operator's filter
 * may have none.
 */
static int compile_joined(pcap_t *handle, const struct open_request *request, const char *joined,
			  struct bpf_program *program, struct open_reply *reply)
{
	enum open_result refusal = OPEN_READY;

	libpcap_calls_know_names(false);
	if (compile(handle, request, request->policy, program) != 0)
		return refuse(reply, OPEN_REFUSED_POLICY, 0, pcap_geterr(handle));
	libpcap_calls_know_names(true);
	if (compile(handle, request, request->filter, program) != 0 ||
	    compile(handle, request, request->guard, program) != 0)
		refusal = OPEN_REFUSED_FILTER;
	else if (compile(handle, request, joined, program) != 0)
		refusal = OPEN_REFUSED_JOINED;
	reply->guarded = refusal != OPEN_REFUSED_FILTER && request->guard[0] != '\0';
	return refusal == OPEN_READY ? 0 : refuse(reply, refusal, 0, pcap_geterr(handle));
}

/* Fanout forgets PACKET_IGNORE_OUTGOING on some kernels, and lo would show each packet twice. */
static void leave_out_outgoing(struct program *program)
{
	static const struct bpf_insn FIRST[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	if (program->first >= 3) /* no room: the writer drops the copies itself */
		program_put(program, FIRST, 3);
}

/* The whole program: filter, direction, length to keep. Returns false if there is no tail or no room for it. */
static bool complete(struct bpf_program *filter, const struct open_request *request, int link_type)
{
	static struct program whole;
	unsigned int accepted = 0;

	program_begin(&whole);
	if ((request->flags & OPEN_HEADERS_ONLY) != 0) {
		accepted = headers_put(&whole, link_type, request->snaplen);
		if (accepted == 0)
			return false;
	}
	program_put_filter(&whole, filter, accepted);
	if ((request->flags & OPEN_IGNORE_OUTGOING) != 0)
		leave_out_outgoing(&whole);
	*filter = (struct bpf_program){ BPF_MAXINSNS - whole.first, whole.code + whole.first };
	return !whole.too_long;
}

/*
 * On cooked sockets the packet has no link header. libpcap turns a load from that header into a load of the
 * kernel's metadata, and gets the field's whole value. A load of another size or place would get a wrong value.
 */
static bool is_exact(const struct bpf_insn *load, int link_type)
{
	const unsigned int field = load->k << 8 | BPF_SIZE(load->code);
	const bool v2 = link_type == DLT_LINUX_SLL2;

	if (BPF_MODE(load->code) == BPF_IMM || BPF_MODE(load->code) == BPF_MEM || BPF_MODE(load->code) == BPF_LEN ||
	    load->k >= (v2 ? 20u : 16u)) /* behind the header, or metadata already */
		return true;
	if (BPF_MODE(load->code) != BPF_ABS)
		return false;
	return v2 ? field == BPF_H || field == (4 << 8 | BPF_W) || field == (8 << 8 | BPF_H) ||
			    field == (10 << 8 | BPF_B) :
		    field == BPF_H || field == (14 << 8 | BPF_H);
}

/* pcap_setfilter() also succeeds where only libpcap's own loop can filter. Nothing here runs that loop. */
static bool kernel_runs(int fd, const struct bpf_program *program, int link_type)
{
	static struct sock_filter attached[BPF_MAXINSNS];
	socklen_t count = BPF_MAXINSNS; /* SO_GET_FILTER counts instructions, socket(7) */
	int type = 0;
	socklen_t length = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, attached, &count) != 0 ||
	    count != program->bf_len)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		const struct bpf_insn *meant = &program->bf_insns[i];
		if (type == SOCK_DGRAM && (BPF_CLASS(meant->code) == BPF_LD || BPF_CLASS(meant->code) == BPF_LDX)) {
			if (!is_exact(meant, link_type))
				return false;
			attached[i].k = meant->k; /* libpcap moves offsets, and nothing else */
		}
		if (memcmp(&attached[i], meant, sizeof *meant) != 0)
			return false;
	}
	return true;
}

/* Returns NULL, or why the kernel does not run it. */
static const char *attach(pcap_t *handle, const struct open_request *request, struct bpf_program *program,
			  const struct open_reply *reply)
{
	if (!complete(program, request, reply->link_type))
		return "it takes more than the kernel's 4096 instructions, those of -headers-only included";
	return pcap_setfilter(handle, program) == 0 &&
			       kernel_runs(pcap_fileno(handle), program, reply->link_type) ?
		       NULL : "the kernel cannot run this filter on this interface";
}

/* Returns 0, or -1 with a refusal. */
static int set_filter(pcap_t *handle, const struct open_request *request, struct open_reply *reply)
{
	static char joined[JOINED_FILTER_SIZE];
	struct bpf_program program;
	const char *failed;

	joined_filter(joined, request->policy, request->guard, request->filter);
	if (compile_joined(handle, request, joined, &program, reply) != 0)
		return -1;
	failed = attach(handle, request, &program, reply);
	/* The optimizer may make a filter fit the kernel, and may make it wrong: never where there is a policy. */
	if (failed != NULL && request->policy[0] == '\0' &&
	    pcap_compile(handle, &program, joined, 1, request->netmask) == 0)
		failed = attach(handle, request, &program, reply);
	if (failed == NULL)
		return 0;
	reply->filter_bytes = program.bf_len * (uint32_t)sizeof(struct sock_filter);
	return refuse(reply, OPEN_REFUSED_FILTER_KERNEL, libpcap_calls_error(), failed);
}

static void limit_compiling(time_t seconds)
{
	setitimer(ITIMER_PROF, &(struct itimerval){ .it_value.tv_sec = seconds }, NULL);
}

int handle_open(const struct open_request *request, struct open_reply *reply)
{
	const int on = 1;
	pcap_t *handle;

	if (open_device(&handle, request, reply) != 0)
		return -1; /* the process ends next: nothing to free */
	limit_compiling(COMPILE_LIMIT_SECONDS);
	if (set_filter(handle, request, reply) != 0)
		return -1;
	limit_compiling(0);
	/* From here on nobody who holds the fd, we included, can attach another filter or none. */
	if (setsockopt(pcap_fileno(handle), SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) != 0)
		return refuse(reply, OPEN_REFUSED_SYSTEM, errno, "SO_LOCK_FILTER failed");
	return pcap_fileno(handle);
}
