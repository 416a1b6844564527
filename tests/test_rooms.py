"""The house: what each room is for, which way its includes point, and what it calls."""
import os
import re
import subprocess

import pytest

from support import ROOT

# A file's first line says which room it stands in, and what goes for it there.
RULES = {
    "helper": "helper: what runs with the capability.",
    "common": "common: what helper and writer share, read together with the helper.",
    "writer": "writer: no privilege; from setup/ through the sandbox's door to capture/.",
    "writer/setup": "setup: before the sandbox closes; here is the user's text, and no packet socket.",
    "writer/capture": "capture: inside the sandbox, with the packets.",
    "writer/output": "output: inside the sandbox, on the way to stdout; it never waits.",
    "formats": "formats: the bytes of files; no call of the system.",
    "base": "base: no packets, no privilege.",
    "collector": "collector: the desk's program: one capture of a whole app; no privilege.",
    "collector/desk": "desk: starts the commands; what streams hold is never looked at here.",
    "collector/extcap": "extcap: what Wireshark asks; what streams hold is never looked at here.",
    "collector/merge": "merge: inside the sandbox; here is what the remote machines sent.",
    "sandbox": "sandbox: runs at build time, makes the programs that close the sandboxes.",
    "tail": "tail: runs at build time, makes the program that ends each packet at its headers.",
}
# A room's own files apart, it includes those of these rooms.
MAY_INCLUDE = {
    "helper": {"common"},
    "tail": {"helper"},
    "sandbox": {"common", "helper", "writer", "writer/setup", "collector"},
    "collector": {"collector/desk", "collector/extcap", "collector/merge", "base", "common"},
    "collector/desk": {"collector", "base", "common"},
    "collector/extcap": {"collector/desk", "base", "common"},
    "collector/merge": {"collector", "formats", "base"},
    "common": set(),
    "base": set(),
    "formats": {"base"},
    "writer/output": {"formats", "base", "common"},
    "writer/capture": {"writer/output", "formats", "base", "common"},
    "writer/setup": {"writer/output", "formats", "base", "common"},
    "writer": {"writer/setup", "writer/capture", "writer/output", "formats", "base", "common"},
}
# Of libc. What the sandbox (writer/sandbox_rules.c) would kill the process for is not among it.
NO_SYSTEM_CALL = {"memcpy", "memset", "strlen", "strnlen", "snprintf", "strerror", "sysconf",
                  "__errno_location", "_GLOBAL_OFFSET_TABLE_"}
MAY_CALL = {
    "formats": NO_SYSTEM_CALL,
    "writer/output": NO_SYSTEM_CALL | {"writev", "poll", "fcntl", "ioctl", "lseek", "fstat", "ftruncate",
                                       "getsockopt", "setsockopt", "mmap"},
    # No call that opens, connects, executes or sends: orders and reports go through collector/wire.c.
    "collector/merge": NO_SYSTEM_CALL | {"memmove", "memchr", "memcmp", "strstr", "strtoull", "malloc", "calloc", "realloc",
                                         "free", "poll", "read", "write", "close", "lseek", "ftruncate"},
    # close: of the packet socket, kept_socket.c
    "writer/capture": NO_SYSTEM_CALL | {"poll", "ppoll", "mmap", "epoll_ctl", "epoll_wait", "close"},
}


def files_of(room, pattern="*.[ch]"):
    return sorted((ROOT / room).glob(pattern))


def room_of(name):
    """The room that an include with a path in it leads to."""
    folder = os.path.dirname(name)
    return folder if folder in RULES else f"writer/{folder}"


def includes(path):
    return re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE)


def includes_that_point_up(room, path, names):
    return [f"{path}: {name}" for name in names if "/" in name and room_of(name) not in MAY_INCLUDE[room]]


@pytest.mark.parametrize("room", RULES)
def test_each_file_says_its_rooms_rule(room):
    files = files_of(room)
    assert files
    for path in files:
        assert path.read_text().startswith((f"/* {RULES[room]} */\n", f"/* {RULES[room]}\n")), path


@pytest.mark.parametrize("room", RULES)
def test_includes_point_one_way(room):
    for path in files_of(room):
        assert includes_that_point_up(room, path, includes(path)) == []
        own = [name for name in includes(path) if "/" not in name]
        assert [name for name in own if not (ROOT / room / name).is_file()] == []


def test_an_include_that_points_up_is_seen():
    assert includes_that_point_up("formats", "x.c", ["base/clock.h", "capture/ring.h"]) == ["x.c: capture/ring.h"]
    assert includes_that_point_up("writer/setup", "x.c", ["capture/ring.h"]) == ["x.c: capture/ring.h"]
    assert includes_that_point_up("helper", "x.c", ["base/log.h"]) == ["x.c: base/log.h"]


@pytest.fixture(scope="module")
def objects():
    """Without LTO, which leaves no names to look at."""
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "SANITIZE=", "BUILD=build", "build/tested.a"],
                   check=True, stdout=subprocess.DEVNULL)
    return ROOT / "build/tested"


def names_in(objects, room, which):
    """Defined or undefined names of a room's objects, without what FORTIFY makes of them."""
    listed = subprocess.run(["nm", "--format=posix", which, *files_of(objects / room, "*.o")], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    names = {line.split()[0] for line in listed.splitlines() if " " in line}
    return {re.sub(r"^__(\w+)_chk$", r"\1", name) for name in names} - {"stack", "__stack_chk_fail"}


@pytest.mark.parametrize("room", MAY_CALL)
def test_what_is_inside_the_sandbox_calls_what_it_allows(objects, room):
    own = set().union(*(names_in(objects, other, "--defined-only") for other in MAY_INCLUDE[room] | {room}))
    assert names_in(objects, room, "--undefined-only") - own - MAY_CALL[room] == set()


def test_a_call_that_the_sandbox_forbids_is_seen(objects):
    assert "fork" in names_in(objects, "writer/setup", "--undefined-only")
    assert "send" in names_in(objects, "common", "--undefined-only")
