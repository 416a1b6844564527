/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* The lists that are loaded from the platform when the user asks for them. */
#pragma once

#include "request.h"

/* Prints the values of request->reload; if they cannot be had one that says why. Returns 0, or -1. */
int lists_print(const struct extcap_request *request);
