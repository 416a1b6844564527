/* setup: before the sandbox closes; here is the user's text, and no packet socket. */
/* Why there is no packet socket, in words that user and operator can act on. */
#pragma once

#include "common/protocol.h"

/* One ERROR line that names the cause of an OPEN_REFUSED_NO_SOCKET reply. */
void diagnosis_report_no_socket(const struct open_reply *reply);

