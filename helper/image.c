/* helper: what runs with the capability. */
/* Finding the writer, and executing it from an image that its user cannot read. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/protocol.h"
#include "start.h"

#define WRITER_NAME "cf-pcap-writer"
#define MEMFD_EXECUTABLE 0x0010U /* MFD_EXEC, Linux 6.3 */

/* The kernel's name for the file we are: no argument, variable or working directory has a say. */
static int open_own_folder(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path);
	struct stat self, there;
	char *slash;
	int folder;

	if (length <= 0 || length == sizeof path || path[0] != '/')
		die("cannot read /proc/self/exe (is /proc mounted?)");
	path[length] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	errno = EPERM;
	folder = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The user may own a folder on the way and swap what is below it: is this where we are? */
	if (folder < 0 || fstat(WRITER_HELPER_FILE_FD, &self) != 0 ||
	    fstatat(folder, slash + 1, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
	    self.st_dev != there.st_dev || self.st_ino != there.st_ino)
		die("cannot find the folder of cf-pcap");
	return folder;
}

/*
 * faccessat() asks for the real uid, with groups and ACLs. An owner can chmod, so he counts as
 * able to write, except where the mount is read-only (Garden's lifecycle folder, whose owner
 * has the number of many a container's uid).
 */
static bool user_could_change(int folder, const char *name)
{
	struct statvfs mount;
	struct stat status;

	if (fstatvfs(folder, &mount) != 0 || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		die("cannot examine " WRITER_NAME " beside cf-pcap");
	return faccessat(folder, name, W_OK, 0) == 0 ||
	       (status.st_uid == getuid() && (mount.f_flag & ST_RDONLY) == 0);
}

/* Folder first: once it is known to be his to read only, names in it do not change under us. */
static void check_unchangeable(int folder)
{
	bool changeable = user_could_change(folder, ".") || user_could_change(folder, WRITER_NAME);

	errno = EPERM;
	if (changeable)
		die(WRITER_NAME " or its folder could have been changed by this user (root has to install them)");
}

static int create_image(void)
{
	int image = memfd_create("cf-pcap", MFD_CLOEXEC | MFD_ALLOW_SEALING | MEMFD_EXECUTABLE);

	if (image < 0 && errno == EINVAL) /* before Linux 6.3: executable without asking */
		image = memfd_create("cf-pcap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (image < 0)
		die(errno != EACCES ? "cannot create a memfd" :
		    "vm.memfd_noexec is set (operator: install " WRITER_NAME " with mode 0711)");
	return image;
}

/*
 * Mode 0111 is what counts: the kernel keeps a process non-dumpable across exec of a file that
 * it may not read (would_dump() in fs/exec.c). The seals keep the copy what it is.
 */
static int copy_unreadable(int file)
{
	int image = create_image();
	ssize_t copied;

	do
		copied = sendfile(image, file, NULL, INT_MAX);
	while (copied > 0);
	if (copied < 0 || fchmod(image, 0111) != 0 ||
	    fcntl(image, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		die("cannot copy " WRITER_NAME);
	return image;
}

static int open_unreadable(int folder)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int file = openat(folder, WRITER_NAME, flags | O_RDONLY);
	bool readable = file >= 0;
	struct stat status;

	if (!readable && errno == EACCES)
		file = openat(folder, WRITER_NAME, flags | O_PATH);
	if (file < 0 || fstat(file, &status) != 0)
		die("cannot open " WRITER_NAME " beside cf-pcap");
	errno = EINVAL;
	if (!S_ISREG(status.st_mode))
		die(WRITER_NAME " is not a regular file");
	return readable ? copy_unreadable(file) : file;
}

/* What the writer reads for its guard. Nothing that libc would act upon. */
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

_Noreturn void image_exec_writer(int argc, char **argv, bool protect)
{
	char *no_arguments[] = { "cf-pcap", NULL };
	struct statfs proc;
	int folder;

	/*
	 * Where there is no /proc the user may have made one, to name another file than ours. The
	 * descriptor is for the writer too, to say why a capability is missing: it gives no access.
	 */
	errno = ENOENT;
	if (statfs("/proc/self", &proc) != 0 || proc.f_type != PROC_SUPER_MAGIC ||
	    open("/proc/self/exe", O_PATH) != WRITER_HELPER_FILE_FD)
		die("cannot open /proc/self/exe (is /proc mounted?)");
	folder = open_own_folder();
	if (protect)
		check_unchangeable(folder);
	execveat(open_unreadable(folder), "", argc > 0 ? argv : no_arguments, writer_environment(),
		 AT_EMPTY_PATH);
	die("cannot execute " WRITER_NAME);
}
