"""What the tests share: namespaces, an ordinary user, captures, and reading pcap strictly."""
import contextlib
import ctypes
import itertools
import os
import re
import signal
import socket
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER = 2000  # vcap
CLONE_NEWNET = 0x40000000
# IPv6 without packets of its own while a test captures. MLDv1 reports an address as it is added and
# again within the interval (ms); MLDv2 reports it some time later.
QUIET_IPV6 = ("accept_dad=0", "router_solicitations=0", "addr_gen_mode=1", "force_mld_version=1",
              "mldv1_unsolicited_report_interval=86400000")
# One message, as Go's slog.TextHandler writes it.
LOG_LINE = re.compile(r'time=\S+ level=(DEBUG|INFO|WARN|ERROR) msg=("(?:[^"\\]|\\.)*"|[^ "=]+)'
                      r'( [a-z0-9-]+=("(?:[^"\\]|\\.)*"|[^ "=]+))*')
# What a package is built from.
SOURCES = ["Makefile", "LICENSE", "NEWS", *(f"{page}.md" for page in ("README", "OPERATOR", "SECURITY", "KERNELS", "PERFORMANCE")),
           "base", "collector", "common", "formats", "helper", "sandbox", "tail", "writer", "packaging"]
# With Debian's libraries, without a module of anybody's.
GO_ENVIRONMENT = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "",
                  "CGO_ENABLED": "0", "GOCACHE": str(ROOT / "build/go-cache")}
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL)


class Namespace:
    """Two network namespaces: `name`, where captures run, and `peer`, joined by cap0 <-> gen0."""

    ADDRESS, PEER_ADDRESS = "10.9.0.1", "10.9.0.2"
    ADDRESS6, PEER_ADDRESS6 = "fd09::1", "fd09::2"

    def __enter__(self):
        number = f"{os.getpid()}-{next(_numbers)}"
        self.name, self.peer = f"cfp-{number}", f"cfp-{number}-peer"
        try:
            for name in (self.name, self.peer):
                ip("netns", "add", name)
                self.sysctl(name, *(f"net.ipv6.conf.{devices}.{setting}" for devices in ("all", "default")
                                    for setting in QUIET_IPV6))
                ip("-n", name, "link", "set", "lo", "up")
            ip("link", "add", "cap0", "netns", self.name, "type", "veth",
               "peer", "name", "gen0", "netns", self.peer)
            for name, link, v4, v6 in ((self.name, "cap0", self.ADDRESS, self.ADDRESS6),
                                       (self.peer, "gen0", self.PEER_ADDRESS, self.PEER_ADDRESS6)):
                ip("-n", name, "addr", "add", f"{v4}/24", "dev", link)
                ip("-n", name, "link", "set", link, "up")
                ip("-n", name, "addr", "add", f"{v6}/64", "dev", link, "nodad")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in (self.name, self.peer):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)

    @staticmethod
    def sysctl(name, *settings):
        subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", *settings], check=True)

    def run(self, *argv, peer=False, **options):
        """Runs a command as root inside, to its end."""
        name = self.peer if peer else self.name
        return subprocess.run(["ip", "netns", "exec", name, *argv], **options)


def kernel_is_at_least(*version):
    """For what came with a release."""
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2]) >= version


def enter_namespace(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def processes_in(namespace):
    """The names of the namespace's processes."""
    pids = subprocess.run(["ip", "netns", "pids", namespace.name], check=True, stdout=subprocess.PIPE).stdout
    names = []
    for pid in pids.decode().split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            names.append(Path(f"/proc/{pid}/comm").read_text().rstrip("\n"))
    return names


def children_of(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid):
    """A letter, proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def full_pipe():
    """A pipe that takes nothing more. Returns its ends."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
        return reader, writer


def become_user(uid=USER):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def socket_in(namespace, *arguments, peer=False):
    """A socket of the namespace, held by the test itself."""

    def make():
        enter_namespace(namespace.peer if peer else namespace.name)
        return socket.socket(*arguments)

    with ThreadPoolExecutor(1) as thread:  # setns(2) moves one thread: this one ends here
        return thread.submit(make).result()


def spawn_as_user(argv, namespace, uid=USER, prepare_as_root=None, prepare=None, env=None, **options):
    """A process of an ordinary user, inside the namespace, without any capability."""

    def before_exec():
        enter_namespace(namespace.name if hasattr(namespace, "name") else namespace)
        if prepare_as_root:
            prepare_as_root()
        become_user(uid)
        if prepare:
            prepare()

    return subprocess.Popen([str(word) for word in argv], preexec_fn=before_exec, cwd="/",
                            env=env if env is not None else {"PATH": os.environ["PATH"], "TZ": "UTC"},
                            **options)


class Tools:
    """The installed binaries."""

    def __init__(self, folder):
        self.helper = folder / "cf-pcap"
        build = ROOT / ("build/sanitized" if os.environ.get("CFPCAP_SANITIZE") == "1" else "build")
        self.writer = build / "cf-pcap-writer.image"  # as it is carried inside it
        self.processes = []

    def spawn(self, namespace, *flags, **options):
        process = spawn_as_user([self.helper, *flags], namespace, **options)
        self.processes.append(process)
        return process

    def end_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def assert_none_aborted(self):
        """A sanitizer ends its report with abort(3). Where its runtime is not allowed to, it dies of that."""
        ends = {process.returncode for process in self.processes}
        assert ends.isdisjoint({-signal.SIGABRT, -signal.SIGSYS, -signal.SIGSEGV, -signal.SIGBUS}), \
            "a sanitizer's report is among the captured messages of this test"

    def run(self, namespace, *flags, timeout=20, **options):
        """A run to its end. Returns CompletedProcess with bytes."""
        process = self.spawn(namespace, *flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"still running after {timeout} s: {err.decode()}") from None
        return subprocess.CompletedProcess(flags, process.returncode, out, err)

    def capture(self, namespace, *flags, path, **options):
        """Starts a capture into a file and returns once it is under way."""
        return Capture(self, namespace, flags, path, options)


class Capture:
    """A running capture into a file."""

    def __init__(self, tools, namespace, flags, path, options):
        self.path, self.error_path = path, str(path) + ".err"
        with open(path, "wb") as out, open(self.error_path, "wb") as err:
            self.process = tools.spawn(namespace, *flags, stdout=out, stderr=err, **options)
        wait_until(lambda: os.path.getsize(path) >= 24 or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError(f"did not start: {self.messages()}")

    def messages(self):
        with open(self.error_path, encoding="utf-8", errors="replace") as err:
            return err.read()

    def stop(self, number=signal.SIGINT, timeout=10):
        """Asks it to stop. Returns (exit status, its messages)."""
        self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        return status, self.messages()


def wait_until(condition, timeout=10.0, interval=0.005):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("did not happen in time")
        time.sleep(interval)


@dataclass
class Record:
    nanoseconds: int  # since the epoch
    original: int
    data: bytes


@dataclass
class PcapFile:
    snaplen: int
    link_type: int
    nano: bool
    records: list = field(default_factory=list)


def read_pcap(content):
    """Reads a pcap file and rejects any deviation from pcap-savefile(5)."""
    if not isinstance(content, (bytes, bytearray)):
        with open(content, "rb") as file:
            content = file.read()
    magic, major, minor, zone, figures, snaplen, link_type = struct.unpack_from("<IHHiIII", content)
    assert magic in (0xA1B2C3D4, 0xA1B23C4D), hex(magic)
    assert (major, minor, zone, figures) == (2, 4, 0, 0)
    result = PcapFile(snaplen, link_type, magic == 0xA1B23C4D)
    at = 24
    while at < len(content):
        assert at + 16 <= len(content), "torn record header"
        seconds, fraction, captured, original = struct.unpack_from("<IIII", content, at)
        at += 16
        assert fraction < (1_000_000_000 if result.nano else 1_000_000), "fraction of a second"
        assert captured <= snaplen and captured <= original, "captured length"
        assert at + captured <= len(content), "torn record"
        unit = 1 if result.nano else 1000
        result.records.append(Record(seconds * 1_000_000_000 + fraction * unit, original,
                                     bytes(content[at:at + captured])))
        at += captured
    return result


def summary(messages):
    """packets, bytes and dropped of the last "stopped capture" line."""
    line = [line for line in messages.splitlines() if 'msg="stopped capture"' in line][-1]
    fields = dict(word.split("=") for word in line.split() if "=" in word and '"' not in word)
    return int(fields["packets"]), int(fields["bytes"]), int(fields["dropped"])
