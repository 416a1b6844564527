/* Finding the writer, and executing it from an image that its user cannot read. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "protocol.h"

#define WRITER_NAME "cf-pcap-writer"
#ifndef MFD_EXEC /* Linux 6.3, linux/memfd.h */
#define MFD_EXEC 0x0010U
#endif

static const char *failed = "";

const char *image_error(void)
{
	return failed;
}

static int fail(const char *what)
{
	failed = what;
	return -1;
}

/* The kernel's name for the file we are: no argument, variable or working directory has a say. */
static int open_own_folder(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path);
	char *slash;

	if (length <= 0)
		return fail("reading /proc/self/exe (is /proc mounted?)");
	if ((size_t)length == sizeof path) {
		errno = ENAMETOOLONG;
		return fail("reading /proc/self/exe");
	}
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL) {
		errno = ENOENT;
		return fail("finding the folder of cf-pcap");
	}
	slash[slash == path] = '\0';
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * faccessat() asks for the real uid, with groups and ACLs. An owner can chmod, so he counts as
 * able to write, except where the mount is read-only (Garden's lifecycle folder, whose owner
 * has the number of many a container's uid).
 */
static bool user_could_change(int folder, const char *name, const struct stat *status)
{
	struct statvfs mount;
	bool read_only = fstatvfs(folder, &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0;

	return faccessat(folder, name, W_OK, 0) == 0 || (status->st_uid == getuid() && !read_only);
}

/* Folder first: once it is known to be his to read only, names in it do not change under us. */
static int check_unchangeable(int folder)
{
	struct stat status;

	errno = EPERM;
	if (fstat(folder, &status) != 0 || user_could_change(folder, ".", &status))
		return fail("the folder of cf-pcap-writer can be changed by this user");
	if (fstatat(folder, WRITER_NAME, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return fail("finding " WRITER_NAME " beside cf-pcap");
	errno = EPERM;
	if (!S_ISREG(status.st_mode))
		return fail(WRITER_NAME " is not a regular file");
	if (user_could_change(folder, WRITER_NAME, &status))
		return fail(WRITER_NAME " can be changed by this user");
	return 0;
}

static int create_image(void)
{
	int image = memfd_create("cf-pcap", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (image < 0 && errno == EINVAL) /* before Linux 6.3: executable without asking */
		image = memfd_create("cf-pcap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (image < 0 && errno == EACCES)
		return fail("vm.memfd_noexec forbids it: the operator can install " WRITER_NAME
			    " with mode 0711 instead");
	return image < 0 ? fail("memfd_create") : image;
}

static int copy_image(int image, int file)
{
	ssize_t copied;

	do
		copied = sendfile(image, file, NULL, INT_MAX);
	while (copied > 0);
	if (copied < 0)
		return fail("copying " WRITER_NAME);
	return 0;
}

/*
 * Mode 0111 is what counts: the kernel keeps a process non-dumpable across exec of a file that
 * it may not read (would_dump() in fs/exec.c). The seals keep the copy what it is.
 */
static int seal_image(int image)
{
	if (fchmod(image, 0111) != 0 ||
	    fcntl(image, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		return fail("sealing the copy of " WRITER_NAME);
	return 0;
}

static int open_unreadable_image(int folder)
{
	CLEANUP(cleanup_fd) int file =
		openat(folder, WRITER_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int image;

	if (file < 0 && errno == EACCES) /* unreadable as it is installed */
		return openat(folder, WRITER_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return fail("opening " WRITER_NAME " beside cf-pcap");
	image = create_image();
	if (image >= 0 && (copy_image(image, file) != 0 || seal_image(image) != 0)) {
		close(image);
		return -1;
	}
	return image;
}

/* What the writer reads, and the zone its clock shows. Nothing that libc would act upon. */
static char **writer_environment(void)
{
	static const char *const ALLOWED[] = { "CF_INSTANCE_PORTS=", "SSH_CONNECTION=", "TZ=" };
	static char *kept[sizeof ALLOWED / sizeof *ALLOWED + 1];

	for (size_t i = 0, n = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++)
		for (char **entry = environ; *entry != NULL; entry++)
			if (strncmp(*entry, ALLOWED[i], strlen(ALLOWED[i])) == 0) {
				kept[n++] = *entry;
				break;
			}
	return kept;
}

void image_exec_writer(int argc, char **argv, bool protect)
{
	char *no_arguments[] = { "cf-pcap", NULL };
	CLEANUP(cleanup_fd) int folder = -1;
	CLEANUP(cleanup_fd) int image = -1;

	/* For the writer, to say why a capability is missing. O_PATH: it gives no access. */
	if (open("/proc/self/exe", O_PATH) != WRITER_HELPER_FILE_FD) {
		fail("opening /proc/self/exe (is /proc mounted?)");
		return;
	}
	folder = open_own_folder();
	if (folder < 0 || (protect && check_unchangeable(folder) != 0))
		return;
	image = open_unreadable_image(folder);
	if (image < 0)
		return;
	execveat(image, "", argc > 0 ? argv : no_arguments, writer_environment(), AT_EMPTY_PATH);
	fail("executing " WRITER_NAME);
}
