/* desk: starts the commands; what streams hold is never looked at here. */
/* The platform's answer about a process: /v3/apps/GUID/processes/TYPE/stats. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSTANCES_JSON_MOST (4u << 20) /* bytes */
#define INSTANCES_MOST 1000

struct instance {
	unsigned int index;
	bool runs;
	char state[32];
	uint8_t address[16]; /* of its container */
	uint32_t address_length; /* 0: it is not told */
};

/* Its address as text, "" if it is not told. */
#define INSTANCES_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */
void instances_address(const struct instance *instance, char text[INSTANCES_ADDRESS_SIZE]);

/* Reads them, in the order of the answer. Returns how many, or -1 if it is no such answer. */
int instances_read(const char *json, size_t length, struct instance instances[INSTANCES_MOST]);
