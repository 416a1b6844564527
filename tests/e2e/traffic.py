"""Traffic to capture, and tcpdump's capture of it to compare with."""
import os
import signal
import socket
import struct
import subprocess
import time
from contextlib import contextmanager

from support import read_pcap, socket_in, wait_until

# Lengths that no other frame of these tests has: what lies between the two is compared.
FIRST_LENGTH, LAST_LENGTH = 1313, 1414
FILLERS, FILLER_LENGTH = 4000, 1212  # more than libpcap's 256 KiB block holds
SOURCE, DESTINATION = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def ethernet(ether_type, payload, *tags):
    """A frame; tags are (TPID, TCI), the outermost first."""
    head = DESTINATION + SOURCE + b"".join(struct.pack("!HH", *tag) for tag in tags)
    return head + struct.pack("!H", ether_type) + payload


def udp4(payload, port=9999):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0,
                         socket.inet_aton("10.9.0.2"), socket.inet_aton("10.9.0.1"))
    return header + struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload


def udp6(payload, port=9999):
    header = struct.pack("!IHBB16s16s", 6 << 28, 8 + len(payload), 17, 64,
                         socket.inet_pton(socket.AF_INET6, "fd09::2"),
                         socket.inet_pton(socket.AF_INET6, "fd09::1"))
    return header + struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload


def assorted_frames():
    """Each kind of frame that a snaplen or a filter could treat differently."""
    vlan, provider = 0x8100, 0x88A8
    for size in (0, 1, 18, 100, 1400):
        payload = bytes(i % 251 for i in range(size))
        yield ethernet(0x0800, udp4(payload))
        yield ethernet(0x86DD, udp6(payload))
        yield ethernet(0x0800, udp4(payload), (vlan, 7))
        yield ethernet(0x86DD, udp6(payload), (vlan, 0xE000 | 7))  # priority 7
        yield ethernet(0x0800, udp4(payload), (vlan, 0x2000))  # priority 1, no VLAN
        yield ethernet(0x0800, udp4(payload), (vlan, 0))
        yield ethernet(0x0800, udp4(payload), (provider, 5), (vlan, 6))  # 802.1ad
        yield ethernet(0x0800, udp4(payload), (vlan, 5), (vlan, 6))
    yield ethernet(0x0806, bytes(28))
    yield ethernet(0x1234, b"")
    yield ethernet(0x1234, b"x")


class Sender:
    """Puts frames on an interface of the namespace, or of its peer."""

    def __init__(self, namespace, interface, peer=False):
        self.marker_tags = ()
        self.socket = socket_in(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0, peer=peer)
        self.socket.bind((interface, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        for frame in frames:
            self.socket.send(frame)

    def marker(self, length):
        tags = self.marker_tags
        return ethernet(0x86DD, udp6(bytes(length - len(ethernet(0, udp6(b""), *tags)))), *tags)

    def send_marker(self, length):
        self.send(self.marker(length))


class Datagrams:
    """UDP on lo from a sender to a receiver that takes note of each, so that one knows it arrived."""

    def __init__(self, namespace, address="127.0.0.1", port=9999):
        self.receiver = socket_in(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        self.receiver.settimeout(10)
        self.receiver.bind((address, port))
        self.sender = socket_in(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect((address, port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sender.close()
        self.receiver.close()

    def send(self, count, size=8, first=0):
        """Returns when the last one has arrived, so that every tap has seen all of them."""
        padding = bytes(size - 8)
        for number in range(first, first + count):
            self.sender.send(b"%08d" % number + padding)
        for _ in range(count):
            self.receiver.recv(size)


def payloads(content):
    """Of UDP over IPv4 in Ethernet."""
    return [record.data[42:] for record in read_pcap(content).records]


def numbers(content):
    """Which of Datagrams' datagrams are in a pcap file."""
    return [int(payload[:8]) for payload in payloads(content)]


def send_udp(namespace, family, address, peer=False):
    """Datagrams of several sizes; the last is left to the device to cut into segments."""
    with socket_in(namespace, family, socket.SOCK_DGRAM, peer=peer) as sender:
        for size in (0, 1, 100, 1400):
            sender.sendto(bytes(size), (address, 9999))
        sender.setsockopt(socket.IPPROTO_UDP, 103, 1400)  # UDP_SEGMENT
        sender.sendto(bytes(40_000), (address, 9999))


def exchange_tcp(namespace, family, server, server_in_peer, size=300_000):
    """Sends size bytes over a connection and gets as many back."""
    with socket_in(namespace, family, socket.SOCK_STREAM, peer=server_in_peer) as listener, \
            socket_in(namespace, family, socket.SOCK_STREAM) as client:
        listener.bind((server, 0))
        listener.listen()
        client.connect((server, listener.getsockname()[1]))
        served, _ = listener.accept()
        with served:
            for out, back in ((client, served), (served, client)):
                left = size
                while left > 0:
                    out.sendall(bytes(min(left, 100_000)))
                    wanted = min(left, 100_000)
                    while wanted > 0:
                        wanted -= len(back.recv(wanted))
                    left -= min(left, 100_000)


def has_marker(path, length):
    """Whether a pcap file that is still being written has it already."""
    with open(path, "rb") as file:
        content = file.read()
    at = 24
    while at + 16 <= len(content):
        captured, original = struct.unpack_from("<II", content, at + 8)
        if original == length:
            return True
        at += 16 + captured
    return False


def between_markers(content):
    records = read_pcap(content).records
    lengths = [record.original for record in records]
    return records[lengths.index(FIRST_LENGTH):lengths.index(LAST_LENGTH) + 1]


@contextmanager
def tcpdump(namespace, path, *arguments):
    """tcpdump -w beside a capture, under way inside the with block."""
    command = ["ip", "netns", "exec", namespace.name, "tcpdump", "-Z", "root", "-n", "-U",
               "-w", path, *arguments]
    with open(f"{path}.err", "w+b") as messages:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
        try:
            wait_until(lambda: b"listening on" in open(messages.name, "rb").read())
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


@contextmanager
def one_cpu():
    """Packets sent on different CPUs could pass two taps in a different order."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def capture_beside_tcpdump(tools, namespace, folder, interface, sender, send, snaplen=65535,
                           expression="", buffer_kib=16384):
    """
    Runs both while send() runs between two markers. Returns the pcap files of (ours, theirs),
    both checked to hold both markers.
    """
    theirs = folder / "theirs.pcap"
    flags = ["-interface", interface, "-snaplen", snaplen, "-no-ssh-guard", "-filter", expression]
    with tcpdump(namespace, theirs, "-i", interface, "-s", str(snaplen), "-B", str(buffer_kib),
                 *([expression] if expression else [])):
        capture = tools.capture(namespace, *flags, path=folder / "ours.pcap")
        with one_cpu():
            sender.send_marker(FIRST_LENGTH)
            send()
            sender.send_marker(LAST_LENGTH)
        wait_until(lambda: has_marker(capture.path, LAST_LENGTH), interval=0.02)
        status, messages = capture.stop()
        assert status == 0, messages
        # Without these, tcpdump's last block would take a second to be handed over.
        sender.send(*[sender.marker(FILLER_LENGTH)] * FILLERS)
        wait_until(lambda: has_marker(theirs, LAST_LENGTH), interval=0.02)
    return capture.path, theirs


def assert_same(ours, theirs, clock_slack_ns=0):
    """Record for record: time stamps, lengths, bytes. Returns the records."""
    mine, other = between_markers(ours), between_markers(theirs)
    for number, (one, two) in enumerate(zip(mine, other)):
        assert (one.original, one.data) == (two.original, two.data), f"record {number}"
        assert abs(one.nanoseconds - two.nanoseconds) <= clock_slack_ns, f"record {number}"
    assert len(mine) == len(other)
    a, b = read_pcap(ours), read_pcap(theirs)
    assert (a.snaplen, a.link_type, a.nano) == (b.snaplen, b.link_type, b.nano)
    return mine


@contextmanager
def same_clock(namespace):
    """
    All taps show the same time stamp for a packet: the kernel stamps it once, on reception, while
    any socket has SO_TIMESTAMPNS. Otherwise each tap stamps for itself.
    """
    taps = [socket_in(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in range(2)]
    for tap in taps:
        tap.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        tap.bind(("lo", 3))  # ETH_P_ALL
        tap.settimeout(5)

    def stamped_once():
        sender.send_marker(100)
        return taps[0].recvmsg(100, 100)[1] == taps[1].recvmsg(100, 100)[1]

    with Sender(namespace, "lo") as sender:
        wait_until(stamped_once)
    for tap in taps:  # open and deaf
        tap.bind(("lo", 0))
    try:
        yield
    finally:
        for tap in taps:
            tap.close()
