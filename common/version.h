/* The version of this program. */
#ifndef CFPCAP_VERSION_H
#define CFPCAP_VERSION_H

#define CFPCAP_VERSION "0.1.0"

#endif
