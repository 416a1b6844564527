"""-heartbeat: statistics blocks while nothing else is written, and what their time promises."""
import itertools
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from e2e.test_stopping import seconds_to_end
from e2e.traffic import Datagrams, ethernet
from links.pcapng import read_pcapng
from support import ip, read_pcap, socket_in, wait_until

ON_LO = ("-interface", "lo", "-format", "pcapng", "-filter", "udp port 9999")
MARGIN_NS = 100_000_000
SO_TIMESTAMPNS = 35
HOGS = 10


@pytest.fixture
def datagrams(ns):
    with Datagrams(ns) as made:
        yield made


def beats_so_far(path):
    """Interface statistics blocks, of a file that is still being written to."""
    content, at, count = path.read_bytes(), 0, 0
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<II", content, at)
        count += kind == 5
        at += length
    return count


@pytest.mark.parametrize("flags", [[], ["-nano"]])
def test_silence_has_a_beat_each_time_and_only_the_last_block_has_an_end(tools, ns, datagrams, tmp_path, flags):
    capture = tools.capture(ns, *ON_LO, "-heartbeat", "50ms", *flags, path=tmp_path / "out.pcapng")
    wait_until(lambda: beats_so_far(capture.path) >= 3)
    datagrams.send(10)
    seen = beats_so_far(capture.path)
    wait_until(lambda: beats_so_far(capture.path) >= seen + 3)
    status, messages = capture.stop()
    file = read_pcapng(capture.path)
    assert status == 0 and len(file.records) == 10
    assert all("end" not in beat and "comment" not in beat for _, beat in file.heartbeats)
    assert file.statistics["comment"] == "received signal" and file.statistics["end"] > file.heartbeats[-1][1]["time"]
    times = [beat["time"] for _, beat in file.heartbeats]
    assert all(later - earlier >= 45_000_000 for earlier, later in zip(times, times[1:]))
    for before, beat in file.heartbeats:
        assert [beat[name] for name in ("ifrecv", "ifdrop", "usrdeliv")] == [before, 0, before]
    assert {before for before, _ in file.heartbeats} == {0, 10}


def test_while_packets_are_written_there_is_none(tools, ns, datagrams, tmp_path):
    capture = tools.capture(ns, *ON_LO, "-heartbeat", "1h", path=tmp_path / "out.pcapng")
    datagrams.send(100)
    assert capture.stop()[0] == 0
    assert read_pcapng(capture.path).heartbeats == []


def test_other_tools_read_it_as_before(tools, ns, datagrams, tmp_path):
    capture = tools.capture(ns, *ON_LO, "-heartbeat", "20ms", path=tmp_path / "out.pcapng")
    for first in range(5):
        wait_until(lambda: beats_so_far(capture.path) > first)
        datagrams.send(1, first=first)
    wait_until(lambda: beats_so_far(capture.path) > 5)
    assert capture.stop()[0] == 0

    def output(*argv):
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
        assert not re.search("damaged|corrupt|error|warn", done.stderr, re.IGNORECASE), done.stderr
        return done.stdout.splitlines()

    assert len(output("tcpdump", "-nr", capture.path)) == 5
    assert output("tshark", "-r", capture.path, "-T", "fields", "-e", "udp.dstport") == ["9999"] * 5
    assert len(read_pcapng(capture.path).records) == 5
    copy = tmp_path / "copy.pcap"
    output("editcap", "-F", "pcap", capture.path, copy)
    assert len(read_pcap(copy).records) == 5


def test_it_counts_into_max_size(tools, ns, tmp_path):
    capture = tools.capture(ns, *ON_LO, "-heartbeat", "10ms", "-max-size", "4k", path=tmp_path / "out.pcapng")
    seconds_to_end(capture.process)
    assert capture.process.returncode == 0
    file = read_pcapng(capture.path)
    assert file.statistics["comment"] == "reached maximum size" and len(file.heartbeats) > 3
    assert capture.path.stat().st_size <= 4096


def test_a_full_pipe_gets_none_and_loses_nothing(tools, ns, datagrams, tmp_path):
    """A reader that takes nothing for a while, with beats due all the time."""
    reader, stdout = os.pipe()
    process = tools.spawn(ns, *ON_LO, "-heartbeat", "10ms", stdout=stdout, stderr=subprocess.DEVNULL)
    os.close(stdout)
    with open(reader, "rb", buffering=0) as stream:
        content = bytearray(stream.read(4096))
        datagrams.send(3000, 1400)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        while piece := stream.read(1 << 20):
            content += piece
    seconds_to_end(process)
    path = tmp_path / "out.pcapng"
    path.write_bytes(content)
    assert process.returncode == 0
    assert [int(record.data[42:50]) for record in read_pcapng(path).records] == list(range(3000))


def test_a_reader_that_is_gone_is_found_out_by_a_beat_too(tools, ns):
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs = server.accept()[0]
    with theirs:  # of a TCP connection nothing but a write tells
        process = tools.spawn(ns, *ON_LO, "-heartbeat", "20ms", stdout=theirs, stderr=subprocess.DEVNULL)
    ours.recv(1000)
    ours.close()
    seconds_to_end(process)
    assert process.returncode == 0


def test_pcap_has_no_place_for_it(tools, ns):
    for flags in (["-heartbeat", "1s"], ["-heartbeat=1s", "-format", "pcap"]):
        result = tools.run(ns, "-interface", "lo", *flags)
        assert (result.returncode, result.stdout) == (2, b"")
        assert b'level=ERROR msg="pcap has no place for a heartbeat, expected -format pcapng too" flag=-heartbeat' \
            in result.stderr


def send_in_bursts(ns, cpu, over, protocol):
    """From one processor, some packets and some silence, so that beats come in between."""
    os.sched_setaffinity(0, {cpu})
    frame = ethernet(0x88B5, bytes([protocol]) * 50)
    pause = 0.013 + 0.004 * cpu
    with socket_in(ns, socket.AF_PACKET, socket.SOCK_RAW, 0, peer=True) as sender:
        sender.bind(("gen0", 0))
        while not over.is_set():
            for _ in range(20):
                sender.send(frame)
            time.sleep(pause)
            pause = 0.065 if pause < 0.06 else 0.013


@pytest.mark.parametrize("stamped_early", [False, True])
def test_no_older_packet_follows_under_load_and_across_cpus(tools, ns, tmp_path, stamped_early):
    """
    A busy machine, and traffic from every processor. Where anybody on the machine has SO_TIMESTAMP the kernel stamps
    packets before they wait for their turn, else when they are counted.
    """
    cpus = sorted(os.sched_getaffinity(0))
    over = threading.Event()
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(HOGS)]
    stamps = socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM)
    if stamped_early:
        stamps.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    capture = tools.capture(ns, "-interface", "cap0", "-format", "pcapng", "-nano", "-heartbeat", "10ms", "ether proto 0x88b5",
                            path=tmp_path / "out.pcapng")
    threads = [threading.Thread(target=send_in_bursts, args=(ns, cpu, over, cpu)) for cpu in cpus]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: beats_so_far(capture.path) >= 200, timeout=120, interval=0.1)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for hog in hogs:
            hog.kill()
            hog.wait()
        stamps.close()
    assert capture.stop()[0] == 0
    file = read_pcapng(capture.path)
    least = worst_margin(file)
    print(f"{len(file.heartbeats)} beats, {len(file.records)} packets, the closest {least / 1e6:.3f} ms later than its beat")
    assert least > 0
    assert {record.data[14] for record in file.records} == set(cpus)


def worst_margin(file, left_out=()):
    """How much later than a beat's time the oldest packet behind it is, at least, ns."""
    oldest_behind = [float("inf")]
    for record in reversed(file.records):
        time_of = float("inf") if record.data[14:18] in left_out else record.nanoseconds
        oldest_behind.append(min(time_of, oldest_behind[-1]))
    oldest_behind.reverse()
    margins = [oldest_behind[before] - beat["time"] for before, beat in file.heartbeats]
    return min(margin for margin in margins if margin != float("inf"))


def test_what_is_not_printed_keeps_no_beat_back(tools, ns, tmp_path):
    """Packets that -direction leaves out are seen too."""
    capture = tools.capture(ns, "-interface", "cap0", "-format", "pcapng", "-direction", "out", "-heartbeat", "20ms",
                            "ether proto 0x88b5", path=tmp_path / "out.pcapng")
    over = threading.Event()
    thread = threading.Thread(target=send_in_bursts, args=(ns, 0, over, 1))
    thread.start()
    try:
        wait_until(lambda: beats_so_far(capture.path) >= 20)
    finally:
        over.set()
        thread.join()
    assert capture.stop()[0] == 0
    file = read_pcapng(capture.path)
    assert file.records == [] and file.heartbeats[-1][1]["ifrecv"] > 20


SO_TXTIME = 61


def test_a_beat_waits_for_what_was_counted_before_it(tools, ns, tmp_path):
    """
    Packets whose block has not retired are older than a beat's time may say: with stamps as old as the margin each
    would be found behind a beat that did not wait.
    """
    ip("-n", ns.peer, "link", "set", "gen0", "netns", ns.name)  # so that what the sender says of the time is kept
    ip("-n", ns.name, "link", "set", "gen0", "up")
    capture = tools.capture(ns, "-interface", "cap0", "-format", "pcapng", "-nano", "-heartbeat", "10ms",
                            "ether proto 0x88b5", path=tmp_path / "out.pcapng")
    with socket_in(ns, socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind(("gen0", 0))
        sender.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", 0, 0))  # CLOCK_REALTIME
        deadline = time.monotonic() + 20
        numbers, too_old = itertools.count(), set()
        while beats_so_far(capture.path) < 100 and time.monotonic() < deadline:
            number, stamp = struct.pack(">I", next(numbers)), time.time_ns() - MARGIN_NS + 200_000
            sender.sendmsg([ethernet(0x88B5, number + bytes(46))], [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", stamp))])
            if time.time_ns() - stamp >= MARGIN_NS:  # this program had to wait: it came with a stamp that is out of bounds
                too_old.add(number)
            time.sleep(0.0107)
            if beats_so_far(capture.path) % 7 == 0:
                time.sleep(0.02)
    assert capture.stop()[0] == 0
    file = read_pcapng(capture.path)
    assert len(file.heartbeats) > 20 and len(file.records) - len(too_old) > 20
    assert worst_margin(file, too_old) > 0
