/* desk: starts the commands; what streams hold is never looked at here. */
/* The platform's name of an app or a space. */
#pragma once

#include <stddef.h>

#define GUID_SIZE 64

/* Copies one of `length` characters. It becomes a part of a path: -1 if it holds anything but what a GUID has. */
int guid_take(char guid[GUID_SIZE], const char *text, size_t length);
