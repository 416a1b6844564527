/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/*
 * Why there is no packet socket, in words that user and operator can act on.
 *
 * Needs no privilege: this process has the helper's namespaces, mounts and seccomp profile, so what
 * it finds for itself holds for the helper too.
 */
#include "diagnosis.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "base/log.h"
#include "common/cleanup.h"
#include "confinement.h"

#define HELPER_FILE_PATH "/proc/self/fd/5"
#ifndef ENABLED_BY /* how, where this build is installed */
#define ENABLED_BY                                                                         \
	"the operator can set diego.rep.enable_cf_pcap; a lifecycle archive that was cached " \
	"before keeps the old state until it is extracted again, and a plain copy of the "    \
	"file loses it; elsewhere root gives it with make install-cap"
#endif
#define NO_SUCH_SOCKET_TYPE 15 /* the highest that socket(2) takes as a type; nothing has it */

_Static_assert(WRITER_HELPER_FILE_FD == 5, "HELPER_FILE_PATH");

static bool helper_mount_is_nosuid(void)
{
	struct statvfs mount;

	return fstatvfs(WRITER_HELPER_FILE_FD, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0;
}

static bool helper_file_has_capability(void)
{
	struct vfs_ns_cap_data data;
	ssize_t length = getxattr(HELPER_FILE_PATH, "security.capability", &data, sizeof data);

	if (length < 0)
		return errno == EOVERFLOW; /* one that another user namespace gave */
	return (size_t)length >= XATTR_CAPS_SZ_1 &&
	       (data.data[0].permitted & CAP_TO_MASK(CAP_NET_RAW)) != 0;
}

static void cleanup_file(FILE **file)
{
	if (*file != NULL)
		fclose(*file);
}

static bool is_traced(void)
{
	CLEANUP(cleanup_file) FILE *status = fopen("/proc/self/status", "re");
	static const char TRACER[] = "TracerPid:";
	char line[256];

	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		if (strncmp(line, TRACER, sizeof TRACER - 1) == 0)
			return strtol(line + sizeof TRACER - 1, NULL, 10) != 0;
	return false;
}

/* The capability did not arrive in the helper. */
static const char *explain_missing_capability(const struct open_reply *reply)
{
	if (!helper_file_has_capability())
		return "the file cf-pcap has no cap_net_raw: " ENABLED_BY;
	if (reply->no_new_privs)
		return "no_new_privs is set, so files give no capability: the operator can set "
		       "garden.no_new_privileges to false";
	if (helper_mount_is_nosuid())
		return "cf-pcap lies on a mount with the option nosuid, so it gives no capability: the "
		       "operator can mount that folder, and what it was bind-mounted from, without nosuid";
	if (prctl(PR_CAPBSET_READ, CAP_NET_RAW, 0, 0, 0) == 0)
		return "CAP_NET_RAW is missing from this container's bounding set: the operator can add it "
		       "to the capabilities that containers may have";
	if (is_traced())
		return "cf-pcap is being traced (strace, gdb), so it gives no capability: run it without";
	return "this user namespace does not honour the file capability of cf-pcap: the operator can "
	       "give it anew with setcap, as root of the host";
}

/* The owner can be seen only from inside it, ioctl_ns(2). */
static bool network_namespace_is_foreign(void)
{
	CLEANUP(cleanup_fd) int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_fd) int owner = -1;

	if (network < 0)
		return false;
	owner = ioctl(network, NS_GET_USERNS);
	return owner < 0 && errno == EPERM;
}

/* The kernel says EINVAL to this call before it asks for any capability: another answer is seccomp's. */
static bool seccomp_refuses_packet_sockets(void)
{
	CLEANUP(cleanup_fd) int probe = socket(AF_PACKET, NO_SUCH_SOCKET_TYPE, 0);

	return probe < 0 && errno != EINVAL;
}

/* The capability was there, and the kernel refused the socket all the same. */
static const char *explain_refused_socket(const struct open_reply *reply, const char *profile)
{
	if (seccomp_refuses_packet_sockets())
		return "the seccomp profile of this container refuses packet sockets: the operator can allow "
		       "socket(AF_PACKET) in it";
	if (reply->error == EAFNOSUPPORT)
		return "this kernel has no packet sockets";
	if (network_namespace_is_foreign())
		return "this user namespace does not own the network namespace: the operator can give the "
		       "container a network namespace of its own";
	if (reply->error == EACCES && profile[0] != '\0')
		return "AppArmor denies packet sockets: the operator can allow \"network packet\" in the profile";
	if (reply->error == EPERM && profile[0] != '\0')
		return "AppArmor denies the capability: the operator can allow \"capability net_raw\" in the profile";
	if (reply->error == EPERM || reply->error == EACCES)
		return "a security module (AppArmor, SELinux) or a seccomp profile refuses packet sockets: "
		       "the operator can allow them there";
	return "the kernel refused a packet socket";
}

void diagnosis_report_no_socket(const struct open_reply *reply)
{
	char profile[CONFINEMENT_SIZE];

	confinement_profile(profile);
	log_record(LOG_ERROR, "cannot capture packets",
		   LOG_FIELDS(LOG_TEXT("reason", reply->had_capability ? explain_refused_socket(reply, profile) :
									 explain_missing_capability(reply)),
			      LOG_TEXT("error", strerror(reply->error)),
			      LOG_TEXT(profile[0] != '\0' ? "profile" : NULL, profile)));
}
