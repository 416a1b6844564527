/*
 * Reads a pcap of gen.c's packets from stdin, at the pace it is told, and prints as JSON what it
 * found: anything that deviates from pcap-savefile(5), every lost, reordered or changed packet.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "payload.h"

#define HEADER_LENGTH 24
#define RECORD_HEAD_LENGTH 16
#define READ_BYTES (128u << 10)
#define RECORD_MOST (RECORD_HEAD_LENGTH + 262144)
#define PHASES_MOST 16
#define PACE_NS 10000000 /* a slow reader takes what is due this often */

/* Seen by the driver while we run. */
struct progress {
	uint64_t bytes, records;
};

struct phase {
	uint64_t ns;
	double rate; /* bytes per second; 0: stalled, < 0: as fast as possible */
};

struct report {
	uint64_t missing;   /* sequence numbers that are left out before the last */
	uint64_t disorder;  /* packets that are older than one before them, or repeated */
	uint64_t foreign;   /* packets that gen.c did not send */
	uint64_t corrupt;   /* packets whose content has changed */
	uint64_t next;      /* expected sequence number */
	uint64_t last_sent_ns;
	const char *error;  /* in the file's structure */
};

static struct phase phases[PHASES_MOST];
static size_t phase_count;
static struct progress own_progress, *progress = &own_progress;
static struct report report;
static uint64_t *latencies;
static size_t latency_count, latency_room;
static uint32_t snaplen, fraction_limit;
static uint8_t expected[FRAME_MOST];
static volatile sig_atomic_t hurry;

static void begin_hurry(int signal_number)
{
	(void)signal_number;
	hurry = 1;
}

/* "MS:BYTES_PER_SECOND,..." */
static void parse_phases(char *list)
{
	for (char *word = strtok(list, ","); word != NULL && phase_count < PHASES_MOST;
	     word = strtok(NULL, ",")) {
		char *rate = strchr(word, ':');
		if (rate == NULL)
			exit(2);
		phases[phase_count++] =
			(struct phase){ strtoull(word, NULL, 10) * 1000000, atof(rate + 1) };
	}
}

static void share_progress(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, sizeof *progress) != 0)
		exit(2);
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (progress == MAP_FAILED)
		exit(2);
}

static void parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "l:o:p:")) != -1) {
		switch (option) {
		case 'l': latency_room = strtoul(optarg, NULL, 10); break;
		case 'o': share_progress(optarg); break;
		case 'p': parse_phases(optarg); break;
		default:
			fputs("check [-l LATENCIES] [-o PROGRESS_FILE] [-p MS:BYTES_PER_SECOND,...]\n", stderr);
			exit(2);
		}
	}
	latencies = calloc(latency_room + 1, sizeof *latencies);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static void check_header(const uint8_t *header)
{
	static const uint16_t version[] = { 2, 4 };
	uint32_t magic = get32(header);

	fraction_limit = magic == 0xa1b23c4d ? 1000000000 : 1000000;
	snaplen = get32(header + 16);
	if (magic != 0xa1b23c4d && magic != 0xa1b2c3d4)
		report.error = "magic";
	else if (memcmp(header + 4, version, sizeof version) != 0)
		report.error = "version";
}

static bool is_ours(const uint8_t *frame, uint32_t captured, struct payload *payload)
{
	if (captured < FRAME_LEAST)
		return false;
	memcpy(payload, frame + PAYLOAD_OFFSET, sizeof *payload);
	return payload->magic == PAYLOAD_MAGIC;
}

static bool is_intact(const uint8_t *frame, uint32_t captured, uint64_t sequence)
{
	const uint32_t filled = PAYLOAD_OFFSET + sizeof(struct payload);
	const uint16_t tail = payload_tail(sequence);

	return captured <= FRAME_MOST &&
	       memcmp(frame + captured - sizeof tail, &tail, sizeof tail) == 0 &&
	       memcmp(frame + filled, expected + filled, captured - filled - sizeof tail) == 0;
}

static void check_packet(const uint8_t *frame, uint32_t captured, uint32_t original, uint64_t read_ns)
{
	struct payload payload;

	if (!is_ours(frame, captured, &payload)) {
		report.foreign++;
		return;
	}
	if (captured != original || !is_intact(frame, captured, payload.sequence))
		report.corrupt++;
	if (payload.sequence < report.next) {
		report.disorder++;
		return;
	}
	report.missing += payload.sequence - report.next;
	report.next = payload.sequence + 1;
	report.last_sent_ns = payload.sent_ns;
	if (latency_count < latency_room)
		latencies[latency_count++] = read_ns - payload.sent_ns;
}

/* Checks the records that are complete. Returns their length. */
static size_t check_records(const uint8_t *bytes, size_t length, uint64_t read_ns)
{
	size_t at = 0;

	while (report.error == NULL && length - at >= RECORD_HEAD_LENGTH) {
		uint32_t captured = get32(bytes + at + 8), original = get32(bytes + at + 12);
		if (get32(bytes + at + 4) >= fraction_limit)
			report.error = "fraction of a second";
		else if (captured > snaplen || captured > original)
			report.error = "captured length";
		else if (length - at - RECORD_HEAD_LENGTH < captured)
			break;
		if (report.error != NULL)
			break;
		check_packet(bytes + at + RECORD_HEAD_LENGTH, captured, original, read_ns);
		progress->records++;
		at += RECORD_HEAD_LENGTH + captured;
	}
	return report.error != NULL ? length : at;
}

/* What may be read now, in bytes; waits until it is something. */
static size_t allowance(void)
{
	static size_t current;
	static uint64_t phase_began, taken;
	const struct timespec pause = { 0, PACE_NS };

	while (phase_count > 0 && !hurry) {
		uint64_t now = monotonic_ns();
		double due;
		if (phase_began == 0)
			phase_began = now;
		if (now - phase_began >= phases[current].ns) {
			phase_began = now;
			taken = 0;
			current = (current + 1) % phase_count;
		}
		if (phases[current].rate < 0)
			break;
		due = phases[current].rate * (double)(now - phase_began) / 1e9 - (double)taken;
		if (due >= 1) {
			size_t bytes = due < READ_BYTES ? (size_t)due : READ_BYTES;
			taken += bytes;
			return bytes;
		}
		nanosleep(&pause, NULL);
	}
	return READ_BYTES;
}

static size_t read_some(uint8_t *at)
{
	ssize_t count;

	do
		count = read(STDIN_FILENO, at, allowance());
	while (count < 0 && errno == EINTR);
	return count < 0 ? 0 : (size_t)count;
}

/* Returns how many bytes of a torn record are left at the end. */
static size_t check_file(void)
{
	static uint8_t buffer[RECORD_MOST + READ_BYTES];
	size_t held = 0, count;
	bool headed = false;

	while ((count = read_some(buffer + held)) > 0) {
		uint64_t now = latency_room > 0 ? monotonic_ns() : 0;
		size_t done = 0;
		held += count;
		if (!headed && held >= HEADER_LENGTH) {
			check_header(buffer);
			headed = true;
			done = HEADER_LENGTH;
		}
		if (headed)
			done += check_records(buffer + done, held - done, now);
		held -= done;
		memmove(buffer, buffer + done, held);
		progress->bytes += count;
	}
	return held;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static double percentile_ms(size_t percent)
{
	return latency_count == 0 ? 0 : (double)latencies[(latency_count - 1) * percent / 100] / 1e6;
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = begin_hurry };
	size_t torn;

	parse(argc, argv);
	sigaction(SIGUSR1, &action, NULL);
	for (uint32_t i = 0; i < sizeof expected; i++)
		expected[i] = payload_fill(i);
	torn = check_file();
	qsort(latencies, latency_count, sizeof *latencies, compare);
	printf("{\"records\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"missing\": %" PRIu64
	       ", \"disorder\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"corrupt\": %" PRIu64
	       ", \"torn\": %zu, \"last_sent_ns\": %" PRIu64 ", \"error\": \"%s\"",
	       progress->records, progress->bytes, report.missing, report.disorder, report.foreign,
	       report.corrupt, torn, report.last_sent_ns, report.error != NULL ? report.error : "");
	printf(", \"latency_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}}\n", percentile_ms(50),
	       percentile_ms(99), percentile_ms(100));
	return 0;
}
