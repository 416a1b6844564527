/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* The command line that Wireshark makes, and what it is as one of ours. */
#include "request.h"

#include <stddef.h>
#include <string.h>

#include "base/flag.h"
#include "collector/desk/flags.h"
#include "collector/desk/words.h"

#define SEPARATORS ", \t"

#define FIELD(name) offsetof(struct extcap_request, name)
#define TEXT(name, field) { name, FLAG_TEXT, FIELD(field), 0, 0, "", NULL }
#define ON(name, field) { name, FLAG_ON, FIELD(field), 0, 0, NULL, NULL }

static const struct flag FLAGS[] = {
	ON("extcap-interfaces", interfaces),
	ON("extcap-dlts", dlts),
	ON("extcap-config", config),
	ON("capture", capture),
	TEXT("extcap-interface", interface),
	TEXT("extcap-reload-option", reload),
	TEXT("extcap-capture-filter", filter),
	TEXT("fifo", fifo),
	TEXT("app", app),
	TEXT("process", process),
	TEXT("instances", instances),
	TEXT("instance-list", instance_list),
	TEXT("hosts", hosts),
	TEXT("interface", device),
	TEXT("snaplen", snaplen),
	TEXT("window", window),
	TEXT("via", via),
	TEXT("remote", remote),
	ON("headers-only", headers_only),
};

static const struct flag_table TABLE = { FLAGS, sizeof FLAGS / sizeof *FLAGS };

static void store(const struct flag_word *word, struct extcap_request *request)
{
	void *field = (char *)request + word->flag->offset;

	if (word->flag->kind == FLAG_ON)
		*(bool *)field = strcmp(word->value, "false") != 0;
	else
		*(const char **)field = *word->value != '\0' ? word->value : NULL;
}

bool request_is_of_app(const struct extcap_request *request)
{
	return strcmp(request->interface, EXTCAP_APP) == 0;
}

int request_read(struct extcap_request *request, int argc, char *const *argv)
{
	static const char OURS_TO_IGNORE[] = "extcap-";
	struct flag_word word;
	int next = 1;

	*request = (struct extcap_request){ 0 };
	while (next < argc) {
		if (argv[next][0] != '-') { /* the value of one that is not known */
			next++;
			continue;
		}
		if (flag_read(&TABLE, argv, &next, &word) != 0)
			return -1;
		if (word.flag != NULL)
			store(&word, request);
		else if (strncmp(word.name, OURS_TO_IGNORE, sizeof OURS_TO_IGNORE - 1) != 0)
			return flag_reject("unknown flag", word.argument, "");
	}
	if (!request->interfaces && (request->interface == NULL || (!request_is_of_app(request) &&
								    strcmp(request->interface, EXTCAP_SSH) != 0)))
		return flag_reject("expected an interface of this program", "--extcap-interface",
				   request->interface != NULL ? request->interface : "");
	return 0;
}

/* Each name of a list, behind the flag if there is one. */
static int add_names(struct words *words, const char *flag, const char *list)
{
	static struct words names;
	char spaced[WORDS_BYTES];

	if (list == NULL || strlen(list) >= sizeof spaced)
		return list == NULL ? 0 : -1;
	memcpy(spaced, list, strlen(list) + 1);
	for (char *at = strchr(spaced, ','); at != NULL; at = strchr(at, ','))
		*at = ' ';
	names.count = names.used = 0;
	if (words_add_split(&names, spaced) != 0)
		return -1;
	for (size_t i = 0; i < names.count; i++)
		if ((flag != NULL && words_add(words, flag) != 0) || words_add(words, names.word[i]) != 0)
			return -1;
	return 0;
}

/* Apps stand where flags may stand, too. */
static bool holds_a_flag(const char *list)
{
	for (const char *at = list; at != NULL && *at != '\0'; at += strcspn(at, SEPARATORS)) {
		at += strspn(at, SEPARATORS);
		if (*at == '-')
			return true;
	}
	return false;
}

/* Defaults of the dialog say nothing to a program that may not know the flag. */
static const char *unless(const char *value, const char *said_anyway)
{
	return value == NULL || strcmp(value, said_anyway) == 0 ? NULL : value;
}

static int add_all(struct words *words, const struct extcap_request *request)
{
	const bool is_app = request_is_of_app(request);
	const char *instances = request->instance_list != NULL ? request->instance_list : unless(request->instances, "all");

	return add_names(words, is_app ? NULL : "-host", is_app ? request->app : request->hosts) != 0 ||
			       words_add_pair(words, "-interface", request->device != NULL ? request->device : is_app ? "lo" : "any") != 0 ||
			       words_add_pair(words, "-process", is_app ? request->process : NULL) != 0 ||
			       words_add_pair(words, "-i", is_app ? instances : NULL) != 0 ||
			       words_add_pair(words, "-snaplen", unless(request->snaplen, EXTCAP_SNAPLEN)) != 0 ||
			       (request->headers_only && words_add(words, "-headers-only") != 0) ||
			       words_add_pair(words, "-window", request->window) != 0 ||
			       words_add_pair(words, "-via", request->via) != 0 ||
			       words_add_pair(words, "-remote", request->remote) != 0 ||
			       words_add_pair(words, "-filter", request->filter) != 0 ? -1 : 0;
}

int request_translate(const struct extcap_request *request, struct collect_options *options, const char *program)
{
	static struct words words;
	const bool is_app = request_is_of_app(request);

	words.count = words.used = 0;
	if ((is_app ? request->app : request->hosts) == NULL)
		return flag_reject(is_app ? "no app was chosen: see the interface's options" :
					    "no host was given: see the interface's options", is_app ? "--app" : "--hosts", "");
	if (is_app && holds_a_flag(request->app))
		return flag_reject("a name that begins with \"-\"", "--app", request->app);
	if (request->fifo == NULL)
		return flag_reject("expected a FIFO to write to", "--fifo", "");
	if (words_add(&words, program) != 0 || add_all(&words, request) != 0)
		return flag_reject("expected a command line that is not too long", "--capture", "");
	if (collect_flags_parse(options, (int)words.count, words.word) != 0)
		return -1;
	options->fifo = request->fifo;
	return 0;
}
