"""Kernel memory for rings is charged to nobody: there are places for 8 captures of 64 MiB, and no more."""
import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from e2e.test_names import Etc, NameServer
from hostile.arena import packet_sockets, spawn
from support import USER, Namespace, children_of, wait_until

SLOTS = 8
RING_MOST = 64 << 20


def start(stage, ns, crowd, *flags, **options):
    crowd.append(spawn([stage / "cf-pcap", "-interface", "lo", *flags], ns, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, **options))
    return crowd[-1]


def begin(stage, ns, crowd, *flags):
    """A capture; its file header when it runs, b"" if it was refused."""
    return start(stage, ns, crowd, *flags).stdout.read(24)


def test_nothing_but_the_program_itself_bounds_packet_sockets(attackers, ns, crowd):
    for _ in range(SLOTS + 1):
        crowd.append(spawn([attackers / "weak_capture", 60000], ns, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    wait_until(lambda: packet_sockets(ns) == SLOTS + 1)


def test_the_ninth_capture_gets_a_clear_message_and_a_killed_one_frees_its_place_at_once(stage, ns, crowd):
    wait_until(lambda: packet_sockets(ns) == 0)
    for _ in range(SLOTS):
        assert len(begin(stage, ns, crowd)) == 24
    assert begin(stage, ns, crowd) == b""
    _, messages = crowd[-1].communicate(timeout=20)
    assert crowd[-1].returncode == 1
    assert b"too many captures in this container, end one first" in messages and b"limit=8" in messages
    for victim in (0, 3, 7):
        crowd[victim].kill()
        crowd[victim].wait()
        assert len(begin(stage, ns, crowd)) == 24
    assert begin(stage, ns, crowd) == b""
    wait_until(lambda: packet_sockets(ns) == SLOTS)  # a refused one has a helper for a moment, and each has another socket for one


HOLD_RINGS = """
import ctypes, socket, struct, sys
ctypes.CDLL(None).setfsuid(int(sys.argv[2]))  # whose the sockets are
held = []
for _ in range(int(sys.argv[1])):
    held.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    held[-1].setsockopt(263, 10, 2)  # SOL_PACKET, PACKET_VERSION: TPACKET_V3
    held[-1].setsockopt(263, 5, struct.pack("7I", 1 << 20, 64, 1 << 20, 64, 8, 0, 0))  # PACKET_RX_RING
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("rings, owner, captured", [(7, USER, True), (8, USER, False), (8, USER + 1, False), (8, 0, True)])
def test_rings_whose_places_are_free_again_count(stage, ns, crowd, rings, owner, captured):
    """As somebody keeps his who reads a killed capture's /proc/PID/cmdline into memory that never comes."""
    crowd.append(spawn(["/usr/bin/python3", "-c", HOLD_RINGS, rings, owner], ns, uid=0, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    assert crowd[-1].stdout.readline() == b"held\n"
    assert len(begin(stage, ns, crowd, "-buffer-size", "64M")) == (24 if captured else 0)
    if not captured:
        _, messages = crowd[-1].communicate(timeout=20)
        assert crowd[-1].returncode == 1 and b"too much kernel memory in this container" in messages


SLOW = "host slow.test"  # a name that is answered when the test wants it


@pytest.fixture
def name_server(ns, tmp_path):
    server = NameServer(ns, {"slow.test": ["192.0.2.1"]})
    etc = Etc(tmp_path)
    etc.put("hosts", "")
    server.look_here = etc.enter
    yield server
    server.socket.close()


def query_of(server):
    server.socket.settimeout(10)
    return server.socket.recvfrom(512)


def drain(server_socket):
    server_socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            server_socket.recv(512)


def start_slowly(stage, ns, crowd, server):
    """As soon as the names are asked for there is a ring."""
    return start(stage, ns, crowd, "-buffer-size", "64M", SLOW, root_prepare=server.look_here)


def test_there_is_no_ring_in_vain_where_others_take_it_all(stage, ns, crowd, name_server):
    crowd.append(spawn(["/usr/bin/python3", "-c", HOLD_RINGS, SLOTS, USER], ns, uid=0, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE))
    assert crowd[-1].stdout.readline() == b"held\n"
    _, messages = start_slowly(stage, ns, crowd, name_server).communicate(timeout=5)
    assert b"too much kernel memory in this container" in messages


def test_a_count_that_is_made_to_fail_is_a_refusal(stage, ns, crowd, name_server):
    """prlimit(2) works on any process of the same uid."""
    capture = start_slowly(stage, ns, crowd, name_server)
    query, client = query_of(name_server)
    assert spawn(["prlimit", "--pid", capture.pid, "--nofile=5:"], ns).wait() == 0
    with name_server:
        name_server.socket.sendto(name_server.answer(query), client)
        out, messages = capture.communicate(timeout=20)
    assert (capture.returncode, out) == (1, b"")
    assert b"cannot count the captures' kernel memory" in messages and b"Too many open files" in messages


# For each line it is sent: until no packet socket is left, was there one when no place was taken any more?
WATCH_PLACES = """
import sys
for _ in sys.stdin:
    early = False
    while True:
        places = open("/proc/net/unix").read().count("@cf-pcap.")
        sockets = len(open("/proc/net/packet").readlines()) - 1
        early |= places == 0 and sockets > 0
        if sockets == 0:
            break
    print(early, flush=True)
"""


def test_a_place_is_free_only_when_the_helper_is_gone_too(stage, ns, crowd, name_server):
    """A helper that gets no processor time keeps its ring for a while after it was killed."""
    victim_cpu = max(os.sched_getaffinity(0))
    for _ in range(3):
        crowd.append(spawn(["/bin/sh", "-c", "while :; do :; done"], ns,
                           user_prepare=lambda: os.sched_setaffinity(0, {victim_cpu})))
    crowd.append(spawn(["/usr/bin/python3", "-c", WATCH_PLACES], ns, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    watcher = crowd[-1]
    for _ in range(5):
        capture = start_slowly(stage, ns, crowd, name_server)
        query_of(name_server)
        helper = children_of(capture.pid)[0]
        os.sched_setaffinity(helper, {victim_cpu})
        os.sched_setscheduler(helper, os.SCHED_IDLE, os.sched_param(0))
        watcher.stdin.write(b"watch\n")
        watcher.stdin.flush()
        capture.kill()
        capture.wait()
        assert watcher.stdout.readline() == b"False\n"
        drain(name_server.socket)


def test_captures_elsewhere_take_no_place_here(stage, ns, crowd):
    for _ in range(SLOTS):
        assert len(begin(stage, ns, crowd)) == 24
    with Namespace() as other:
        assert len(begin(stage, other, crowd)) == 24


def test_captures_that_are_killed_as_they_start_leave_no_place_taken(stage, ns, crowd):
    for step in range(100):
        process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        if step % 2:
            try:
                process.wait(step * 0.0002)
            except subprocess.TimeoutExpired:
                pass
        process.kill()
        process.wait()
    wait_until(lambda: packet_sockets(ns) == 0)
    for _ in range(SLOTS):
        assert len(begin(stage, ns, crowd)) == 24


def ring_bytes(pid):
    ranges = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) .* socket:\[", Path(f"/proc/{pid}/maps").read_text(), re.M)
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


@pytest.mark.parametrize("snaplen", [1, 65535, 262144])
def test_no_ring_is_larger_than_64_MiB(stage, ns, crowd, snaplen):
    for size in ("64M", "65536k", "67108864"):
        assert len(begin(stage, ns, crowd, "-buffer-size", size, "-snaplen", str(snaplen))) == 24
        assert 0 < ring_bytes(crowd[-1].pid) <= RING_MOST
        crowd[-1].kill()


@pytest.mark.parametrize("size", ["65M", "67108865", "1G", "4294967296", "4294967297", "18446744073709551617",
    "-1", "0"])
def test_a_larger_ring_is_refused(stage, ns, crowd, size):
    assert begin(stage, ns, crowd, "-buffer-size", size) == b""
    _, messages = crowd[-1].communicate(timeout=20)
    assert crowd[-1].returncode == 2 and b"buffer-size" in messages


def test_a_capture_has_one_ring_of_the_size_asked_for(stage, ns, crowd):
    """The helper makes it in the place of libpcap's."""
    assert len(begin(stage, ns, crowd, "-buffer-size", "256k")) == 24
    wait_until(lambda: packet_sockets(ns) == 1)
    rings = re.findall(r"socket:\[(\d+)\]", Path(f"/proc/{crowd[-1].pid}/maps").read_text())
    assert len(rings) == 1 and ring_bytes(crowd[-1].pid) <= 512 << 10
