/* tail: runs at build time, makes the program that ends each packet at its headers. */
/* How much of a packet its headers are. */
#pragma once

#include <stdbool.h>

#include "helper/program.h"

/* Puts the program for the link type of this number, from 0. Returns false if there is none. */
bool tail_put(struct program *program, unsigned int number, int *link_type);
