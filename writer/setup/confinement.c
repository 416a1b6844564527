/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* The AppArmor profile that this process runs under, which what it executes inherits. */
#include "confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "common/cleanup.h"

void confinement_profile(char profile[CONFINEMENT_SIZE])
{
	CLEANUP(cleanup_fd) int file = open("/proc/self/attr/apparmor/current", O_RDONLY | O_CLOEXEC);
	ssize_t length = file >= 0 ? read(file, profile, CONFINEMENT_SIZE - 1) : 0;

	profile[length > 0 ? length : 0] = '\0';
	profile[strcspn(profile, "\n")] = '\0';
	if (strcmp(profile, "unconfined") == 0)
		profile[0] = '\0';
}

void confinement_report(const char *message, const char *rule, int error)
{
	char profile[CONFINEMENT_SIZE];

	confinement_profile(profile);
	if (error == EACCES && profile[0] != '\0')
		log_record(LOG_ERROR, message,
			   LOG_FIELDS(LOG_TEXT("reason", "AppArmor denies it: the operator can allow it in the profile"),
				      LOG_TEXT("profile", profile), LOG_TEXT("rule", rule),
				      LOG_TEXT("error", strerror(error))));
	else
		log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("error", strerror(error))));
}
