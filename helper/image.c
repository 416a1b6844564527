/* helper: what runs with the capability. */
/* The writer, carried inside this file: executed from a copy that its user cannot read. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/privilege.h"
#include "common/protocol.h"

#define MEMFD_EXECUTABLE 0x0010U /* MFD_EXEC, Linux 6.3 */

/* The build's cf-pcap-writer, byte for byte: WRITER_IMAGE is its path, from the Makefile. */
extern const char writer_image[];
extern const size_t writer_image_size;
__asm__(".pushsection .rodata\n"
	".globl writer_image, writer_image_size\n"
	"writer_image: .incbin \"" WRITER_IMAGE "\"\n"
	"0: .balign 8\n"
	"writer_image_size: .quad 0b - writer_image\n"
	".popsection\n");

static int create_image(void)
{
	int image = memfd_create("cf-pcap", MFD_CLOEXEC | MFD_ALLOW_SEALING | MEMFD_EXECUTABLE);

	if (image < 0 && errno == EINVAL) /* before Linux 6.3: executable without asking */
		image = memfd_create("cf-pcap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (image < 0)
		die(errno != EACCES ? "cannot create a memfd" :
		    "vm.memfd_noexec is 2, so no copy in memory can be executed (operator: set it to 0 or 1)");
	return image;
}

/* A limit of file sizes counts for memory files too. */
static _Noreturn void die_of_copy(void)
{
	char what[128];

	snprintf(what, sizeof what, "cannot copy the writer: it takes %zu bytes%s",
		 writer_image_size, errno == EFBIG ? ", see ulimit -f" : "");
	die(what);
}

/*
 * Mode 0111, not to be readable: a process that executes a file which it may not read is non-dumpable from the
 * start (would_dump() in fs/exec.c). The seals prevent that the copy is changed.
 */
static int unreadable_image(void)
{
	int image = create_image();

	for (size_t copied = 0; copied < writer_image_size;) {
		ssize_t now = write(image, writer_image + copied, writer_image_size - copied);
		if (now <= 0)
			die_of_copy();
		copied += (size_t)now;
	}
	if (fchmod(image, 0111) != 0 ||
	    fcntl(image, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		die("cannot seal the writer's copy");
	return image;
}

/* The writer makes its guard from these. No variable that changes what libc does is among them. */
static char **writer_environment(void)
{
	static const char *const ALLOWED[] = { "CF_INSTANCE_PORTS=", "SSH_CONNECTION=" };
	static char *kept[sizeof ALLOWED / sizeof *ALLOWED + 1];

	for (size_t i = 0, n = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++)
		for (char **entry = environ; *entry != NULL; entry++)
			if (strncmp(*entry, ALLOWED[i], strlen(ALLOWED[i])) == 0) {
				kept[n++] = *entry;
				break;
			}
	return kept;
}

_Noreturn void image_exec_writer(int argc, char **argv, const struct start_state *state)
{
	char *no_arguments[] = { "cf-pcap", NULL };
	struct statfs proc;
	int image;

	/*
	 * Without the kernel's /proc the user could make one, in which exe is another file. The writer
	 * looks for the policy beside this file, and here for the reason when a capability is missing.
	 * O_PATH: the descriptor can neither read nor write.
	 */
	errno = ENOENT;
	if (statfs("/proc/self", &proc) != 0 || proc.f_type != PROC_SUPER_MAGIC ||
	    open("/proc/self/exe", O_PATH) != WRITER_HELPER_FILE_FD)
		die("cannot open /proc/self/exe (is /proc mounted?)");
	image = unreadable_image();
	/* The writer holds the packet socket for a moment: the shield has to be there from its first instruction. */
	if (state->had_capability ? privilege_shield_exec() != 0 : privilege_drop_all() != 0)
		die("cannot lower privileges (do securebits forbid ambient capabilities?)");
	execveat(image, "", argc > 0 ? argv : no_arguments, writer_environment(), AT_EMPTY_PATH);
	die("cannot execute the writer's copy in memory (is there a /dev/fd, and attach_disconnected in AppArmor's profile?)");
}
