/* The operator's policy: beside each cf-pcap in the cache, as it is beside the package's. */
#pragma once

#include <stdbool.h>

#include "cell.h"

#define POLICY "cf-pcap.policy"

/* Reads the package's. It must be root's alone to change, or the program ends. None limits nothing. */
void read_policy(struct policy *policy, const char *package);

/* Makes the folder's policy agree. False if it does not, reported: nothing there may have a capability. */
bool settle_policy(struct cell *cell, const struct folder *folder);

/* Takes the folder's away where there is to be none. */
void drop_policy(struct cell *cell, const struct folder *folder);
