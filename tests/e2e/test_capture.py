"""A plain capture, as its user sees it."""
import json
import os
import select
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.traffic import Datagrams, numbers
from support import read_pcap, socket_in, summary, wait_until


def test_every_datagram_on_lo_is_captured_once(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "lo", "-filter", "udp port 9999", path=tmp_path / "out.pcap")
    with Datagrams(ns) as datagrams:
        datagrams.send(1000)
    status, messages = capture.stop()
    assert status == 0
    assert numbers(capture.path) == list(range(1000))
    assert summary(messages) == (1000, capture.path.stat().st_size, 0)


def transfer(ns, size):
    """So many bytes over TCP on lo, to port 8080."""
    with socket_in(ns, socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 8080))
        listener.listen()
        with socket_in(ns, socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            with server, ThreadPoolExecutor(1) as thread:
                sent = thread.submit(lambda: (client.sendall(bytes(size)), client.shutdown(socket.SHUT_WR)))
                received = sum(map(len, iter(lambda: server.recv(1 << 20), b"")))
                sent.result()
    assert received == size


@pytest.mark.parametrize("flags, snaplen", [([], 262144), (["-snaplen", "0"], 262144), (["-snaplen", "65535"], 65535)])
def test_a_transfer_over_lo_is_captured_in_whole_packets_unless_less_was_asked_for(tools, ns, tmp_path, flags, snaplen):
    capture = tools.capture(ns, "-interface", "lo", *flags, "tcp port 8080", path=tmp_path / "out.pcap")
    transfer(ns, 3_000_000)
    status, messages = capture.stop()
    file = read_pcap(capture.path)
    assert status == 0 and summary(messages) == (len(file.records), capture.path.stat().st_size, 0)
    assert file.snaplen == snaplen
    assert max(record.original for record in file.records) >= 65549, "no packet is as long as they get"
    assert [len(record.data) for record in file.records] == \
        [min(snaplen, record.original) for record in file.records]


def test_the_smallest_ring_holds_a_whole_packet_of_lo(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "lo", "-buffer-size", "256k", "udp port 9999", path=tmp_path / "out.pcap")
    with Datagrams(ns) as datagrams:
        for number in range(1, 6):
            datagrams.send(1, size=65507)
            wait_until(lambda number=number: capture.path.stat().st_size == 24 + number * (16 + 65549))
    assert capture.stop()[0] == 0
    assert [len(record.data) for record in read_pcap(capture.path).records] == [65549] * 5


def test_a_large_datagram_by_itself_is_captured(tools, ns, tmp_path):
    """One that is written from the ring, with nothing behind it."""
    capture = tools.capture(ns, "-interface", "lo", "-filter", "udp port 9999", path=tmp_path / "out.pcap")
    with Datagrams(ns) as datagrams:
        datagrams.send(1, size=5000)
    wait_until(lambda: capture.path.stat().st_size == 24 + 16 + 5042)
    status, messages = capture.stop()
    assert (status, summary(messages)[0]) == (0, 1)
    assert [record.original for record in read_pcap(capture.path).records] == [5042]


def test_a_packet_is_printed_soon_on_a_quiet_interface(tools, ns):
    """`make bench` has the figures, this is what a loaded machine keeps, too."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0) as stream, Datagrams(ns) as datagrams:
        tools.spawn(ns, "-interface", "lo", "-filter", "udp port 9999", stdout=writer, stderr=subprocess.DEVNULL)
        os.close(writer)
        assert len(stream.read(24)) == 24
        late = []
        for _ in range(21):
            time.sleep(0.02)
            datagrams.send(1)
            sent = time.monotonic()
            assert select.select([stream], [], [], 10)[0]
            late.append(time.monotonic() - sent)
            assert len(stream.read(1000)) == 16 + 50
    print("printed after ms:", *(f"{1000 * one:.1f}" for one in late))
    assert statistics.median(late) < 0.1


def test_an_alternative_name_is_the_interface(tools, ns, tmp_path):
    ns.run("ip", "link", "property", "add", "dev", "lo", "altname", "loop0", check=True)
    capture = tools.capture(ns, "-interface", "loop0", path=tmp_path / "out.pcap")
    with Datagrams(ns) as datagrams:
        datagrams.send(10)
    status, messages = capture.stop()
    assert (status, numbers(capture.path)) == (0, list(range(10)))
    assert 'filter="not tcp port 2222"' in messages and "WARN" not in messages


@pytest.mark.parametrize("flags, expected", [([], 1), (["-no-promisc"], 0)])
def test_the_interface_is_promiscuous_while_it_is_captured_unless_told_not_to(tools, ns, tmp_path, flags, expected):
    def promiscuity():
        shown = ns.run("ip", "-d", "-j", "link", "show", "cap0", check=True, stdout=subprocess.PIPE).stdout
        return json.loads(shown)[0]["promiscuity"]

    capture = tools.capture(ns, "-interface", "cap0", *flags, path=tmp_path / "out.pcap")
    assert promiscuity() == expected
    capture.stop()
    assert promiscuity() == 0
