/* libpcap's live handle: a device opened, and a filter that the kernel runs and nobody changes. */
#include "capture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LIBPCAP_RING_BYTES 262144 /* one block, the least libpcap makes; its content is never used */
#define LIBPCAP_TIMEOUT_MS 100    /* any: nobody reads from libpcap's ring */

static int refuse(struct open_reply *reply, enum open_result result, const char *what,
		  const char *why)
{
	reply->result = result;
	reply->error = errno;
	snprintf(reply->text, sizeof reply->text, "%s%s%s", what, why[0] != '\0' ? ": " : "", why);
	return -1;
}

static int refuse_activation(struct open_reply *reply, pcap_t *handle, int status)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return refuse(reply, OPEN_REFUSED_INTERFACE, pcap_statustostr(status), pcap_geterr(handle));
	case PCAP_ERROR_IFACE_NOT_UP:
		return refuse(reply, OPEN_REFUSED_INTERFACE_DOWN, pcap_statustostr(status), "");
	default:
		return refuse(reply, OPEN_REFUSED_SYSTEM, pcap_statustostr(status), pcap_geterr(handle));
	}
}

static pcap_t *open_device(const struct open_request *request, struct open_reply *reply)
{
	char error[PCAP_ERRBUF_SIZE] = "";
	pcap_t *handle = pcap_create(request->interface, error);
	int status;

	if (handle == NULL) {
		refuse(reply, OPEN_REFUSED_SYSTEM, "pcap_create", error);
		return NULL;
	}
	pcap_set_snaplen(handle, (int)request->snaplen);
	pcap_set_promisc(handle, (request->flags & OPEN_PROMISCUOUS) != 0);
	pcap_set_timeout(handle, LIBPCAP_TIMEOUT_MS);
	pcap_set_buffer_size(handle, LIBPCAP_RING_BYTES);
	status = pcap_activate(handle);
	if (status < 0) {
		refuse_activation(reply, handle, status);
		return NULL;
	}
	if (strcmp(request->interface, "any") == 0)
		pcap_set_datalink(handle, (request->flags & OPEN_COOKED_V1) != 0 ?
						  DLT_LINUX_SLL : DLT_LINUX_SLL2);
	return handle;
}

static int compile(pcap_t *handle, const struct open_request *request, const char *text,
		   struct bpf_program *program)
{
	return pcap_compile(handle, program, text, 1, request->netmask);
}

/*
 * The user's text must be an expression by itself: only then does "(guard) and (text)" mean
 * what it says, and text like "x) or (y" is a syntax error instead of a way around the guard.
 */
static int compile_guarded(pcap_t *handle, const struct open_request *request,
			   struct bpf_program *program, struct open_reply *reply)
{
	static char joined[GUARD_TEXT_SIZE + FILTER_TEXT_SIZE + sizeof "() and ()"];
	struct bpf_program guarded;

	errno = 0;
	if (compile(handle, request, request->filter, program) != 0)
		return refuse(reply, OPEN_REFUSED_FILTER, pcap_geterr(handle), "");
	if (request->guard[0] == '\0')
		return 0;
	if (request->filter[0] == '\0')
		snprintf(joined, sizeof joined, "%s", request->guard);
	else
		snprintf(joined, sizeof joined, "(%s) and (%s)", request->guard, request->filter);
	/* A link type without TCP has no ssh session to leave out: capture there, unguarded. */
	if (compile(handle, request, joined, &guarded) == 0) {
		pcap_freecode(program);
		*program = guarded;
		reply->guarded = 1;
	}
	return 0;
}

/*
 * pcap_setfilter() also succeeds where libpcap would filter by itself; the writer does not. On
 * cooked devices libpcap rewrites offsets (k) only.
 */
static bool kernel_runs(int fd, const struct bpf_program *program, bool cooked)
{
	static struct sock_filter attached[BPF_MAXINSNS];
	socklen_t count = BPF_MAXINSNS; /* SO_GET_FILTER counts instructions, socket(7) */

	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, attached, &count) != 0 ||
	    count != program->bf_len)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		const struct bpf_insn *meant = &program->bf_insns[i];
		if (attached[i].code != meant->code || attached[i].jt != meant->jt ||
		    attached[i].jf != meant->jf || (!cooked && attached[i].k != meant->k))
			return false;
	}
	return true;
}

static bool is_cooked(int fd)
{
	int type = 0;
	socklen_t length = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM;
}

static int lock_filter(pcap_t *handle, struct bpf_program *program, struct open_reply *reply)
{
	const int on = 1, fd = pcap_fileno(handle);

	if (pcap_setfilter(handle, program) != 0)
		return refuse(reply, OPEN_REFUSED_FILTER_KERNEL, pcap_geterr(handle), "");
	if (!kernel_runs(fd, program, is_cooked(fd)))
		return refuse(reply, OPEN_REFUSED_FILTER_KERNEL, "the kernel cannot run this filter on this interface", "");
	/* From here on nobody who holds the fd, we included, can attach another filter or none. */
	if (setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) != 0)
		return refuse(reply, OPEN_REFUSED_SYSTEM, "SO_LOCK_FILTER", strerror(errno));
	return 0;
}

int capture_open(const struct open_request *request, struct open_reply *reply)
{
	const int on = 1;
	struct bpf_program program;
	pcap_t *handle = open_device(request, reply);

	if (handle == NULL || compile_guarded(handle, request, &program, reply) != 0 ||
	    lock_filter(handle, &program, reply) != 0)
		return -1; /* the process ends next: nothing to free */
	if ((request->flags & OPEN_IGNORE_OUTGOING) != 0) /* Linux 4.20; the writer copes without */
		setsockopt(pcap_fileno(handle), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	reply->result = OPEN_READY;
	reply->error = 0;
	reply->link_type = pcap_datalink(handle);
	return pcap_fileno(handle);
}
