"""Eight rings at any moment, by the kernel's own account, whatever becomes of the processes that have them."""
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hostile.arena import spawn
from hostile.ledger import Ledger
from hostile.tracer import DETACH, EXITKILL, SETOPTIONS, SYSGOOD, TRACEME, next_call, ptrace, wait_stop
from support import Namespace, children_of, socket_in, state_of, wait_until

SLOTS, RING = 8, 64 << 20
CAPTURE = ["-interface", "lo", "-buffer-size", "64M"]
CAPTURE_CHANNEL_FD = 4  # common/protocol.h
HEAD_STARTS_S = (0.002, 0.005)  # for them to get to the grace period after which a ring is freed
STARVING_S, AT_MOST_S, HOGS = 2, 30, 20
VICTIMS_CPU = max(os.sched_getaffinity(0))
_libc = ctypes.CDLL(None, use_errno=True)
_seccomp = ctypes.CDLL("libseccomp.so.2")


@pytest.fixture
def ns():
    with Namespace() as namespace:
        yield namespace


def without_kernels_slots():
    """PACKET_FANOUT is refused, as by a kernel before Linux 5.11. Loaded as root, without no_new_privs."""
    call = _seccomp.seccomp_syscall_resolve_name(b"setsockopt")
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (0x20, 0, 0, 0), (0x15, 0, 4, call),  # seccomp_data.nr
        (0x20, 0, 0, 24), (0x15, 0, 2, 263),  # its arguments: SOL_PACKET,
        (0x20, 0, 0, 32), (0x15, 1, 0, 18),   # PACKET_FANOUT
        (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | errno.EINVAL)))  # allowed, or refused
    code = ctypes.create_string_buffer(program)
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    assert _libc.prctl(22, 2, filters, 0, 0) == 0  # PR_SET_SECCOMP


def start(stage, ns, crowd, root_prepare=None):
    crowd.append(spawn([stage / "cf-pcap", *CAPTURE], ns, root_prepare=root_prepare, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE))
    return crowd[-1]


def begins(process):
    return len(process.stdout.read(24)) == 24


def start_traced(stage, ns, crowd, prepare):
    def root_prepare():
        prepare()
        ptrace(TRACEME, 0)

    process = start(stage, ns, crowd, root_prepare)
    assert wait_stop(process.pid) == (signal.SIGTRAP, 0)  # its exec
    ptrace(SETOPTIONS, process.pid, None, SYSGOOD | EXITKILL)
    return process


def go_on_to(pid, is_wanted):
    """To the entry of a call. Returns False if there is none."""
    while (call := next_call(pid)) is not None:
        if is_wanted(*call):
            return True
    return False


def leave_in_flight(stage, ns, crowd, prepare):
    """The pid of a writer to whom the packet socket is on its way, and whose helper is gone."""
    process = start_traced(stage, ns, crowd, prepare)
    assert go_on_to(process.pid, lambda name, words: name == "recvmsg" and words[0] == CAPTURE_CHANNEL_FD)
    helper, = children_of(process.pid)
    os.kill(helper, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{helper}"))
    os.sched_setaffinity(process.pid, {VICTIMS_CPU})
    os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process.pid


def start_hogs(ns, crowd):
    """Many: who has slept, as for a grace period of RCU, goes on only after all of them."""
    hogs = [spawn(["/bin/sh", "-c", "kill -STOP $$; while :; do :; done"], ns,
                  user_prepare=lambda: os.sched_setaffinity(0, {VICTIMS_CPU})) for _ in range(HOGS)]
    crowd.extend(hogs)
    for hog in hogs:
        wait_until(lambda pid=hog.pid: state_of(pid) == "T")
    return hogs


def run_eight(stage, ns, crowd, prepare, until):
    """Starts captures until eight run. Returns how many do."""
    running = 0
    while running < SLOTS and time.monotonic() < until:
        batch = [start(stage, ns, crowd, prepare) for _ in range(SLOTS - running)]
        running += sum(begins(process) for process in batch)
    return running


def starve_eight(stage, ns, crowd, prepare, head_start_s):
    """Eight die with their sockets in flight, and get no processor time for it. Eight others start meanwhile."""
    victims = [leave_in_flight(stage, ns, crowd, prepare) for _ in range(SLOTS)]
    hogs = start_hogs(ns, crowd)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    time.sleep(head_start_s)
    for hog in hogs:
        hog.send_signal(signal.SIGCONT)
    # They may hold locks of the kernel's that the others need: these only go on when the hogs are gone.
    relief = threading.Timer(STARVING_S, lambda: [hog.kill() for hog in hogs])
    relief.start()
    running = run_eight(stage, ns, crowd, prepare, time.monotonic() + AT_MOST_S)
    relief.join()
    return running


def most_memory(stage, ns, crowd, prepare, head_start_s):
    with Ledger() as ledger:
        starve_eight(stage, ns, crowd, prepare, head_start_s)
    for process in crowd:
        process.kill()
        process.communicate()
    crowd.clear()
    return ledger.most


@pytest.mark.parametrize("head_start_s", HEAD_STARTS_S)
def test_captures_that_starve_as_they_die_make_no_room_for_others(stage, ns, crowd, head_start_s):
    """With names alone about half of these had nine rings at a time."""
    assert most_memory(stage, ns, crowd, lambda: None, head_start_s) == SLOTS * RING


@contextlib.contextmanager
def memory_that_never_comes():
    """The address of a page that whoever writes to it waits for, userfaultfd(2), to the end of the block."""
    fd = _libc.syscall(_seccomp.seccomp_syscall_resolve_name(b"userfaultfd"), os.O_CLOEXEC)
    assert fd >= 0
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    fcntl.ioctl(fd, 0xC018AA3F, struct.pack("3Q", 0xAA, 0, 0))  # UFFDIO_API
    fcntl.ioctl(fd, 0xC020AA00, struct.pack("4Q", address, mmap.PAGESIZE, 1, 0))  # UFFDIO_REGISTER: missing pages
    try:
        yield address
    finally:
        os.close(fd)


def keep_memory(pid, address):
    """What a process has mapped outlives it while its command line is being read."""
    def read():
        fd = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY)
        _libc.read(fd, ctypes.c_void_p(address), mmap.PAGESIZE)
        os.close(fd)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: Path(f"/proc/self/task/{reader.native_id}/wchan").read_text() == "handle_userfault")
    return reader


def sockets_in_part(ns):
    """How many packet sockets the kernel tells in the first part of a dump, as the writer asks for it."""
    with socket_in(ns, socket.AF_NETLINK, socket.SOCK_RAW, 4) as asking:
        asking.send(struct.pack("=IHHIIBBHIIII", 36, 20, 0x301, 0, 0, socket.AF_PACKET, 0, 0, 0, 5, 0, 0))
        answer, count, at = asking.recv(1 << 16), 0, 0
        while at < len(answer):
            at, count = at + (struct.unpack_from("=I", answer, at)[0] + 3 & ~3), count + 1
        return count


def go_on_to_dump(pid):
    """To where the first part of the kernel's answer is received, and the second made."""
    return all(go_on_to(pid, lambda name, words, call=call: name == call and words[0] != CAPTURE_CHANNEL_FD)
               for call in ("sendto", "recvfrom"))


def run_ninth(stage, ns, crowd, prepare, bystanders, part):
    """A capture that counts the rings twice, each time in parts, between which earlier sockets vanish."""
    process = start_traced(stage, ns, crowd, prepare)
    assert go_on_to_dump(process.pid)
    for bystander in bystanders[:part]:
        bystander.close()
    if go_on_to_dump(process.pid):
        for bystander in bystanders[part:]:
            bystander.close()
        ptrace(DETACH, process.pid)
    return begins(process)


@pytest.mark.parametrize("prepare, runs", [(without_kernels_slots, True), (lambda: None, False)],
                         ids=["names_and_counting", "kernels_slots"])
def test_a_ninth_capture_that_miscounts_the_rings_does_not_run(stage, ns, crowd, prepare, runs):
    """The rings' processes and names are gone, their memory is held; between two parts of the kernel's answer
    sockets vanish that come before them. Where the kernel has no slots, this works."""
    with Ledger() as ledger, memory_that_never_comes() as address:
        bystanders = [socket_in(ns, socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in range(80)]
        part = sockets_in_part(ns)
        bystanders += [socket_in(ns, socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in range(2 * part - SLOTS - 80)]
        readers = []
        for _ in range(SLOTS):
            assert begins(start(stage, ns, crowd, prepare))
            readers.append(keep_memory(crowd[-1].pid, address))
            crowd[-1].kill()
            crowd[-1].wait()
        assert run_ninth(stage, ns, crowd, prepare, bystanders, part) == runs
        messages = b"" if runs else crowd[-1].stderr.read()
    for reader in readers:
        reader.join()
    assert ledger.most == (SLOTS + runs) * RING
    assert runs or b"too many captures" in messages
