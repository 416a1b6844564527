"""A plain capture, as its user sees it."""
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
