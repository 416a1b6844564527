"""Kernel memory for rings is charged to nobody: there are places for 8 captures of 64 MiB, and no more."""
import re
import subprocess
from pathlib import Path

import pytest

from hostile.arena import packet_sockets, spawn
from support import USER, Namespace, wait_until

PLACES = 8
RING_MOST = 64 << 20


@pytest.fixture
def crowd():
    """Processes that end with the test."""
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def begin(stage, ns, crowd, *flags):
    """A capture; its file header when it runs, b"" if it was refused."""
    crowd.append(spawn([stage / "cf-pcap", "-interface", "lo", *flags], ns, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE))
    return crowd[-1].stdout.read(24)


def test_nothing_but_the_program_itself_bounds_packet_sockets(attackers, ns, crowd):
    for _ in range(PLACES + 1):
        crowd.append(spawn([attackers / "weak_capture", 60000], ns, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    wait_until(lambda: packet_sockets(ns) == PLACES + 1)


def test_the_ninth_capture_gets_a_clear_message_and_a_killed_one_frees_its_place_at_once(stage, ns, crowd):
    wait_until(lambda: packet_sockets(ns) == 0)
    for _ in range(PLACES):
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
    wait_until(lambda: packet_sockets(ns) == PLACES)  # a refused one has a helper for a moment


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


def test_captures_elsewhere_take_no_place_here(stage, ns, crowd):
    for _ in range(PLACES):
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
    for _ in range(PLACES):
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
