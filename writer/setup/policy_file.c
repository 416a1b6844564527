/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The file of the operator's policy: beside the program, where the user cannot have changed it. */
#include "policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "common/cleanup.h"
#include "common/privilege.h"

#define FD_PATH_SIZE 32
#ifndef POLICY_FOLDER
#define POLICY_FOLDER "" /* beside the program; a package may keep settings elsewhere than programs, make POLICY_FOLDER=/etc */
#endif

/* /proc is the kernel's: the helper looked, image_exec_writer(). */
static const char *fd_path(char path[FD_PATH_SIZE], int fd)
{
	snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}

/* The kernel's name for the file we are: no argument, variable or working directory has a say. */
static int open_own_folder(void)
{
	char path[PATH_MAX], link[FD_PATH_SIZE];
	ssize_t length = readlink(fd_path(link, WRITER_HELPER_FILE_FD), path, sizeof path);
	struct stat self, there;
	char *slash;
	int folder;

	if (length <= 0 || length == sizeof path || path[0] != '/')
		return -1;
	path[length] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	folder = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The user may own a folder on the way and swap what is below it: is this where we are? */
	if (folder >= 0 && fstat(WRITER_HELPER_FILE_FD, &self) == 0 &&
	    fstatat(folder, slash + 1, &there, AT_SYMLINK_NOFOLLOW) == 0 && self.st_dev == there.st_dev &&
	    self.st_ino == there.st_ino)
		return folder;
	if (folder >= 0)
		close(folder);
	return -1;
}

static int open_folder(void)
{
	return POLICY_FOLDER[0] != '\0' ? open(POLICY_FOLDER, O_PATH | O_DIRECTORY | O_CLOEXEC) : open_own_folder();
}

/*
 * access() asks for the real uid, with groups and ACLs. An owner can chmod, so he counts as able to write,
 * except where the mount is read-only (Garden's lifecycle folder, whose owner has the number of many a
 * container's uid). Where the capability is none of the file's there is nothing to be had by it.
 */
static bool could_be_changed(int fd)
{
	char path[FD_PATH_SIZE];
	struct statvfs mount;
	struct stat status;

	if (!privilege_is_the_files())
		return false;
	if (fstatvfs(fd, &mount) != 0 || fstat(fd, &status) != 0 || access(fd_path(path, fd), W_OK) == 0 ||
	    (errno != EACCES && errno != EPERM && errno != EROFS))
		return true;
	return status.st_uid == getuid() && (mount.f_flag & ST_RDONLY) == 0;
}

static int refuse(const char *reason, const char *text)
{
	return policy_report(&(struct policy_fault){ .reason = reason, .text = text });
}

static int read_file(struct policy *policy, int file)
{
	struct policy_fault fault;
	struct stat status;
	size_t length = 0;
	ssize_t part;

	if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
		return refuse("it is no regular file", "");
	if (could_be_changed(file))
		return refuse("it could have been changed by this user (root has to install it)", "");
	do {
		part = read(file, policy->text + length, sizeof policy->text - length);
		if (part < 0)
			return refuse("it cannot be read", strerror(errno));
		length += (size_t)part;
	} while (part > 0 && length < sizeof policy->text);
	if (length > POLICY_BYTES)
		return refuse("it is longer than 4096 bytes", "");
	return policy_parse(policy, length, &fault) == 0 ? 0 : policy_report(&fault);
}

int policy_read(struct policy *policy)
{
	CLEANUP(cleanup_fd) int folder = open_folder();
	CLEANUP(cleanup_fd) int file = -1;

	memset(policy, 0, sizeof *policy);
	if (folder < 0) {
		log_record(LOG_ERROR, "cannot find the folder of cf-pcap",
			   LOG_FIELDS(LOG_TEXT("reason", "it was moved as it started, or has a path of more than 4095 bytes")));
		return -1;
	}
	if (could_be_changed(folder)) {
		log_record(LOG_ERROR, "the folder of cf-pcap could have been changed by this user (root has to install it)",
			   LOG_NO_FIELDS);
		return -1;
	}
	/* A link leads out of the folder; what is no file must not hold us up, nor become our terminal. */
	file = openat(folder, POLICY_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file >= 0)
		return read_file(policy, file);
	if (errno == ENOENT)
		return 0;
	return errno == ELOOP ? refuse("it is no regular file", "a symbolic link") : refuse("it cannot be read", strerror(errno));
}
