/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* Where Wireshark looks for extcaps of a user's own. */
#include "install.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define NAME "cf-pcap-collect"
#define FOLDER_MODE 0700

/* Of the user's home, for each version: get_persconffile_path() and, since 4.2, the prefix ~/.local. */
static const struct {
	const char *folder, *versions;
} PLACES[] = {
	{ ".config/wireshark/extcap", "Wireshark 4.0 and older" },
	{ ".local/lib/wireshark/extcap", "Wireshark 4.2 and newer" },
};

static int fail(const char *message, const char *file, const char *reason)
{
	log_record(LOG_ERROR, message, LOG_FIELDS(LOG_TEXT("file", file), LOG_TEXT("reason", reason)));
	return -1;
}

static bool is_program_in(const char *folder, size_t length, const char *program, char own[PATH_MAX])
{
	return snprintf(own, PATH_MAX, "%.*s/%s", (int)length, folder, program) < PATH_MAX && access(own, X_OK) == 0;
}

/* The program's own file: argv[0], looked for as a shell does it. */
static int find_itself(const char *program, char own[PATH_MAX])
{
	const char *at = getenv("PATH");
	char here[PATH_MAX];

	if (*program == '/' && is_program_in("", 0, program + 1, own))
		return 0;
	if (strchr(program, '/') != NULL && getcwd(here, sizeof here) != NULL &&
	    is_program_in(here, strlen(here), program, own))
		return 0;
	for (size_t length; at != NULL && *at != '\0' && strchr(program, '/') == NULL; at += length + (at[length] == ':')) {
		length = strcspn(at, ":");
		if (*at == '/' && is_program_in(at, length, program, own))
			return 0;
	}
	return fail("the program was not found", program, "it is not in PATH");
}

/* Makes each folder on the way to the last. */
static int make_folders(char *path)
{
	for (char *at = strchr(path + 1, '/');; at = strchr(at + 1, '/')) {
		if (at != NULL)
			*at = '\0';
		if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
			return fail("cannot make the folder", path, strerror(errno));
		if (at == NULL)
			return 0;
		*at = '/';
	}
}

static int put_link(const char *path, const char *own)
{
	struct stat status;

	if (lstat(path, &status) == 0 && !S_ISLNK(status.st_mode))
		return fail("something else is there already", path, "it is no link");
	if ((unlink(path) != 0 && errno != ENOENT) || symlink(own, path) != 0)
		return fail("cannot make the link", path, strerror(errno));
	return 0;
}

int install_extcap(const char *program)
{
	const char *home = getenv("HOME");
	char own[PATH_MAX], folder[PATH_MAX], link[PATH_MAX];

	if (home == NULL || *home != '/')
		return fail("your home is not known", "HOME", "it is not set");
	if (find_itself(program, own) != 0)
		return -1;
	for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
		if (snprintf(folder, sizeof folder, "%s/%s", home, PLACES[i].folder) >= PATH_MAX ||
		    snprintf(link, sizeof link, "%s/%s", folder, NAME) >= PATH_MAX)
			return fail("a name that is too long", home, "");
		if (make_folders(folder) != 0 || put_link(link, own) != 0)
			return -1;
		printf("%s: %s\n", PLACES[i].versions, link);
	}
	return fflush(stdout) == 0 ? 0 : fail("cannot write to stdout", "stdout", strerror(errno));
}
