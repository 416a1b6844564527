/* desk: starts the commands; what streams hold is never looked at here. */
/* The way to the other end. */
#include "via.h"

#include <stddef.h>
#include <string.h>

#include "words.h"

#define CF "cf ssh {} -i {index} --process {process} -c {command}"
#define SSH "ssh -T -o BatchMode=yes -- {} {command}"

bool via_is_cf(const struct collect_options *options)
{
	return options->via == NULL ? options->app_count > 0 : strcmp(options->via, "cf") == 0;
}

bool via_is_ssh(const struct collect_options *options)
{
	return words_begin_with_program(via_template(options), "ssh");
}

const char *via_template(const struct collect_options *options)
{
	if (via_is_cf(options))
		return CF;
	return options->via == NULL || strcmp(options->via, "ssh") == 0 ? SSH : options->via;
}
