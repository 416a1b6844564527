"""File capabilities, as the kernel stores them."""
import os
import struct

NET_RAW = struct.pack("<5I", 0x02000000, 1 << 13, 0, 0, 0)  # revision 2, cap_net_raw=p
NET_RAW_EP = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
NET_BIND_SERVICE = struct.pack("<5I", 0x02000000, 1 << 10, 0, 0, 0)


def capability(path):
    """The attribute's bytes, or None."""
    try:
        return os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError:
        return None


def give(path, value):
    os.setxattr(path, "security.capability", value, follow_symlinks=False)


def capable_files(folder):
    """Every file below the folder that has a capability, with it."""
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if capability(path) is not None:
                found[os.path.relpath(path, folder)] = capability(path)
    return found
