/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* Where Wireshark looks for extcaps of a user's own. */
#pragma once

/*
 * Puts a link to this program into the folders of all versions of Wireshark, and says where. A link that is there is
 * replaced, anything else is left alone. Returns 0, or -1 after an ERROR line.
 */
int install_extcap(const char *program);
