"""A plain capture, as its user sees it."""
import json
import os
import select
import statistics
import subprocess
import time

import pytest

from e2e.traffic import Datagrams, numbers
from support import read_pcap, summary, wait_until


def test_every_datagram_on_lo_is_captured_once(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "lo", "-filter", "udp port 9999", path=tmp_path / "out.pcap")
    with Datagrams(ns) as datagrams:
        datagrams.send(1000)
    status, messages = capture.stop()
    assert status == 0
    assert numbers(capture.path) == list(range(1000))
    assert summary(messages) == (1000, capture.path.stat().st_size, 0)


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
