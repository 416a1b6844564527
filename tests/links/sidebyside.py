"""cf-pcap and tcpdump -w on the same packets at the same time, compared record for record."""
import contextlib
import difflib
import os
import signal
import socket
import struct
import subprocess

from support import CLONE_NEWNET, _libc, enter_namespace, read_pcap, state_of, wait_until

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
MARK_PROTOCOL = 0x88B5  # IEEE 802 local experimental
CLOCKS_APART = 100_000_000  # ns between two sockets' look at one packet, at most
DRAWN_OUT = 20  # seconds that a loaded machine may need for anything


@contextlib.contextmanager
def inside(name):
    """This thread, sockets it opens included, in another network namespace for a while."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter_namespace(name)
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(home)


def packet_socket(name, interface, protocol=0):
    """A raw packet socket in a namespace, for sending or watching frames. interface "any": all."""
    with inside(name):
        if interface == "any":
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind((interface, protocol))
        return sock


class Watcher:
    """
    Sees what a capture on the same interface sees, and tells when a mark has passed. With
    SO_TIMESTAMPNS set here the kernel stamps a packet once, so that all sockets get one time.
    """

    def __init__(self, namespace, interface):
        self.sock = packet_socket(namespace, interface, ETH_P_ALL)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
        self.sock.settimeout(DRAWN_OUT)

    def wait_for(self, mark):
        """Returns the mark's time in ns since the epoch."""
        while True:
            data, control, _, address = self.sock.recvmsg(1 << 18, 256)
            if mark in data and not (address[0] == "lo" and address[2] == socket.PACKET_OUTGOING):
                seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
                return seconds * 1_000_000_000 + nanoseconds

    def close(self):
        self.sock.close()


class Tcpdump:
    """tcpdump -w into a file, as root, in a namespace."""

    def __init__(self, namespace, *arguments, path):
        self.path, self.error_path = path, f"{path}.err"
        with open(self.error_path, "wb") as err:
            self.process = subprocess.Popen(
                ["tcpdump", "-Z", "root", "--immediate-mode", "-U", "-w", str(path), *arguments],
                preexec_fn=lambda: enter_namespace(namespace), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=err)

    def messages(self):
        with open(self.error_path, encoding="utf-8", errors="replace") as err:
            return err.read()

    def is_ready(self):
        return "listening on" in self.messages() or self.process.poll() is not None

    def is_idle(self):
        """Waits for packets, so everything up to now is written."""
        assert self.process.poll() is None, self.messages()
        return state_of(self.process.pid) == "S"

    def stop(self):
        wait_until(self.is_idle, DRAWN_OUT)
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(DRAWN_OUT) == 0, self.messages()
        assert "\n0 packets dropped by kernel" in self.messages(), self.messages()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def describe(file):
    return [f"link type {file.link_type}, snaplen {file.snaplen}, nano {file.nano}"] + \
        [f"{record.nanoseconds} {len(record.data)}/{record.original} {record.data[:64].hex()}"
         for record in file.records]


def difference(ours, theirs):
    return "\n".join(difflib.unified_diff(describe(theirs), describe(ours), "tcpdump", "cf-pcap", "", "", 0, ""))


def without_stale_address(link_type, data):
    """libpcap copies all 8 bytes of a cooked header's address, also those that are of older packets."""
    if link_type == 276:
        length_at, address_at = 11, 12
    elif link_type == 113:
        length_at, address_at = 5, 6
    else:
        return data
    end = address_at + 8
    used = min(data[length_at], 8)
    return data[:address_at + used] + bytes(len(data[address_at + used:end])) + data[end:]


def forgive_late_clocks(ours, theirs):
    for mine, other in zip(ours, theirs):
        if mine.data == other.data and abs(mine.nanoseconds - other.nanoseconds) < CLOCKS_APART:
            mine.nanoseconds = other.nanoseconds


def is_multicast(record):
    return record.data[0] & 1


class SideBySide:
    """
    `with SideBySide(tools, ns, interface, tmp_path) as both:` then both.add(our flags, tcpdump's
    arguments) for each pair, both.begin(), traffic, both.end(), both.compare(). With `multicast_apart`
    the kernel delivers multicasts from a work queue, and each socket has its own order of them among
    the others: then it counts only among themselves.
    """

    def __init__(self, tools, ns, interface, folder, send_mark=None, multicast_apart=False):
        self.tools, self.ns, self.interface, self.folder = tools, ns, interface, folder
        self.multicast_apart = multicast_apart
        self.pairs, self.marks = [], 0
        self.send_mark = send_mark or self.send_mark_from_peer

    def __enter__(self):
        self.processors = os.sched_getaffinity(0)
        self.watcher = Watcher(self.ns.name, self.interface)
        return self

    def __exit__(self, *_):
        os.sched_setaffinity(0, self.processors)
        self.watcher.close()
        for _, theirs in self.pairs:
            theirs.kill()

    def add(self, flags=(), arguments=(), **options):
        stem = self.folder / f"pair{len(self.pairs)}"
        theirs = Tcpdump(self.ns.name, "-i", self.interface, *arguments, path=f"{stem}.theirs")
        self.pairs.append((None, theirs))
        ours = self.tools.capture(self.ns, "-interface", self.interface, *flags, path=f"{stem}.ours", **options)
        self.pairs[-1] = (ours, theirs)
        return ours

    def send_mark_from_peer(self, mark):
        with packet_socket(self.ns.peer, "gen0") as sock:
            sock.send(b"\xff" * 6 + b"\x02\0\0\0\0\x02" + struct.pack("!H", MARK_PROTOCOL) + mark)

    def pass_mark(self):
        self.marks += 1
        mark = b"mark %d of %d" % (self.marks, os.getpid()) + b"." * 40
        self.send_mark(mark)
        return self.watcher.wait_for(mark)

    def begin(self, warm_up=lambda: None):
        """
        libpcap runs the filter once more in user space on a packet or two, at first, and there
        inbound, outbound and ifindex never match. warm_up makes such packets; they do not count.
        """
        for _, theirs in self.pairs:
            wait_until(theirs.is_ready, DRAWN_OUT)
            assert theirs.process.poll() is None, theirs.messages()
        warm_up()
        # On one processor everything has one order; on several, sockets may see two.
        os.sched_setaffinity(0, {min(self.processors)})
        self.since = self.pass_mark()

    def end(self):
        self.until = self.pass_mark()
        os.sched_setaffinity(0, self.processors)
        for ours, theirs in self.pairs:
            status, messages = ours.stop(timeout=DRAWN_OUT)
            assert status == 0, messages
            assert " dropped=0\n" in messages
            theirs.stop()

    def between_marks(self, file):
        unit = 1 if file.nano else 1000
        return [record for record in file.records
                if self.since // unit < record.nanoseconds // unit < self.until // unit]

    def compare(self, number=0, local=False):
        """
        Both files have the same header and the same records. Returns ours. Where packets are
        `local`, TCP segments on lo carry the time they are due to leave instead of a timestamp, so
        each socket asks the clock for itself: those times may differ a little.
        """
        ours, theirs = (read_pcap(end.path) for end in self.pairs[number])
        return self.compare_files(ours, theirs, number, local)

    def compare_files(self, ours, theirs, number, local):
        ours.records, theirs.records = self.between_marks(ours), self.between_marks(theirs)
        for record in theirs.records:
            record.data = without_stale_address(theirs.link_type, record.data)
        if self.multicast_apart:
            ours.records.sort(key=is_multicast)
            theirs.records.sort(key=is_multicast)
        if local:
            forgive_late_clocks(ours.records, theirs.records)
        assert describe(ours) == describe(theirs), f"pair {number}\n{difference(ours, theirs)}"
        assert ours.records == theirs.records
        return ours
