"""Packets of every size, from nothing in them to more than 65,535 bytes."""
import socket
import threading

import pytest

from links.devices import send_datagram
from links.frames import ether
from links.sidebyside import SideBySide, inside, packet_socket
from support import ip, kernel_is_at_least


@pytest.mark.parametrize("size", [14, 60, 1024, 1025, 1482, 1514])
def test_a_single_packet_of_any_size_is_printed(tools, ns, tmp_path, size):
    with SideBySide(tools, ns, "cap0", tmp_path) as both:
        both.add(["-no-ssh-guard", "-filter", "ether proto 0x9999"], ["ether proto 0x9999"])
        both.begin()
        with packet_socket(ns.peer, "gen0") as peer:
            peer.send(ether(0x9999, b"z" * (size - 14)))
        both.end()
        assert [len(record.data) for record in both.compare().records] == [size]


def test_jumbo_frames_are_printed_whole(tools, ns, tmp_path):
    for name, device in ((ns.name, "cap0"), (ns.peer, "gen0")):
        ip("-n", name, "link", "set", device, "mtu", "9000")
    with SideBySide(tools, ns, "cap0", tmp_path) as both:
        both.add(["-no-ssh-guard"], ["-B", "65536"])
        both.begin()
        with packet_socket(ns.peer, "gen0") as peer:
            for size in (1500, 8999, 9000):
                peer.send(ether(0x9999, b"j" * size))
        both.end()
        assert [len(record.data) for record in both.compare().records] == [1514, 9013, 9014]


SO_RCVBUFFORCE = 33  # asm-generic/socket.h


def transfer(ns, family, address, size):
    """A TCP connection on lo that carries so many bytes. Its segments are as large as they can be: no window limits them."""
    with inside(ns.name):
        server = socket.create_server((address, 0), family=family)
        client = socket.socket(family, socket.SOCK_STREAM)
    with server, client:
        server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)  # else it grows only as fast as this process reads
        for sock in (server, client):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        client.connect(server.getsockname()[:2])
        accepted, _ = server.accept()
        with accepted:
            sender = threading.Thread(target=client.sendall, args=(bytes(size),))
            sender.start()
            while size > 0:
                size -= len(accepted.recv(1 << 20))
            sender.join()


def allow_big_tcp(ns):
    """Whether the kernel has it, over IPv6."""
    if kernel_is_at_least(5, 19):
        ip("-n", ns.name, "link", "set", "lo", "gso_max_size", "185000", "gro_max_size", "185000")
    return kernel_is_at_least(5, 19)


@pytest.mark.parametrize("family, address, largest", [
    (socket.AF_INET, "127.0.0.1", 32 << 10), (socket.AF_INET6, "::1", 32 << 10),
    (socket.AF_INET6, "::1", (64 << 10) + 1)])
def test_segments_that_no_wire_could_carry_are_printed_whole(tools, ns, tmp_path, family, address, largest):
    if largest > 64 << 10:
        largest = largest if allow_big_tcp(ns) else 32 << 10
    with SideBySide(tools, ns, "lo", tmp_path, lambda mark: send_datagram(ns, mark)) as both:
        both.add(["-snaplen", "0", "-filter", "tcp"], ["-B", "131072", "(not tcp port 2222) and (tcp)"])
        both.begin()
        transfer(ns, family, address, 3 << 20)
        both.end()
        records = both.compare(0, local=True).records
    assert max(len(record.data) for record in records) >= largest
    assert all(len(record.data) == record.original for record in records)


def test_of_such_segments_snaplen_bytes_are_kept(tools, ns, tmp_path):
    with SideBySide(tools, ns, "lo", tmp_path, lambda mark: send_datagram(ns, mark)) as both:
        both.add(["-no-ssh-guard", "-snaplen", "1000", "-filter", "tcp"], ["-s", "1000", "-B", "16384", "tcp"])
        both.begin()
        transfer(ns, socket.AF_INET, "127.0.0.1", 3 << 20)
        both.end()
        records = both.compare(0, local=True).records
    assert max(len(record.data) for record in records) == 1000
    assert max(record.original for record in records) >= 32 << 10
