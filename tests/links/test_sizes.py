"""Packets of every size, from nothing in them to more than 65,535 bytes."""
import pytest

from links.frames import ether
from links.sidebyside import SideBySide, packet_socket


@pytest.mark.parametrize("size", [14, 60, 1024, 1025, 1482, 1514])
def test_a_single_packet_of_any_size_is_printed(tools, ns, tmp_path, size):
    with SideBySide(tools, ns, "cap0", tmp_path) as both:
        both.add(["-no-ssh-guard", "-filter", "ether proto 0x9999"], ["-s", "65535", "ether proto 0x9999"])
        both.begin()
        with packet_socket(ns.peer, "gen0") as peer:
            peer.send(ether(0x9999, b"z" * (size - 14)))
        both.end()
        assert [len(record.data) for record in both.compare().records] == [size]
