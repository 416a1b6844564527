"""Holds every process of a capture at each of its calls, as root. It keeps its capability: root may trace it."""
import contextlib
import ctypes
import itertools
import os
import signal
import struct
from dataclasses import dataclass
from pathlib import Path

from hostile.arena import spawn, status_of
from support import state_of

TRACEME, CONT, DETACH, SYSCALL = 0, 7, 17, 24
SETOPTIONS, GETEVENTMSG, SEIZE, INTERRUPT, GET_SYSCALL_INFO, GET_FILTER = 0x4200, 0x4201, 0x4206, 0x4207, 0x420E, 0x420C
SYSGOOD, FORK, EXEC, EXITKILL = 1, 2, 0x10, 0x100000
EVENT_FORK, EVENT_EXEC = 1, 4
WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_seccomp = ctypes.CDLL("libseccomp.so.2")
_seccomp.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p


def ptrace(request, pid, address=None, data=None):
    ctypes.set_errno(0)
    result = _libc.ptrace(request, pid, address, data)
    if result < 0 and ctypes.get_errno() != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
    return result


def call_name(number, arch=0):
    """The name of a call's number, on this machine unless an AUDIT_ARCH_ value says otherwise."""
    name = _seccomp.seccomp_syscall_resolve_num_arch(ctypes.c_uint32(arch), ctypes.c_int(number))
    return name.decode() if name else str(number)


def wait_stop(pid):
    """Waits until it stops or ends. Returns (the signal of a stop, its event), or None at an end."""
    _, status = os.waitpid(pid, WALL)
    return (os.WSTOPSIG(status), status >> 16) if os.WIFSTOPPED(status) else None


def next_call(pid):
    """Lets it go on to the entry of its next call. Returns (name, arguments), or None if it ended."""
    while True:
        ptrace(SYSCALL, pid)
        stop = wait_stop(pid)
        if stop is None:
            return None
        if stop[0] == signal.SIGTRAP | 0x80:
            info = ctypes.create_string_buffer(88)
            ptrace(GET_SYSCALL_INFO, pid, len(info), info)
            if info.raw[0] == 1:  # the entry
                number, *arguments = struct.unpack_from("<7Q", info.raw, 24)
                return call_name(number), arguments


@contextlib.contextmanager
def stopped(pid):
    """A process that nobody traces, standing still meanwhile."""
    ptrace(SEIZE, pid)
    try:
        ptrace(INTERRUPT, pid)
        wait_stop(pid)
        yield
    finally:
        ptrace(DETACH, pid)


def filter_of(pid):
    """The instructions that seccomp(2) runs for a stopped process; of several the last."""
    code = None
    for number in itertools.count():
        try:
            length = ptrace(GET_FILTER, pid, number)
        except FileNotFoundError:
            return code
        buffer = ctypes.create_string_buffer(8 * length)
        ptrace(GET_FILTER, pid, number, buffer)
        code = buffer.raw


def descriptors(pid):
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


@dataclass
class Moment:
    """What a process has as it makes a call."""

    call: str
    arguments: list
    descriptors: dict
    status: dict


def moments(pid):
    """Each of its calls from here to its end."""
    while True:
        call = next_call(pid)
        if call is None:
            return
        yield Moment(*call, descriptors(pid), {key: value.strip() for key, value in status_of(pid).items()})


class Traced:
    """
    A capture whose writer stands still as it has forked its first child, which stands at its first instruction.
    With hold_helper, one that is about to become the writer: its child is the helper.
    """

    def __init__(self, argv, namespace, hold_helper=False, **options):
        # As root, whose tracing takes no capability away.
        self.process = spawn(argv, namespace, root_prepare=lambda: ptrace(TRACEME, 0), **options)
        self.writer = self.process.pid
        assert wait_stop(self.writer) == (signal.SIGTRAP, 0)
        ptrace(SETOPTIONS, self.writer, None, FORK | EXEC | SYSGOOD | EXITKILL)
        self.child = self.helper = self.next_child()
        if hold_helper:
            return
        ptrace(DETACH, self.helper)
        self.go_on_to(EVENT_EXEC)
        self.child = self.next_child()

    def go_on_to(self, *events):
        """The writer, to the first of these events."""
        while True:
            ptrace(CONT, self.writer)
            stop = wait_stop(self.writer)
            assert stop is not None, "ended early"
            if stop[1] in events:
                return stop[1]

    def forked(self):
        """The new process, as it stands at its first instruction."""
        pid = ctypes.c_ulong()
        ptrace(GETEVENTMSG, self.writer, None, ctypes.addressof(pid))
        wait_stop(pid.value)
        return pid.value

    def next_child(self):
        """Lets the writer go on until it forks again."""
        self.go_on_to(EVENT_FORK)
        return self.forked()

    def release(self):
        """The writer goes on by itself."""
        ptrace(DETACH, self.writer)

    def write_memory(self, address, data):
        """The child's."""
        with open(f"/proc/{self.child}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            assert memory.write(data) == len(data)

    def end(self):
        """Ends what is left of it."""
        for pid in (self.child, self.writer):
            try:
                os.kill(pid, signal.SIGKILL)
                while wait_stop(pid) is not None:
                    pass
            except (ProcessLookupError, ChildProcessError):
                pass
        self.process.poll()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def call_of(pid):
    """The one that it waits in, or None."""
    number = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()[0]
    return call_name(int(number)) if number.isdigit() else None


def is_there(pid):
    """And alive."""
    return Path(f"/proc/{pid}").exists() and state_of(pid) != "Z"
