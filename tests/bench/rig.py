"""What every measurement needs: traffic, capture tools at work on their own CPU, and what they cost."""
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from support import USER, Namespace, become_user, enter_namespace, ip, wait_until

ROOT = Path(__file__).resolve().parents[2]
FILTER = "udp port 9999"
TCP_FILTER, TCP_HEADERS = "tcp port 9999", 66  # gen -T: Ethernet, IPv4, TCP with a timestamp
SNAPLEN = "65535"
RING_MIB = 32  # the default of cf-pcap; the floors get the same
CAPTURE_CPU, TRAFFIC_CPU = 0, 1
FILE_HEADER, RECORD_HEADER = 24, 16


@dataclass
class Tool:
    name: str
    argv: list
    settle: float = 0.3  # seconds it may hold back packets
    uid: int = 0
    prompt: bool = False  # writes the file header at once

    def command(self, interface):
        return [str(word).replace("{interface}", interface) for word in self.argv]


def peer_tools():
    tcpdump = ["tcpdump", "-i", "{interface}", "-s", SNAPLEN, "-w", "-", FILTER]
    dumpcap = ["dumpcap", "-q", "-P", "-i", "{interface}", "-s", SNAPLEN, "-f", FILTER, "-w", "-"]
    return [Tool("tcpdump", tcpdump, settle=1.2), Tool("dumpcap", dumpcap, settle=0.7)]


def tcpdump_of_tcp(name, snaplen):
    return Tool(name, ["tcpdump", "-i", "{interface}", "-s", snaplen, "-w", "-", TCP_FILTER], settle=1.2)


def tcpdump_unbuffered():
    return Tool("tcpdump -U", ["tcpdump", "-U", *peer_tools()[0].argv[1:]], settle=1.2, prompt=True)


def cf_pcap(binary, name="cf-pcap", flags=(), expression=FILTER):
    argv = [binary, "-interface", "{interface}", "-snaplen", SNAPLEN, *flags, "-filter", expression]
    return Tool(name, argv, uid=USER, prompt=True)


class Rig(Namespace):
    """Two namespaces without a stray packet, the programs of this folder, and cf-pcap installed."""

    def __init__(self, others=None):
        self.others = others or {}  # name: binary of further installations of cf-pcap
        self.runs = []
        self.name = None

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="cf-pcap-bench."))
        self.folder.chmod(0o755)
        try:
            make = ["make", "--no-print-directory", "-C", ROOT, f"prefix={self.folder}"]
            subprocess.run([*make, "install", "bench-programs"], check=True, stdout=subprocess.DEVNULL)
            super().__enter__()
            self._silence()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        for run in self.runs:
            run.abandon()
        if self.name:
            super().__exit__(*error)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _silence(self):
        """No packets but those of the generator, so that an interface's counters tell what it offered."""
        for name, link in ((self.name, "cap0"), (self.peer, "gen0")):
            for knob in ("all", "default"):
                self.sysctl(name, f"net.ipv6.conf.{knob}.disable_ipv6=1")
            ip("-n", name, "link", "set", link, "arp", "off")

    def program(self, name):
        return ROOT / os.environ.get("BUILD", "build") / "bench" / name

    def cf_pcap(self, flags=()):
        return cf_pcap(self.folder / "bin" / "cf-pcap", flags=flags)

    def headers_only(self):
        return cf_pcap(self.folder / "bin" / "cf-pcap", "cf-pcap -headers-only", ["-headers-only"], TCP_FILTER)

    def subjects(self):
        return [self.cf_pcap(), *(cf_pcap(binary, name) for name, binary in self.others.items())]

    def floors(self):
        def floor(name, way, pipe_kib):
            return Tool(name, [self.program("floor"), "{interface}", FILTER, way, pipe_kib, RING_MIB],
                        prompt=True)
        return [floor("floor copy", "copy", 0), floor("floor writev", "writev", 0),
                floor("floor copy, 1 MiB pipe", "copy", 1024),
                floor("floor writev, 1 MiB pipe", "writev", 1024)]

    def start(self, tool, **options):
        run = Run(self, tool, **options)
        self.runs.append(run)
        return run

    def generator(self, interface, sizes, count=None, rate=0, seconds=60, tcp=False):
        """Starts traffic towards `interface`. Returns the process; Run.send() also waits for its end."""
        words = [self.program("gen"), "-s", ",".join(map(str, sizes)), "-r", rate, "-t", seconds]
        if count:
            words += ["-n", int(count)]
        if tcp:
            words += ["-T"]
        if interface != "lo":
            words += ["-i", "gen0"]
        return spawn(words, self.name if interface == "lo" else self.peer, TRAFFIC_CPU,
                     stdout=subprocess.PIPE)


def spawn(argv, namespace, cpu, uid=0, group=None, stamp=None, **options):
    def before_exec():
        if group:
            group.join()
        if os.cpu_count() > 1:
            os.sched_setaffinity(0, {cpu})
        enter_namespace(namespace)
        if uid:
            become_user(uid)
        if stamp is not None:
            os.write(stamp, struct.pack("d", time.monotonic()))

    return subprocess.Popen([str(word) for word in argv], preexec_fn=before_exec, cwd="/",
                            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC"}, **options)


def warm_memory(size):
    """So that no tool's file is made of memory that a virtual machine has not used yet."""
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        for _ in range((size >> 20) + 1):
            file.write(bytes(1 << 20))


class CpuGroup:
    """The CPU time of a process and all its descendants, by a control group (version 2)."""

    def __init__(self, name):
        with open("/proc/mounts", encoding="ascii") as mounts:
            found = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
        self.path = None
        try:
            self.path = Path(found[0]) / name
            self.path.mkdir()
        except (IndexError, OSError):
            self.path = None

    def join(self):
        if self.path:
            (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self):
        """None where control groups cannot be had."""
        if not self.path:
            return None
        return int(re.search(r"usage_usec (\d+)", (self.path / "cpu.stat").read_text()).group(1)) / 1e6

    def remove(self):
        if self.path:
            wait_until(lambda: not (self.path / "cgroup.procs").read_text())
            self.path.rmdir()


class Reader:
    """check.c at the other end of a tool's pipe, or over a file when the tool has ended."""

    def __init__(self, rig, stdin, phases="", latencies=0):
        self.progress_path = tempfile.mkstemp(prefix="progress.", dir=rig.folder)[1]
        words = [rig.program("check"), "-o", self.progress_path, "-l", latencies]
        if phases:
            words += ["-p", phases]
        self.process = spawn(words, rig.name, TRAFFIC_CPU, stdin=stdin, stdout=subprocess.PIPE)

    def progress(self):
        """Bytes and records read so far."""
        with open(self.progress_path, "rb") as file:
            content = file.read(16)
        return struct.unpack("QQ", content) if len(content) == 16 else (0, 0)

    def hurry(self):
        """From now on it reads as fast as it can."""
        self.process.send_signal(signal.SIGUSR1)

    def report(self):
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out)


class Run:
    """One tool at work, from exec to exit, and what came out of it."""

    def __init__(self, rig, tool, interface="cap0", sink="pipe", phases="", latencies=0):
        self.rig, self.tool, self.interface, self.sink = rig, tool, interface, sink
        self.reader, self.process, self.status, self.usage = None, None, None, None
        number = len(rig.runs)
        self.output, self.errors = rig.folder / f"out.{number}", rig.folder / f"err.{number}"
        self.group = CpuGroup(f"cf-pcap-bench-{os.getpid()}-{number}")
        stamp_read, stamp_write = os.pipe()
        try:
            self._start(stamp_write, phases, latencies)
            self.started = struct.unpack("d", os.read(stamp_read, 8))[0]
        finally:
            os.close(stamp_read)
            os.close(stamp_write)

    def _start(self, stamp, phases, latencies):
        if self.sink == "file":
            self.output = Path(tempfile.mkstemp(prefix="cf-pcap-bench.", dir="/dev/shm")[1])
            stdout = os.open(self.output, os.O_WRONLY)
        else:
            pipe, stdout = os.pipe()
            self.reader = Reader(self.rig, pipe, phases, latencies)
            os.close(pipe)
        with open(self.errors, "wb") as errors:
            self.process = spawn(self.tool.command(self.interface), self.rig.name, CAPTURE_CPU, stdout=stdout,
                                 uid=self.tool.uid, group=self.group, stamp=stamp, stderr=errors,
                                 stdin=subprocess.DEVNULL)
        os.close(stdout)

    def _bytes_out(self):
        return self.reader.progress()[0] if self.reader else self.output.stat().st_size

    def _proc(self, name):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.tool.name} ended with {self.process.returncode}: {self.messages()}")
        with open(f"/proc/{self.process.pid}/{name}", encoding="ascii") as file:
            return file.read()

    def _socket_is_bound(self):
        rows = [line.split() for line in self._proc("net/packet").splitlines()[1:]]
        return any(int(row[4]) > 0 and row[5] == "1" for row in rows)

    def wait_ready(self):
        """Until it captures, and what starting cost is over."""
        def ready():
            return self._socket_is_bound() and (not self.tool.prompt or self._bytes_out() >= FILE_HEADER)

        wait_until(ready, timeout=30)
        time.sleep(0.3)
        self.cpu_before = self.group.seconds()
        return self

    def arrived(self):
        """Packets the interface has taken in so far."""
        line = re.search(rf"^\s*{self.interface}:(.*)$", self._proc("net/dev"), re.MULTILINE).group(1)
        return int(line.split()[1])

    def send(self, sizes, **options):
        """Traffic, to its end. Returns what gen.c reports, and as "offered" what got to the interface."""
        before = self.arrived()
        generator = self.rig.generator(self.interface, sizes, **options)
        out, _ = generator.communicate()
        report = json.loads(out)
        report["offered"] = self.arrived() - before
        return report

    def settle(self, expected=None, timeout=40):
        """Until all packets are out, or nothing more comes."""
        quiet_since, seen = time.monotonic(), -1
        deadline = quiet_since + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            now, size = time.monotonic(), self._bytes_out()
            if size != seen:
                quiet_since, seen = now, size
            if size == expected or now - quiet_since > self.tool.settle:
                break
            time.sleep(0.02)

    def stop(self, timeout=20):
        """SIGINT, and the wait for its exit. Returns the seconds that took, and what the reader found."""
        ready = os.pidfd_open(self.process.pid)
        begun = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        _, status, self.usage = _wait(ready, self.process.pid, timeout)
        seconds = time.monotonic() - begun
        os.close(ready)
        self.process.returncode = self.status = os.waitstatus_to_exitcode(status)
        self.cpu = self._cpu()
        self.group.remove()
        return seconds, self._report()

    def _cpu(self):
        total = self.group.seconds()
        if total is None:
            return self.usage.ru_utime + self.usage.ru_stime
        return total - (self.cpu_before or 0)

    def _report(self):
        if self.reader is None:
            with open(self.output, "rb") as content:
                self.reader = Reader(self.rig, content)
            report = self.reader.report()
            self.output.unlink()
            return report
        return self.reader.report()

    def messages(self):
        return self.errors.read_text(encoding="utf-8", errors="replace")

    def switches(self):
        """How often it went to sleep, and how often it was made to wait, so far."""
        return sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", self._proc("status")))

    def memory(self):
        """Resident bytes: of the packet ring, and of everything else."""
        ring = rest = 0
        name = ""
        for line in self._proc("smaps").splitlines():
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                name = line
            elif line.startswith("Rss:"):
                size = int(line.split()[1]) << 10
                if "socket:[" in name:
                    ring += size
                else:
                    rest += size
        return ring, rest

    def abandon(self):
        """Ends whatever is still there."""
        for process in (self.process, self.reader and self.reader.process):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if self.status is None:
            self.group.remove()
        if self.sink == "file":
            self.output.unlink(missing_ok=True)


def _wait(pidfd, pid, timeout):
    if not select.select([pidfd], [], [], timeout)[0]:
        os.kill(pid, signal.SIGKILL)
    return os.wait4(pid, 0)


def is_sound(report, cut=False):
    """The file has not a byte that should not be there. Of packets that are cut their own numbers are not seen."""
    faults = ("torn", "corrupt") if cut else ("torn", "disorder", "foreign", "corrupt")
    return report["bytes"] >= FILE_HEADER and not report["error"] and not any(report[fault] for fault in faults)
