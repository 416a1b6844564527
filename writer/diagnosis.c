/* Why there is no packet socket, in words that user and operator can act on. */
#include "diagnosis.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "cleanup.h"
#include "log.h"

#define HELPER_FILE_PATH "/proc/self/fd/4"

_Static_assert(WRITER_HELPER_FILE_FD == 4, "HELPER_FILE_PATH");

static bool helper_mount_is_nosuid(void)
{
	struct statvfs mount;

	return fstatvfs(WRITER_HELPER_FILE_FD, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0;
}

static bool helper_file_has_capability(void)
{
	struct vfs_ns_cap_data data;

	return getxattr(HELPER_FILE_PATH, "security.capability", &data, sizeof data) > 0;
}

static void cleanup_file(FILE **file)
{
	if (*file != NULL)
		fclose(*file);
}

static bool is_traced(void)
{
	CLEANUP(cleanup_file) FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	int tracer = 0;

	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	return tracer != 0;
}

/* The capability did not arrive in the helper. */
static const char *explain_missing_capability(const struct open_reply *reply)
{
	if (!helper_file_has_capability())
		return "the file cf-pcap has no cap_net_raw: the operator can set diego.rep.enable_cf_pcap; "
		       "a lifecycle archive that was cached before keeps the old state until it is "
		       "extracted again, and a plain copy of the file loses it";
	if (reply->no_new_privs)
		return "no_new_privs is set, so files give no capability: the operator can set "
		       "garden.no_new_privileges to false";
	if (helper_mount_is_nosuid())
		return "cf-pcap lies on a mount with the option nosuid, so it gives no capability";
	if (prctl(PR_CAPBSET_READ, CAP_NET_RAW, 0, 0, 0) == 0)
		return "CAP_NET_RAW is missing from this container's bounding set";
	if (is_traced())
		return "cf-pcap is being traced (strace, gdb), so it gives no capability: run it without";
	return "this user namespace does not honour the file capability of cf-pcap";
}

/* The capability was there, and the kernel refused the socket all the same. */
static const char *explain_refused_socket(const struct open_reply *reply)
{
	if (reply->error == EPERM || reply->error == EACCES)
		return "this user namespace does not own the network namespace, or a seccomp profile or "
		       "security module refuses packet sockets";
	if (reply->error == EAFNOSUPPORT)
		return "this kernel has no packet sockets";
	return "the kernel refused a packet socket";
}

void diagnosis_report_no_socket(const struct open_reply *reply)
{
	log_record(LOG_ERROR, "cannot capture packets",
		   LOG_FIELDS(LOG_TEXT("reason", reply->had_capability ? explain_refused_socket(reply) :
									 explain_missing_capability(reply)),
			      LOG_TEXT("error", strerror(reply->error))));
}
