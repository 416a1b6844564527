/* desk: starts the commands; what streams hold is never looked at here. */
/* What is captured on: hosts, or instances of apps, each once for every interface. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/wire.h"
#include "flags.h"

#define TARGETS_MOST 1000
#define TARGET_PLACE_SIZE 100
#define TARGET_INTERFACE_SIZE 16 /* the kernel's limit, with the NUL */
#define TARGET_PROCESS_SIZE 64

struct target {
	char place[TARGET_PLACE_SIZE]; /* a host or an app: what {} stands for */
	char process[TARGET_PROCESS_SIZE];
	char index[12];                /* of the instance; "" for a host */
	char interface[TARGET_INTERFACE_SIZE];
	char name[WIRE_NAME_SIZE];     /* of the stream: "shop/0" */
	char description[WIRE_DESCRIPTION_SIZE];
	uint8_t address[WIRE_ADDRESS_SIZE];
	uint32_t address_length;
};

struct targets {
	struct target *all;
	size_t count;
	size_t missing; /* instances that were asked for and cannot be captured on */
};

#define TARGETS_REJECTED (-2) /* the command line is wrong */

/*
 * Finds all, for apps by asking cf. Returns 0, or -1 or TARGETS_REJECTED after an ERROR line. targets->all is to be freed.
 */
int targets_find(struct targets *targets, const struct collect_options *options);

/* Adds one for each interface of the options; index and the rest of model are the same. Returns as targets_find() does. */
int targets_add(struct targets *targets, const struct collect_options *options, const struct target *model);

/* What keeps this name from being one word of anything, and no option. NULL: nothing. */
const char *targets_name_fault(const char *name, size_t size);

/* 0: a name that can be no option and no more than one word of anything. Else TARGETS_REJECTED, after an ERROR line. */
int targets_check_name(const char *name, size_t size, const char *flag);

/* "0,2-4" holds this number; NULL holds all. -1: it is no such list. */
int targets_list_holds(const char *list, unsigned int number);
