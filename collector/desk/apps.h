/* desk: starts the commands; what streams hold is never looked at here. */
/* The instances of an app, as the platform tells of them: cf is asked, in the words that are made for programs. */
#pragma once

#include "instances.h"
#include "targets.h"

/* Adds the instances of this app that run and were asked for. Returns as targets_find() does. */
int apps_add(struct targets *targets, const struct collect_options *options, const char *app);

/* Asks for all instances; process may be NULL. Returns how many, or as targets_find() does if it finds none. */
int apps_ask_instances(struct instance instances[INSTANCES_MOST], const char *app, const char *process);
