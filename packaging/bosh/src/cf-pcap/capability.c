#include "capability.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

const struct vfs_cap_data NET_RAW = {
	.magic_etc = VFS_CAP_REVISION_2,
	.data = { { .permitted = 1u << CAP_NET_RAW } },
};

/* The attribute, all zero if there is none. Returns its length, 0, or -1. */
static ssize_t read_capability(int file, struct vfs_ns_cap_data *capability)
{
	char path[FD_PATH_SIZE];
	ssize_t length;

	memset(capability, 0, sizeof *capability);
	length = getxattr(fd_path(path, file), CAPABILITY, capability, sizeof *capability);
	return length < 0 && (errno == ENODATA || errno == EOPNOTSUPP) ? 0 : length;
}

bool is_as_wanted(int file, const struct stat *status)
{
	struct vfs_ns_cap_data capability;

	return status->st_uid == 0 && status->st_gid == 0 && (status->st_mode & 07777) == 0755 &&
	       read_capability(file, &capability) == sizeof NET_RAW &&
	       memcmp(&capability, &NET_RAW, sizeof NET_RAW) == 0;
}

static bool is_ours(const char *name, const struct vfs_ns_cap_data *capability)
{
	uint32_t low = capability->data[0].permitted | capability->data[0].inheritable;
	uint32_t high = capability->data[1].permitted | capability->data[1].inheritable;

	return strcmp(name, HELPER) == 0 || (low == 1u << CAP_NET_RAW && high == 0);
}

/*
 * An inode with another name may lie elsewhere too, and be another's: then this name goes and the
 * inode stays as it is, until a pass finds it with one name only.
 */
void remove_capability(struct cell *cell, const struct folder *folder, const char *name, int file,
		       const struct stat *status)
{
	char path[FD_PATH_SIZE];
	struct vfs_ns_cap_data capability;
	ssize_t length = read_capability(file, &capability);

	if (length == 0 || (length > 0 && !is_ours(name, &capability)))
		return;
	if (length < 0)
		report_failure(cell, folder, name, "reading the capability");
	else if (status->st_nlink > 1 && unlinkat(folder->fd, name, 0) == 0)
		report_change(cell, folder, name, "removed, a hard link to a file with a capability");
	else if (status->st_nlink == 1 && removexattr(fd_path(path, file), CAPABILITY) == 0)
		report_change(cell, folder, name, "capability removed");
	else
		report_failure(cell, folder, name, "removing the capability");
}
