/* writer/capture/capture.c: what is queued while the reader stalls, to each of the queue's limits. */
#include "writer/capture/capture.c"

#include <fcntl.h>
#include <stdlib.h>

#include "output/record.h"
#include "scratch.h"

#define BLOCK_SIZE (64u << 10)
#define BLOCKS 32
#define PACKETS 200 /* in a block: 200 of them fill less than half of it */
#define STRIDE 160
#define DATA_OFFSET 96
#define BEFORE 11  /* blocks, before the queue's limit is set, */
#define BEHIND 9   /* and after that; each more than the quarter of the ring that begins the queueing */

/* Records of 17 bytes, the smallest there are, to 72. */
static const struct kind {
	enum file_format format;
	enum link_type link_type;
	uint32_t size; /* of each packet */
} KINDS[] = {
	{ FORMAT_PCAP, LINK_TYPE_RAW, 1 },	    { FORMAT_PCAP, LINK_TYPE_RAW, 47 },
	{ FORMAT_PCAP, LINK_TYPE_RAW, 48 },	    { FORMAT_PCAP, LINK_TYPE_RAW, 49 },
	{ FORMAT_PCAP, LINK_TYPE_ETHERNET, 24 },    { FORMAT_PCAP, LINK_TYPE_LINUX_SLL2, 1 },
	{ FORMAT_PCAP, LINK_TYPE_LINUX_SLL2, 28 },  { FORMAT_PCAPNG, LINK_TYPE_RAW, 1 },
	{ FORMAT_PCAPNG, LINK_TYPE_ETHERNET, 40 },  { FORMAT_PCAPNG, LINK_TYPE_LINUX_SLL2, 3 },
};

enum limit { LIMIT_RECORDS, LIMIT_BYTES, LIMIT_VECTORS };

static const struct kind *kind;
static enum limit limit;
static long delta; /* from what one block more needs */
static struct output output;
static struct capture capture;
static struct run run;

static uint8_t *block_at_index(unsigned int index)
{
	return run.ring.blocks + (size_t)index * BLOCK_SIZE;
}

static void fill_block(uint8_t *block)
{
	struct tpacket_hdr_v1 *header = &((struct tpacket_block_desc *)(void *)block)->hdr.bh1;

	header->num_pkts = PACKETS;
	header->offset_to_first_pkt = sizeof(struct tpacket_block_desc);
	header->blk_len = header->offset_to_first_pkt + PACKETS * STRIDE;
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint8_t *at = block + header->offset_to_first_pkt + (size_t)i * STRIDE;
		*(struct tpacket3_hdr *)(void *)at = (struct tpacket3_hdr){ .tp_next_offset = STRIDE,
									    .tp_sec = 1700000000,
									    .tp_snaplen = kind->size,
									    .tp_len = kind->size,
									    .tp_mac = DATA_OFFSET };
		memset(at + DATA_OFFSET, (int)i, kind->size);
	}
	header->block_status = TP_STATUS_USER;
}

static void begin(void)
{
	CHECK(output_open(&output, OUTPUT_QUEUE_LEAST, PIPE_ROOM_WANTED) == NULL);
	capture = (struct capture){ .output = &output,
				    .format = { .kind = kind->format,
						.snaplen = 262144,
						.link_type = kind->link_type } };
	run = (struct run){ .capture = &capture,
			    .output = &output,
			    .intake = { .capture = &capture, .presence = &run.presence },
			    .socket = { .gone = true }, /* nobody to ask */
			    .drops = { .socket = &run.socket },
			    .ring = { .block_size = BLOCK_SIZE, .block_count = BLOCKS } };
	run.ring.blocks = aligned_alloc(4096, (size_t)BLOCKS * BLOCK_SIZE);
	CHECK(run.ring.blocks != NULL);
	memset(run.ring.blocks, 0, (size_t)BLOCKS * BLOCK_SIZE);
}

/* As the kernel hands blocks over. */
static void hand_over(unsigned int blocks)
{
	for (unsigned int i = 0; i < blocks; i++)
		fill_block(block_at_index((run.ring.next + i) % BLOCKS));
}

/* What the queue may hold: all that it holds now and a block more, give or take `delta`. */
static void set_limit(void)
{
	struct ring_cursor cursor;
	struct output_space need;

	CHECK(ring_open_block(&run.ring, block_at_index(run.ring.next), &cursor) == 0);
	need = record_space(cursor.remaining, cursor.bytes, true);
	CHECK(output_detach(&output));
	if (limit == LIMIT_RECORDS)
		output.most.records = output.record_count + need.records + (size_t)delta;
	else if (limit == LIMIT_BYTES)
		output.most.bytes = output.copied + need.bytes + (size_t)delta;
	else
		output.most.vectors = output.vector_count + need.vectors + 1 + (size_t)delta;
}

/* Blocks of copies are one vector, however many they are. */
static unsigned int expected_blocks(void)
{
	if (delta < 0)
		return 0;
	return limit == LIMIT_VECTORS ? BEHIND : 1;
}

static void stall(void)
{
	const struct output_space most = (begin(), output.most);
	unsigned int next;

	hand_over(BEFORE);
	queue_blocks(&run);
	CHECK(run.ring.next == BEFORE && run.intake.packets == BEFORE * PACKETS);
	hand_over(BEHIND);
	set_limit();
	next = run.ring.next;
	queue_blocks(&run);
	CHECK(run.ring.next - next == expected_blocks() && run.ending == RUNNING && run.result == OUTPUT_OK);
	output.most = most;
	drain(&run); /* the reader takes everything */
	CHECK(run.ending == RUNNING && run.result == OUTPUT_OK);
	CHECK(run.intake.packets == (BEFORE + BEHIND) * PACKETS);
}

static uint32_t cooked_length(void)
{
	return kind->link_type == LINK_TYPE_LINUX_SLL2 ? 20 : 0;
}

/* Of a record, in front of the packet's own bytes. */
static size_t head_length(void)
{
	return (kind->format == FORMAT_PCAP ? 16u : 28u) + cooked_length();
}

/* All of them, in their order. */
static void assert_all_arrive(int fd)
{
	static uint8_t content[1u << 20];
	const struct format format = { .kind = kind->format };
	const size_t record = format_record_length(&format, cooked_length() + kind->size);
	size_t length = 0;
	ssize_t count;

	while ((count = read(fd, content + length, sizeof content - length)) > 0)
		length += (size_t)count;
	assert_int_equal(length, record * (BEFORE + BEHIND) * PACKETS);
	for (size_t i = 0; i < (BEFORE + BEHIND) * PACKETS; i++)
		assert_int_equal(content[i * record + head_length()], i % PACKETS);
}

static void play(void)
{
	int pipes[2];
	pid_t child;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	child = scratch_start_child(pipes[1], stall);
	assert_all_arrive(pipes[0]);
	close(pipes[0]);
	scratch_assert_content(child);
}

static void play_all(enum limit which)
{
	limit = which;
	for (size_t i = 0; i < COUNT_OF(KINDS); i++)
		for (delta = -1; delta <= 1; delta++) {
			kind = &KINDS[i];
			play();
		}
}

static void a_queue_is_filled_to_its_number_of_records(void **state)
{
	(void)state;
	play_all(LIMIT_RECORDS);
}

static void a_queue_is_filled_to_its_number_of_bytes(void **state)
{
	(void)state;
	play_all(LIMIT_BYTES);
}

static void a_queue_is_filled_to_its_number_of_vectors(void **state)
{
	(void)state;
	play_all(LIMIT_VECTORS);
}

static void open_inconsistent_block(void)
{
	struct ring_cursor cursor;

	begin();
	hand_over(1);
	((struct tpacket_block_desc *)(void *)block_at_index(0))->hdr.bh1.num_pkts = UINT32_MAX;
	CHECK(!next_block(&run, 0, &cursor) && run.ending == ENDING_RING_CORRUPT);
}

static void only_a_ring_that_is_inconsistent_is_called_so(void **state)
{
	(void)state;
	kind = &KINDS[0];
	scratch_in_child(open("/dev/null", O_WRONLY | O_CLOEXEC), open_inconsistent_block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_is_filled_to_its_number_of_records),
		cmocka_unit_test(a_queue_is_filled_to_its_number_of_bytes),
		cmocka_unit_test(a_queue_is_filled_to_its_number_of_vectors),
		cmocka_unit_test(only_a_ring_that_is_inconsistent_is_called_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
