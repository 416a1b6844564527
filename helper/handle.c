/* helper: what runs with the capability. */
/* libpcap's live handle: a device opened, and a filter that the kernel runs and nobody changes. */
#include "handle.h"

#include <errno.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/joined_filter.h"

/* To be called right after what failed, while errno is that of it. */
static int refuse(struct open_reply *reply, enum open_result result, const char *text)
{
	reply->error = errno;
	reply->result = result;
	snprintf(reply->text, sizeof reply->text, "%s", text);
	return -1;
}

static int open_device(pcap_t **handle, const struct open_request *request, struct open_reply *reply)
{
	const int on = 1;
	char error[PCAP_ERRBUF_SIZE] = "";
	int status;

	*handle = pcap_create(request->interface, error);
	if (*handle == NULL)
		return refuse(reply, OPEN_REFUSED_SYSTEM, error);
	pcap_set_snaplen(*handle, (int)request->snaplen);
	pcap_set_promisc(*handle, (request->flags & OPEN_PROMISCUOUS) != 0);
	status = pcap_activate(*handle);
	if (status < 0)
		return refuse(reply, status == PCAP_ERROR_NO_SUCH_DEVICE ? OPEN_REFUSED_INTERFACE :
				     status == PCAP_ERROR_IFACE_NOT_UP	 ? OPEN_REFUSED_INTERFACE_DOWN :
									   OPEN_REFUSED_SYSTEM,
			      pcap_geterr(*handle)[0] != '\0' ? pcap_geterr(*handle) : pcap_statustostr(status));
	if (strcmp(request->interface, "any") == 0)
		pcap_set_datalink(*handle, request->flags & OPEN_COOKED_V1 ? DLT_LINUX_SLL : DLT_LINUX_SLL2);
	if ((request->flags & OPEN_IGNORE_OUTGOING) != 0) /* Linux 4.20; the writer copes without */
		setsockopt(pcap_fileno(*handle), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	return 0;
}

/*
 * The user's text must be an expression by itself: only then does "(guard) and (text)" mean
 * what it says, and text like "x) or (y" is a syntax error instead of a way around the guard.
 */
static int compile_guarded(pcap_t *handle, const struct open_request *request,
			   struct bpf_program *program, struct open_reply *reply)
{
	static char joined[JOINED_FILTER_SIZE];
	struct bpf_program guard;
	/* Optimizing takes long where it takes any time: not for what is only checked. */
	int status = pcap_compile(handle, program, request->filter, request->guard[0] == '\0',
				  request->netmask);

	/* A link type without TCP has no ssh session to leave out: capture there, unguarded. */
	reply->guarded = status == 0 && request->guard[0] != '\0' &&
			 pcap_compile(handle, &guard, request->guard, 1, request->netmask) == 0;
	if (reply->guarded) {
		joined_filter(joined, request->guard, request->filter);
		status = pcap_compile(handle, program, joined, 1, request->netmask);
	}
	return status == 0 ? 0 : refuse(reply, OPEN_REFUSED_FILTER, pcap_geterr(handle));
}

/* pcap_setfilter() also succeeds where libpcap would filter by itself; the writer does not. */
static bool kernel_runs(int fd, const struct bpf_program *program)
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
		if (type == SOCK_DGRAM) /* on cooked devices libpcap moves offsets, and nothing else */
			attached[i].k = meant->k;
		if (memcmp(&attached[i], meant, sizeof *meant) != 0)
			return false;
	}
	return true;
}

static int lock_filter(pcap_t *handle, struct bpf_program *program, struct open_reply *reply)
{
	const int on = 1, fd = pcap_fileno(handle);

	if (pcap_setfilter(handle, program) != 0 || !kernel_runs(fd, program))
		return refuse(reply, OPEN_REFUSED_FILTER_KERNEL,
			      "the kernel cannot run this filter on this interface");
	/* From here on nobody who holds the fd, we included, can attach another filter or none. */
	if (setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) != 0)
		return refuse(reply, OPEN_REFUSED_SYSTEM, "SO_LOCK_FILTER failed");
	return 0;
}

int handle_open(const struct open_request *request, struct open_reply *reply)
{
	struct bpf_program program;
	pcap_t *handle;

	if (open_device(&handle, request, reply) != 0 ||
	    compile_guarded(handle, request, &program, reply) != 0 ||
	    lock_filter(handle, &program, reply) != 0)
		return -1; /* the process ends next: nothing to free */
	reply->link_type = pcap_datalink(handle);
	return pcap_fileno(handle);
}
