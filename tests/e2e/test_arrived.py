"""A stop prints what had arrived, by the kernel's count: whatever the clock does, however busy the machine is."""
import os
import select
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time

import pytest

from e2e.test_stopping import StreamCapture, pipe, seconds_to_end
from e2e.traffic import Datagrams, ethernet, numbers, udp4
from support import ip, read_pcap, socket_in, summary, wait_until

SO_TXTIME = 61
FRAMES, FRAME_SIZE = 4000, 1400
HOGS = 20
SECOND = 10**9
# Seconds that the clock is ahead of what it will be at the stop, by the number of the packet.
STEPS = {
    "back by a second": lambda _: 1,
    "back by an hour": lambda _: 3600,
    "forwards": lambda _: -3600,
    "a leap in between": lambda number: 1 if number < FRAMES // 2 else 0,
    "to and fro": lambda number: (-1) ** number * 10,
}


@pytest.fixture
def stamping(ns):
    """
    Sends to cap0 frames that carry a time stamp of the sender's: as the kernel's clock would have given them, had it been
    that. (It is the whole machine's, and is left alone.)
    """
    ip("-n", ns.peer, "link", "set", "gen0", "netns", ns.name)  # between namespaces the kernel forgets it
    ip("-n", ns.name, "link", "set", "gen0", "up")
    with socket_in(ns, socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind(("gen0", 0))
        sender.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", time.CLOCK_REALTIME, 0))

        def send(first, count, ahead):
            for number in range(first, first + count):
                frame = ethernet(0x0800, udp4(b"%08d" % number + bytes(FRAME_SIZE)))
                stamp = time.time_ns() + int(ahead(number) * SECOND)
                sender.sendmsg([frame], [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", stamp))])

        yield send


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_set_while_the_reader_is_behind_costs_nothing(tools, ns, stamping, tmp_path, step):
    with StreamCapture(tools, ns, tmp_path, pipe, "-interface", "cap0", "udp port 9999") as capture:
        stamping(0, FRAMES, STEPS[step])
        capture.wait_until_stalled()
        capture.process.send_signal(signal.SIGINT)
        wait_until(lambda: "received signal" in capture.messages())
        stamping(FRAMES, 10, lambda _: -7200)  # after the stop, however old they look
        content = capture.rest()
        seconds_to_end(capture.process)
    assert capture.process.returncode == 0
    assert numbers(content) == list(range(FRAMES))
    assert summary(capture.messages())[::2] == (FRAMES, 0)
    stamps = {round((record.nanoseconds - time.time_ns()) / SECOND, -1) for record in read_pcap(content).records}
    if "hour" in step:  # the stamps are what was asked for
        assert min(stamps) > 3000


@pytest.fixture
def busy():
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(HOGS)]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


def send_from_each_processor(ns, datagram_count):
    """Datagrams to lo from all processors at once. Returns when all have been through the tap."""
    def send(cpu):
        os.sched_setaffinity(0, {cpu})
        with Datagrams(ns, port=20000 + cpu) as datagrams:
            datagrams.send(datagram_count, first=cpu * datagram_count)

    threads = [threading.Thread(target=send, args=(cpu,)) for cpu in os.sched_getaffinity(0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(threads) * datagram_count


@pytest.mark.parametrize("count", [1, 12, 500])
def test_beside_20_busy_processes_a_stop_loses_nothing(tools, ns, busy, tmp_path, count):
    for _ in range(8):
        capture = tools.capture(ns, "-interface", "lo", "udp portrange 20000-20999", path=tmp_path / "out.pcap")
        sent = send_from_each_processor(ns, count)
        status, messages = capture.stop(timeout=60)
        assert status == 0
        assert len(set(numbers(capture.path))) == sent
        assert summary(messages)[::2] == (sent, 0)
        assert "missing" not in messages


def milliseconds_to_end(process):
    end = os.pidfd_open(process.pid)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert select.select([end], [], [], 20)[0]
    elapsed = time.monotonic() - start
    os.close(end)
    process.wait()
    return 1000 * elapsed


def quiet_tcpdump(ns, path):
    process = subprocess.Popen(["ip", "netns", "exec", ns.name, "tcpdump", "-Z", "root", "-n", "-i", "lo", "-w", path,
                                "udp port 9999"], stderr=subprocess.PIPE)
    assert any(b"listening on" in line for line in process.stderr)
    return process


@pytest.mark.plain_build
def test_a_quiet_capture_ends_about_as_soon_as_tcpdump(tools, ns, tmp_path):
    """In pairs. `make bench` has the figures; a loaded machine is given the median's distance and as much again."""
    ours, theirs = [], []
    for _ in range(15):
        capture = tools.capture(ns, "-interface", "lo", "udp port 9999", path=tmp_path / "out.pcap")
        ours.append(milliseconds_to_end(capture.process))
        process = quiet_tcpdump(ns, tmp_path / "theirs.pcap")
        theirs.append(milliseconds_to_end(process))
        process.stderr.close()
    print("ms, ours:", *(f"{one:.1f}" for one in sorted(ours)), "tcpdump's:", *(f"{one:.1f}" for one in sorted(theirs)))
    assert statistics.median(ours) <= statistics.median(theirs) + 10
