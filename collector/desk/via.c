/* desk: starts the commands; what streams hold is never looked at here. */
/* The way to the other end. */
#include "via.h"

#include <stddef.h>
#include <string.h>

#include "words.h"

#define CF "cf ssh {} -i {index} --process {process} -c {command}"
#define SSH "ssh -T -o BatchMode=yes -- {} {command}"

const char *via_template(const struct collect_options *options)
{
	const char *via = options->via != NULL ? options->via : options->app_count > 0 ? "cf" : "ssh";

	return strcmp(via, "cf") == 0 ? CF : strcmp(via, "ssh") == 0 ? SSH : via;
}

bool via_is_cf(const struct collect_options *options)
{
	return words_begin_with_program(via_template(options), "cf");
}

bool via_is_ssh(const struct collect_options *options)
{
	return words_begin_with_program(via_template(options), "ssh");
}
