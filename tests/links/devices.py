"""Devices of every link type, and how to send a packet through each."""
import contextlib
import fcntl
import os
import socket
import stat
import struct

from links.frames import OURS, V4, ether, ipv4, traffic, udp
from links.sidebyside import inside, packet_socket
from support import ip

TUN = "/dev/net/tun"
TUNSETIFF, TUNSETLINK = 0x400454CA, 0x400454CD
IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
# net/if_arp.h. What has no ARPHRD of its own, wireguard among them, is ARPHRD_NONE, as tun is.
ARPHRD = {"tun": 65534, "ppp": 512, "rawip": 519, "ipip": 768, "ip6tnl": 769, "sit": 776, "gre": 778,
          "void": 65535, "netlink": 824, "radiotap": 803, "can": 280, "infiniband": 32}


def packets():
    """The frames of the mix whose link layer can be left out: IPv4 and IPv6."""
    return [frame[14:] for _, frame in traffic() if frame[12:14] in (b"\x08\x00", b"\x86\xdd")]


class Link:
    """An interface, and a way to make packets arrive there."""

    def __init__(self, name, send, mark=None):
        self.name, self.send_all = name, send
        self.send_mark = mark or (lambda text: send([text]))


def open_tun():
    """Whose node is made where no udev has made it."""
    if not os.path.exists(TUN):
        os.makedirs(os.path.dirname(TUN), exist_ok=True)
        os.mknod(TUN, stat.S_IFCHR | 0o600, os.makedev(10, 200))
    return os.open(TUN, os.O_RDWR)


@contextlib.contextmanager
def tunnel(ns, name, kind=IFF_TUN):
    """A tun or tap device. As a tun it gets the hardware type that its name stands for."""
    with inside(ns.name):
        fd = open_tun()
        try:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), kind | IFF_NO_PI))
            if kind == IFF_TUN:
                fcntl.ioctl(fd, TUNSETLINK, ARPHRD[name])
            ip("-n", ns.name, "link", "set", name, "up")

            def send(payloads):
                for payload in payloads:
                    os.write(fd, payload)

            yield send
        finally:
            os.close(fd)


def peer_sender(ns):
    def send(frames):
        with packet_socket(ns.peer, "gen0") as sock:
            for frame in frames:
                sock.send(frame)
    return send


def mark_packet(text):
    return ipv4(17, udp(9, 9, text))


def mark_frame(text):
    return ether(0x88B5, text, b"\xff" * 6)


@contextlib.contextmanager
def link(ns, kind):
    """Makes a link of a kind. Its name is also its device's, but for cap0 and any."""
    ip("-n", ns.name, "link", "set", "cap0", "address", OURS.hex(":"))
    frames = [frame for _, frame in traffic()]
    if kind in ARPHRD:
        with tunnel(ns, kind) as send:
            yield Link(kind, lambda: send(packets()), lambda text: send([mark_packet(text)]))
    elif kind == "tap":
        with tunnel(ns, kind, IFF_TAP) as send:
            yield Link(kind, lambda: send(frames), lambda text: send([mark_frame(text)]))
    elif kind == "lo":
        yield Link("lo", lambda: send_on_lo(ns), lambda text: send_datagram(ns, text))
    else:
        if kind == "bridge":
            ip("-n", ns.name, "link", "add", "bridge", "type", "bridge")
            ip("-n", ns.name, "link", "set", "cap0", "master", "bridge")
        elif kind == "macvlan":
            ip("-n", ns.name, "link", "add", "link", "cap0", "name", "macvlan", "type", "macvlan",
               "mode", "passthru")
        if kind in ("bridge", "macvlan"):
            ip("-n", ns.name, "link", "set", kind, "address", OURS.hex(":"))
            ip("-n", ns.name, "link", "set", kind, "up")
        send = peer_sender(ns)

        def send_both_ways():
            send(frames)
            if kind in ("any", "cap0"):
                with packet_socket(ns.name, "cap0") as sock:
                    sock.send(frames[5])
            if kind == "any":
                send_on_lo(ns)
        yield Link(kind, send_both_ways, lambda text: send([mark_frame(text)]))


def send_datagram(ns, payload, to="127.0.0.1", port=9):
    with inside(ns.name):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(payload, (to, port))


def send_on_lo(ns):
    """Real packets of the machine's own: UDP, its ICMP answer, a refused TCP connection, IPv6."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, V4)):
        with inside(ns.name):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                for size in (0, 1, 100, 5000):
                    sock.sendto(b"d" * size, (address, 8080))
            for port in (8080, 2222):
                with socket.socket(family, socket.SOCK_STREAM) as sock:
                    with contextlib.suppress(OSError):
                        sock.connect((address, port))
