"""What is captured is what tcpdump captures beside it, record for record."""
import socket
import subprocess

import pytest

from e2e.traffic import (SOURCE, Datagrams, Sender, assert_same, assorted_frames,
                         capture_beside_tcpdump, ethernet, exchange_tcp, same_clock, send_udp,
                         udp4)
from support import read_pcap, socket_in, summary

ASSORTED = sum(1 for _ in assorted_frames())


@pytest.fixture(autouse=True)
def clock(ns):
    with same_clock(ns):
        yield


@pytest.fixture
def lo(ns):
    with Sender(ns, "lo") as sender:
        yield sender


@pytest.fixture
def peer(ns):
    with Sender(ns, "gen0", peer=True) as sender:
        yield sender


def test_ipv4_and_ipv6_on_lo(tools, ns, lo, tmp_path):
    def send():
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            send_udp(ns, family, address)

    records = assert_same(*capture_beside_tcpdump(tools, ns, tmp_path, "lo", lo, send))
    assert {record.data[12:14] for record in records} >= {b"\x08\x00", b"\x86\xdd"}
    assert max(record.original for record in records) > 32768  # segmentation offload


def test_ipv4_and_ipv6_in_both_directions(tools, ns, peer, tmp_path):
    def send():
        for family, ours, theirs in ((socket.AF_INET, ns.ADDRESS, ns.PEER_ADDRESS),
                                     (socket.AF_INET6, ns.ADDRESS6, ns.PEER_ADDRESS6)):
            send_udp(ns, family, theirs)
            send_udp(ns, family, ours, peer=True)

    records = assert_same(*capture_beside_tcpdump(tools, ns, tmp_path, "cap0", peer, send))
    assert {record.data[12:14] for record in records} >= {b"\x08\x00", b"\x86\xdd"}
    assert len({record.data[6:12] for record in records}) >= 3  # both sides, and the markers


def test_tcp_on_lo_and_between_hosts(tools, ns, lo, peer, tmp_path):
    """TCP's packets carry the time they were due instead of a time stamp: each tap stamps them."""
    for interface, sender, family, server, in_peer in (
            ("lo", lo, socket.AF_INET, "127.0.0.1", False),
            ("lo", lo, socket.AF_INET6, "::1", False),
            ("cap0", peer, socket.AF_INET, ns.PEER_ADDRESS, True),
            ("cap0", peer, socket.AF_INET6, ns.PEER_ADDRESS6, True)):
        ours, theirs = capture_beside_tcpdump(tools, ns, tmp_path, interface, sender,
                                              lambda: exchange_tcp(ns, family, server, in_peer))
        assert len(assert_same(ours, theirs, clock_slack_ns=1_000_000_000)) > 20


@pytest.mark.parametrize("snaplen", [0, 1, 11, 12, 13, 14, 15, 16, 17, 18, 60, 65535])
def test_snaplen(tools, ns, peer, tmp_path, snaplen):
    frames = list(assorted_frames())
    records = assert_same(*capture_beside_tcpdump(tools, ns, tmp_path, "cap0", peer,
                                                  lambda: peer.send(*frames), snaplen=snaplen))
    limit = snaplen or 262144
    assert all(len(record.data) == min(record.original, limit) for record in records)
    if limit >= 12:  # enough to see where a VLAN tag goes
        sent = [record for record in records[1:-1] if record.data[6:12] == SOURCE]
        assert [record.original for record in sent] == [len(frame) for frame in frames]
        assert [record.data for record in sent] == [frame[:limit] for frame in frames]


# The kernel takes the outer tag off before any filter: "udp" sees a datagram inside one tag.
VLAN7, VLAN5_6 = ((0x8100, 7),), ((0x8100, 5), (0x8100, 6))
FILTERS = [  # the tags of the markers, and how many of the assorted frames match
    ("", (), ASSORTED),
    ("udp", (), 30),
    ("ip6 or arp", (), 11),
    ("greater 1000", (), 8),
    ("len > 1000 and udp", (), 6),
    ("ether src 02:00:00:00:00:01 and not vlan", (), 13),
    ("vlan", VLAN7, 30),
    ("vlan 7", VLAN7, 10),
    ("vlan 7 and ip6", VLAN7, 5),
    ("vlan and udp port 9999", VLAN7, 20),
    ("vlan 5 and vlan 6", VLAN5_6, 10),
    ("vlan 5 and vlan 6 and udp port 9999", VLAN5_6, 10),
]


@pytest.mark.parametrize("expression, marker_tags, count", FILTERS)
def test_filter(tools, ns, peer, tmp_path, expression, marker_tags, count):
    peer.marker_tags = marker_tags
    records = assert_same(*capture_beside_tcpdump(
        tools, ns, tmp_path, "cap0", peer, lambda: peer.send(*assorted_frames()),
        expression=expression))
    assert len([record for record in records[1:-1] if record.data[6:12] == SOURCE]) == count


@pytest.mark.parametrize("expression, sides", [("inbound", {"gen0"}), ("outbound", {"cap0"}),
                                               ("udp", {"gen0", "cap0"})])
def test_filter_by_direction(tools, ns, peer, tmp_path, expression, sides):
    """Not compared: tcpdump runs the filter on its first packets itself, where it matches none."""
    capture = tools.capture(ns, "-interface", "cap0", "-filter", expression, path=tmp_path / "out.pcap")
    frames = {side: ethernet(0x0800, udp4(side.encode())) for side in ("gen0", "cap0")}
    with Sender(ns, "cap0") as own:
        peer.send(frames["gen0"])
        own.send(frames["cap0"])
    capture.stop()
    data = [record.data for record in read_pcap(capture.path).records]
    assert [frame for frame in data if frame[6:12] == SOURCE] == \
        [frames[side] for side in ("gen0", "cap0") if side in sides]


def test_frames_sent_by_this_side(tools, ns, tmp_path):
    with Sender(ns, "cap0") as sender:
        ours, theirs = capture_beside_tcpdump(tools, ns, tmp_path, "cap0", sender,
                                              lambda: sender.send(*assorted_frames()))
    assert len(assert_same(ours, theirs)) >= ASSORTED + 2


def test_a_hundred_thousand_packets_without_loss(tools, ns, lo, tmp_path):
    with Datagrams(ns) as datagrams:
        ours, theirs = capture_beside_tcpdump(tools, ns, tmp_path, "lo", lo,
                                              lambda: datagrams.send(100_000), snaplen=200,
                                              expression="udp port 9999",
                                              buffer_kib=131072)
    records = assert_same(ours, theirs)
    assert [int(record.data[42:50]) for record in records[1:-1]] == list(range(100_000))
    with open(f"{ours}.err", encoding="utf-8") as messages:
        assert summary(messages.read()) == (100_002, ours.stat().st_size, 0)


def test_tshark_and_tcpdump_accept_the_file(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "cap0", "udp", "or", "vlan", path=tmp_path / "out.pcap")
    with Sender(ns, "gen0", peer=True) as sender:
        sender.send(*assorted_frames())
        with socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM) as reply:
            reply.sendto(b"x", (ns.PEER_ADDRESS, 9999))
    capture.stop()
    count = len(read_pcap(capture.path).records)
    assert count > 30
    for reader in (["tshark", "-r", capture.path], ["tcpdump", "-n", "-r", capture.path]):
        result = subprocess.run(reader, capture_output=True, check=True, text=True)
        assert len(result.stdout.splitlines()) == count
        assert "cut short" not in result.stderr and "truncated" not in result.stderr
