/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* What Wireshark is told of the interfaces: without asking anybody, so at once. */
#pragma once

#include <stdbool.h>

/* Numbers of the arguments that have values to choose from. */
enum { DIALOG_APP = 0, DIALOG_INSTANCES = 2, DIALOG_INTERFACE = 3 };

void dialog_print_interfaces(void);
void dialog_print_dlts(void);

/* The arguments of the interface for apps, or of the one for hosts: the dialog that Wireshark draws. */
void dialog_print_arguments(bool is_app);

/* A value of an argument. What would end it is left out of the texts. */
void dialog_print_value(int argument, const char *value, const char *shown, bool is_default);
