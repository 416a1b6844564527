/* base: no packets, no privilege. */
/* The version of this program. */
#pragma once

#define CFPCAP_VERSION "0.2.0"

