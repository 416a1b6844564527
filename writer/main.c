/* writer: no privilege; from setup/ through the sandbox's door to capture/. */
/* The writer: everything of cf-pcap that needs no privilege. Carried inside the helper, and started by it only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/audience.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/version.h"
#include "capture/capture.h"
#include "capture/ending.h"
#include "capture/ring.h"
#include "common/privilege.h"
#include "common/protocol.h"
#include "formats/pcapng_file.h"
#include "output/frame.h"
#include "output/output.h"
#include "sandbox_rules.h"
#include "setup/flags.h"
#include "setup/interfaces.h"
#include "setup/limits.h"
#include "setup/memory.h"
#include "setup/policy_file.h"
#include "setup/session.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

static int fail(const char *message, const char *error)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("error", error)));
	return EXIT_FAILED;
}

static int refuse_terminal(void)
{
	log_record(LOG_ERROR, "refusing to write binary pcap to a terminal",
		   LOG_FIELDS(LOG_TEXT("hint", "redirect stdout to a file, or pipe it into tcpdump -r -; "
					       "over ssh, run it without -t, a terminal there corrupts pcap")));
	return EXIT_FAILED;
}

/* Everything that was printed has to arrive. Returns the exit status. */
static int finish_stdout(void)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return 0;
	log_record(LOG_ERROR, "cannot write to stdout", LOG_FIELDS(LOG_TEXT("error", strerror(errno))));
	return EXIT_FAILED;
}

/* What can be answered without a capture. Returns the exit status, or -1 to go on. */
static int answer_at_once(const struct options *options)
{
	if (options->help) {
		flags_print_help();
		return finish_stdout();
	}
	if (options->version) {
		puts("cf-pcap " CFPCAP_VERSION);
		return finish_stdout();
	}
	if (options->list_interfaces)
		return interfaces_list() == 0 ? finish_stdout() : EXIT_FAILED;
	if (options->interface == NULL) {
		interfaces_report_missing(options->filter);
		return EXIT_USAGE;
	}
	return -1;
}

/* Sets what the file says about where it was made. */
static void describe_place(struct format *format)
{
	static char interfaces[PCAPNG_TEXT_MOST];
	static struct utsname system;
	static char text[sizeof system.sysname + sizeof system.release + 1];

	if (uname(&system) == 0)
		snprintf(text, sizeof text, "%s %s", system.sysname, system.release);
	format->system = text;
	if (format->kind == FORMAT_PCAPNG && strcmp(format->interface, "any") == 0) {
		interfaces_describe(interfaces, sizeof interfaces);
		format->description = interfaces;
	}
}

/* Why there will be no capture, though nothing has failed. */
static void report_called_off(const struct audience *audience)
{
	const char *signal_name = stop_signal_name();
	const char *reason = stop_asked() ? ending_text(ENDING_ASKED) : "the reader of stdout is gone";
	const char *hint = stop_reason() == STOP_INPUT_ENDED && audience->early ? AUDIENCE_EARLY_HINT : NULL;

	log_record(LOG_INFO, "stopped before the capture began",
		   signal_name != NULL ? LOG_FIELDS(LOG_TEXT("signal", signal_name)) :
		   hint != NULL	       ? LOG_FIELDS(LOG_TEXT("reason", reason), LOG_TEXT("hint", hint)) :
					 LOG_FIELDS(LOG_TEXT("reason", reason)));
}

/* There will be no capture: a failure, or an end as asked for, without a file. */
static int not_begun(int result, const struct audience *audience)
{
	if (result != SESSION_STOPPED)
		return EXIT_FAILED;
	report_called_off(audience);
	return 0;
}

/* From here on there is a packet fd in this process, and a sandbox around it. */
static int capture_inside_sandbox(struct capture *capture)
{
	int packet_fd, events = epoll_create1(EPOLL_CLOEXEC);

	/* A known number, for the sandbox. */
	if (events < 0 || dup2(events, WRITER_EVENTS_FD) < 0 || (events != WRITER_EVENTS_FD && close(events) != 0))
		return fail("cannot watch the packet socket", strerror(errno));
	if (sandbox_enter(&writer_sandbox) != 0)
		return fail("cannot close the sandbox", strerror(errno));
	packet_fd = session_receive_packet_fd(&capture->audience);
	if (packet_fd < 0)
		return not_begun(packet_fd, &capture->audience);
	return capture_run(capture, packet_fd);
}

/* Messages go where packets go: to the same pipe, socket or file. */
static bool stderr_is_stdout(void)
{
	struct stat packets, messages;

	return fstat(STDOUT_FILENO, &packets) == 0 && fstat(STDERR_FILENO, &messages) == 0 &&
	       !S_ISCHR(packets.st_mode) && packets.st_dev == messages.st_dev &&
	       packets.st_ino == messages.st_ino;
}

/* Elsewhere whoever reads it may write to the same terminal, between our lines. */
static bool stdout_is_file(void)
{
	struct stat packets;

	return fstat(STDOUT_FILENO, &packets) == 0 && S_ISREG(packets.st_mode);
}

/* What works as it was asked for, and is not what was meant. */
static void warn_of_surprises(const struct options *options, const struct interface_facts *facts, bool input_can_end)
{
	if (options->stop_at_eof && !input_can_end)
		log_record(LOG_WARN, "standard input never ends, so -stop-at-eof has no effect",
			   LOG_FIELDS(LOG_TEXT("hint", "give it a pipe, a socket or a terminal")));
	if (stderr_is_stdout())
		log_record(LOG_WARN, "stdout and stderr are the same, messages make the pcap unreadable",
			   LOG_FIELDS(LOG_TEXT("hint", "redirect stderr elsewhere, not with 2>&1")));
	if (options->direction == DIRECTION_OUT && facts->is_loopback)
		log_record(LOG_WARN, "on a loopback interface every packet counts as coming in, none is captured",
			   LOG_FIELDS(LOG_TEXT("hint", "leave out -direction out")));
	if (options->ssh_guard && !facts->is_loopback && facts->tunnel[0] != '\0')
		log_record(LOG_WARN, "an ssh session that comes through a tunnel or a VLAN is captured too",
			   LOG_FIELDS(LOG_TEXT("interface", options->interface), LOG_TEXT("tunnel", facts->tunnel),
				      LOG_TEXT("hint", "leave out what carries it, as with 'not udp port 4789'")));
}

static int capture_packets(struct options *options, const struct policy *policy, struct output *output)
{
	static struct session session;
	struct capture capture = { .output = output,
				   .direction = options->direction,
				   .count = options->count,
				   .heartbeat = options->heartbeat,
				   .announce = isatty(STDERR_FILENO) == 1,
				   .show_progress = options->progress && isatty(STDERR_FILENO) == 1 &&
						    stdout_is_file() };
	struct interface_facts facts;
	int opened;

	audience_start(&capture.audience, options->stop_at_eof);
	options->interface = interfaces_own_name(options->interface);
	if (limits_apply(options, policy) != 0)
		return EXIT_FAILED;
	capture.layout = ring_layout(options->buffer_size, (uint32_t)options->block_packet);
	capture.max_size = options->max_size;
	if (interfaces_examine(options->interface, &facts) != 0)
		return EXIT_FAILED;
	capture.interface = options->interface;
	capture.loopback_index = facts.loopback_index;
	opened = session_open(&session, options, policy, &facts, &capture.layout, &capture.audience);
	if (opened != 0)
		return not_begun(opened, &capture.audience);
	capture.format = (struct format){ .kind = options->format,
					  .nano = options->nano,
					  .snaplen = (uint32_t)options->snaplen,
					  .link_type = frame_link_type(session.reply.link_type),
					  .interface = options->interface,
					  .application = "cf-pcap " CFPCAP_VERSION,
					  .filter = session.filter };
	describe_place(&capture.format);
	warn_of_surprises(options, &facts, audience_is_watched(&capture.audience));
	/* Looking up names and compiling the filter is not capturing. */
	if (stop_after(options->duration) != 0)
		return fail("cannot set the duration", strerror(errno));
	return capture_inside_sandbox(&capture);
}

static int run(int argc, char **argv)
{
	static struct options options;
	static struct policy policy;
	static struct output output;
	struct memory_share share;
	const char *unusable;
	int status;

	if (!session_is_genuine())
		return fail("cf-pcap-writer cannot be used by itself", "it was not started by cf-pcap");
	/* Before anything of the user's. */
	if (policy_read(&policy) != 0)
		return EXIT_FAILED;
	if (flags_parse(&options, argc, argv) != 0)
		return EXIT_USAGE;
	if (options.verbose)
		log_enable_debug();
	status = answer_at_once(&options);
	if (status >= 0)
		return status;
	flags_report(&options);
	share = memory_share(memory_free("/proc/self/cgroup", "/sys/fs/cgroup"));
	unusable = output_open(&output, share.queue_bytes, share.pipe_bytes);
	if (unusable != NULL)
		return fail("cannot write to stdout", unusable);
	if (isatty(STDOUT_FILENO) == 1)
		return refuse_terminal();
	return capture_packets(&options, &policy, &output);
}

int main(int argc, char **argv)
{
	const pid_t helper = session_helper();
	int status;

	/* The capability is here as a shield only, and until the packet socket is gone, kept_socket.c. */
	if (privilege_lower() != 0)
		return EXIT_FAILED;
	/* As ps shows it; exec from a memfd would show that. */
	prctl(PR_SET_NAME, "cf-pcap");
	log_open();
	status = stop_watch() == 0 ? run(argc, argv) : fail("cannot watch for signals", strerror(errno));
	session_end(helper);
	return status;
}
