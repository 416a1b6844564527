/* desk: starts the commands; what streams hold is never looked at here. */
/* The platform's name of an app or a space. */
#include "guid.h"

#include <string.h>

int guid_take(char guid[GUID_SIZE], const char *text, size_t length)
{
	if (length == 0 || length >= GUID_SIZE || strspn(text, "0123456789abcdefABCDEF-") < length)
		return -1;
	memcpy(guid, text, length);
	guid[length] = '\0';
	return 0;
}
