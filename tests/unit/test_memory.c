/* writer/setup/memory.c: what is free in a container, in folders as cgroups(7) shows them. */
#include "writer/setup/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output/output.h"
#include "scratch.h"

#define MIB ((uint64_t)1 << 20)

static char root[] = "/tmp/cf-pcap-memory.XXXXXX";
static char list[64];

/* A file below the root, folders and all. */
static void put(const char *name, const char *content)
{
	char path[256];
	int file;

	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *slash = strchr(path + sizeof root, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(file >= 0);
	assert_int_equal(write(file, content, strlen(content)), strlen(content));
	close(file);
}

static int begin(void **state)
{
	(void)state;
	memset(root + sizeof root - 7, 'X', 6);
	assert_non_null(mkdtemp(root));
	snprintf(list, sizeof list, "%s/list", root);
	return 0;
}

static int finish(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command); /* NOLINT(cert-env33-c): a folder of our own */
}

static void a_container_of_version_2_sees_itself_as_the_root(void **state)
{
	(void)state;
	put("list", "0::/\n");
	put("memory.max", "83886080\n");
	put("memory.current", "65011712\n");
	assert_int_equal(memory_free(list, root), 18 * MIB);
	put("memory.stat", "anon 1\ninactive_file 1048576\nactive_file 7\n");
	assert_int_equal(memory_free(list, root), 19 * MIB);
	put("memory.high", "67108864\n");
	assert_int_equal(memory_free(list, root), 3 * MIB);
	put("memory.current", "99999999999\n");
	assert_int_equal(memory_free(list, root), 0);
}

static void the_smallest_on_the_way_to_the_root_counts(void **state)
{
	(void)state;
	put("list", "0::/a/b/c\n");
	put("a/memory.max", "31457280\n");
	put("a/memory.current", "10485760\n");
	put("a/b/memory.max", "max\n");
	put("a/b/memory.current", "0\n");
	put("a/b/c/memory.max", "52428800\n");
	put("a/b/c/memory.current", "1048576\n");
	assert_int_equal(memory_free(list, root), 20 * MIB);
	put("a/b/c/memory.max", "2097152\n");
	assert_int_equal(memory_free(list, root), 1 * MIB);
}

static void version_1_is_found_among_the_controllers(void **state)
{
	(void)state;
	put("list", "12:cpu,cpuacct:/x\n4:hugetlb,memory:/garden/one\n0::/y\n");
	put("memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("memory/memory.usage_in_bytes", "1048576\n");
	assert_true(memory_free(list, root) > (uint64_t)1 << 60);
	put("memory/garden/one/memory.limit_in_bytes", "83886080\n");
	put("memory/garden/one/memory.usage_in_bytes", "62914560\n");
	put("memory/garden/one/memory.stat", "inactive_file 5\ntotal_inactive_file 2097152\n");
	assert_int_equal(memory_free(list, root), 22 * MIB);
	put("list", "4:memory:/not/to/be/seen\n");
	put("memory/memory.limit_in_bytes", "5242880\n"); /* the container's, mounted as the root */
	assert_int_equal(memory_free(list, root), 4 * MIB);
}

static void what_makes_no_sense_is_no_limit(void **state)
{
	static const char *const LISTS[] = { "", "\n", "0", "0:", "0::", "0::x", ":::::", "4:memoryx:/", "4:xmemory:/",
					     "memory", "0:cpu:/", "\xff\xff" };
	static const char *const LIMITS[] = { "", "max", "-1", " 5", "5x", "0x10", "99999999999999999999999", "\n", "5 6" };

	(void)state;
	put("memory.max", "1048576\n");
	put("memory.current", "0\n");
	put("memory/memory.limit_in_bytes", "1048576\n");
	put("memory/memory.usage_in_bytes", "0\n");
	for (size_t i = 0; i < COUNT_OF(LISTS); i++) {
		put("list", LISTS[i]);
		assert_true(memory_free(list, root) == UINT64_MAX);
	}
	assert_true(memory_free("/nonexistent", root) == UINT64_MAX);
	put("list", "0::/\n");
	assert_int_equal(memory_free(list, root), MIB);
	for (size_t i = 0; i < COUNT_OF(LIMITS); i++) {
		put("memory.max", LIMITS[i]);
		assert_true(memory_free(list, root) == UINT64_MAX);
	}
}

static void a_path_out_of_the_tree_is_its_root(void **state)
{
	static char path[8000];

	(void)state;
	put("memory.max", "1048576\n");
	put("memory.current", "0\n");
	put("list", "0::/../../elsewhere\n");
	assert_int_equal(memory_free(list, root), MIB);
	snprintf(path, sizeof path, "0::%0*d", (int)sizeof path - 4, 0);
	memset(path + 3, '/', sizeof path - 4);
	put("list", path);
	assert_int_equal(memory_free(list, root), MIB);
}

static void a_file_that_never_ends_or_is_none_is_no_limit(void **state)
{
	static char large[20000];
	char path[128];

	(void)state;
	memset(large, '1', sizeof large - 1);
	put("list", "0::/\n");
	put("memory.max", large);
	put("memory.current", "0\n");
	assert_true(memory_free(list, root) == UINT64_MAX);
	snprintf(path, sizeof path, "%s/memory.max", root);
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_true(memory_free(list, root) == UINT64_MAX);
}

static void queue_and_pipe_are_a_quarter_at_most(void **state)
{
	struct memory_share share = memory_share(UINT64_MAX);

	(void)state;
	assert_int_equal(share.queue_bytes, OUTPUT_QUEUE_BYTES);
	assert_int_equal(share.pipe_bytes, PIPE_ROOM_WANTED);
	for (uint64_t free = 0; free < 200 * MIB; free += MIB / 16) {
		share = memory_share(free);
		assert_true(share.queue_bytes >= OUTPUT_QUEUE_LEAST && share.queue_bytes <= OUTPUT_QUEUE_BYTES);
		assert_true(share.pipe_bytes >= 65536 && (share.pipe_bytes & (share.pipe_bytes - 1)) == 0);
		if (share.queue_bytes > OUTPUT_QUEUE_LEAST)
			assert_true(share.queue_bytes + share.queue_bytes / 8 + share.pipe_bytes <= free / 4);
	}
	assert_int_equal(memory_share(0).queue_bytes, OUTPUT_QUEUE_LEAST);
	assert_int_equal(memory_share(0).pipe_bytes, 65536);
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY_TEST(a_container_of_version_2_sees_itself_as_the_root),
		MEMORY_TEST(the_smallest_on_the_way_to_the_root_counts),
		MEMORY_TEST(version_1_is_found_among_the_controllers),
		MEMORY_TEST(what_makes_no_sense_is_no_limit),
		MEMORY_TEST(a_path_out_of_the_tree_is_its_root),
		MEMORY_TEST(a_file_that_never_ends_or_is_none_is_no_limit),
		MEMORY_TEST(queue_and_pipe_are_a_quarter_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
