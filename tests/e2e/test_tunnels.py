"""What carries other packets: the guard does not see inside of it, and says so."""
import socket
import struct

import pytest

from e2e.traffic import Sender, ethernet
from support import ip, read_pcap

IN_CONTAINER = {"CF_INSTANCE_PORTS": "[]"}  # port 2222 is left out on every interface
WARNING = 'msg="an ssh session that comes through a tunnel or a VLAN is captured too"'


def ipv4(protocol, payload):
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, socket.inet_aton("10.9.0.2"),
                       socket.inet_aton("10.9.0.1")) + payload


def ssh(name):
    return ipv4(6, struct.pack("!HHIIBBHHH", 40000, 2222, 1, 1, 0x50, 0x18, 1000, 0, 0) + name)


def udp(port, payload):
    return ipv4(17, struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload)


SEEN = {b"plain": ethernet(0x0800, ssh(b"plain")), b"one tag": ethernet(0x0800, ssh(b"one tag"), (0x8100, 7))}
UNSEEN = {
    b"two tags": ethernet(0x0800, ssh(b"two tags"), (0x88A8, 5), (0x8100, 7)),
    b"ipip": ethernet(0x0800, ipv4(4, ssh(b"ipip"))),
    b"vxlan": ethernet(0x0800, udp(4789, struct.pack("!II", 1 << 27, 9 << 8) + ethernet(0x0800, ssh(b"vxlan")))),
}


def test_a_session_inside_other_packets_is_not_seen_there(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "cap0", path=tmp_path / "out.pcap", env=IN_CONTAINER)
    with Sender(ns, "gen0", peer=True) as sender:
        sender.send(*SEEN.values(), *UNSEEN.values())
    assert capture.stop()[0] == 0
    printed = b"".join(record.data for record in read_pcap(capture.path).records)
    assert {name for name in [*SEEN, *UNSEEN] if name in printed} == set(UNSEEN)


def messages_on(tools, ns, tmp_path, *flags):
    capture = tools.capture(ns, *flags, path=tmp_path / "out.pcap", env=IN_CONTAINER)
    status, messages = capture.stop()
    assert status == 0
    return messages


def add_tun(ns):
    ip("netns", "exec", ns.name, "ip", "tuntap", "add", "dev", "tunnel0", "mode", "tun")


def add_tap(ns):
    ip("netns", "exec", ns.name, "ip", "tuntap", "add", "dev", "tunnel0", "mode", "tap")


def add_vxlan(ns):
    ip("-n", ns.name, "link", "add", "tunnel0", "type", "vxlan", "id", "9", "remote", "10.9.0.2", "dstport", "4789")


@pytest.mark.parametrize("add", [add_tun, add_tap, add_vxlan])
def test_there_is_a_warning_where_an_interface_for_such_is_up(tools, ns, tmp_path, add):
    add(ns)
    assert WARNING not in messages_on(tools, ns, tmp_path, "-interface", "any")
    ip("-n", ns.name, "link", "set", "dev", "tunnel0", "up")
    for interface in ("any", "cap0"):
        assert f"{WARNING} interface={interface} tunnel=tunnel0" in messages_on(tools, ns, tmp_path, "-interface", interface)
    for flags in (["-interface", "tunnel0"], ["-interface", "lo"], ["-interface", "cap0", "-no-ssh-guard"]):
        assert WARNING not in messages_on(tools, ns, tmp_path, *flags)


def test_a_broadcast_of_ip_needs_a_netmask(tools, ns, tmp_path):
    """tcpdump would take 0 for it, and miss those of the network."""
    ip("-n", ns.name, "addr", "flush", "dev", "cap0")
    for interface in ("any", "cap0"):
        done = tools.run(ns, "-interface", interface, "-filter", "ip broadcast")
        assert done.returncode == 1 and done.stdout == b""
        assert b"no IPv4 netmask is known here" in done.stderr and b"dst host 255.255.255.255" in done.stderr
    ip("-n", ns.name, "addr", "add", "10.9.0.1/24", "dev", "cap0")
    capture = tools.capture(ns, "-interface", "cap0", "-filter", "ip broadcast", path=tmp_path / "out.pcap")
    with Sender(ns, "gen0", peer=True) as sender:
        for last in (254, 255):
            packet = bytearray(udp(9, bytes(8)))
            packet[19] = last
            sender.send(ethernet(0x0800, bytes(packet)))
    assert capture.stop()[0] == 0
    assert [record.data[33] for record in read_pcap(capture.path).records] == [255]
