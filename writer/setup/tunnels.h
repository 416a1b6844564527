/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* Interfaces whose packets travel inside packets of another one. */
#pragma once

#include <stdbool.h>

/* Whether it puts its packets into others, or a VLAN tag before them. */
bool tunnels_has(const char *interface, int hardware_type);
