"""Containers as Garden makes them with runc: uid map, capability lists, seccomp, namespaces, mounts."""
import contextlib
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from seccomp_profile import profile
from support import Namespace, USER, ip, wait_until

MAPPED_ROOT = 4294967294  # container root, as the host sees it
VCAP_ON_CELL = 1000  # the owner of the lifecycle files, and the number of many an image's user
CAPABILITIES = ["CAP_" + name for name in """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID
                SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE""".split()]
LIFECYCLE = "/tmp/lifecycle"
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()

PASSWD = """root:x:0:0:root:/root:/bin/bash
sshd:x:1:1:sshd:/:/bin/false
app:x:1000:1000:app:/home/vcap:/bin/bash
vcap:x:2000:2000:vcap:/home/vcap:/bin/bash
"""


def copy_lifecycle(stage, folder, capability=True):
    """The program, owned by the cell's vcap as everything in its cache."""
    folder.mkdir()
    shutil.copyfile(stage / "cf-pcap", folder / "cf-pcap")
    (folder / "cf-pcap").chmod(0o755)
    for path in (folder / "cf-pcap", folder):
        os.chown(path, VCAP_ON_CELL, VCAP_ON_CELL)
    if capability:
        subprocess.run(["setcap", "cap_net_raw=p", folder / "cf-pcap"], check=True)
    return folder


def make_root(folder, image):
    """The image: `cflinuxfs` has a whole Debian below /usr, `busybox` one file, `scratch` nothing."""
    for name in ("proc", "sys", "dev", "tmp", "tmp/lifecycle", "home/vcap"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").chmod(0o1777)
    (folder / "tmp/init").touch()
    if image == "busybox":
        (folder / "bin").mkdir()
        shutil.copy("/bin/busybox", folder / "bin")
        for applet in ("sh", "env", "head", "cat", "nc"):
            (folder / "bin" / applet).symlink_to("busybox")
    if image == "cflinuxfs":
        for name in ("usr", "etc", "run", "var"):
            (folder / name).mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        (folder / "etc/passwd").write_text(PASSWD)
        (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, MAPPED_ROOT, MAPPED_ROOT, follow_symlinks=False)
    os.chown(folder / "home/vcap", USER, USER)


def process_document(args, uid, env, no_new_privs, capabilities):
    """What runs, as whom. An ordinary user has no capability effective, nor permitted, nor ambient."""
    held = capabilities if uid == 0 else []
    return {"terminal": False, "user": {"uid": uid, "gid": uid}, "args": [str(word) for word in args],
            "env": [f"{name}={value}" for name, value in env.items()], "cwd": "/",
            "noNewPrivileges": no_new_privs,
            "capabilities": {"bounding": capabilities, "inheritable": capabilities,
                             "effective": held, "permitted": held}}


class Process:
    """A process in the container, started from outside as Garden does, with our own stdio."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=10):
        wait_until(lambda: self.poll() is not None, timeout)
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


class Container:
    """A running container. `name` is its network namespace, `peer` that of the cell around it: eth0
    (10.9.0.1) inside, gen0 (10.9.0.2) outside."""

    ADDRESS, PEER_ADDRESS = Namespace.ADDRESS, Namespace.PEER_ADDRESS

    running = 0

    def __init__(self, init, lifecycle, image="cflinuxfs", lifecycle_options=(), seccomp=None,
                 foreign_network=None, first=("/tmp/init",), uid=0):
        self.id = f"cfp-{os.getpid()}-c{next(_numbers)}"
        self.name, self.peer = self.id, f"{self.id}-peer"
        self.processes, self.init = [], None
        self.image, self.foreign_network = image, foreign_network
        self.mounts = [("proc", "proc", "/proc", []),
                       ("tmpfs", "tmpfs", "/dev", ["nosuid", "strictatime", "mode=755", "size=64k"]),
                       ("devpts", "devpts", "/dev/pts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
                       ("bind", init, "/tmp/init", ["bind", "ro"]),
                       ("bind", lifecycle, LIFECYCLE, ["bind", "ro", *lifecycle_options])]
        if image == "cflinuxfs":
            self.mounts.append(("bind", "/usr", "/usr", ["bind", "ro"]))
        if not foreign_network:  # only the owner of a network namespace may mount its sysfs
            self.mounts.append(("sysfs", "sysfs", "/sys", ["nosuid", "noexec", "nodev", "ro"]))
        self.seccomp = seccomp or profile()
        self.first = process_document(first, uid, {}, False, CAPABILITIES)

    def document(self):
        every_id = [{"containerID": 0, "hostID": MAPPED_ROOT, "size": 1},
                    {"containerID": 1, "hostID": 1, "size": MAPPED_ROOT - 1}]
        namespaces = [{"type": kind} for kind in ("user", "pid", "mount", "ipc", "uts")]
        network = {"path": f"/run/netns/{self.foreign_network}"} if self.foreign_network else {}
        return {"ociVersion": "1.0.2", "hostname": self.id,
                "root": {"path": str(self.root), "readonly": False},
                "process": self.first,
                "mounts": [{"type": kind, "source": str(source), "destination": place, "options": options}
                           for kind, source, place, options in self.mounts],
                "linux": {"uidMappings": every_id, "gidMappings": every_id, "seccomp": self.seccomp,
                          "namespaces": [*namespaces, {"type": "network", **network}]}}

    def runc(self, *words, **options):
        return subprocess.run(["runc", "--root", self.folder / "state", *words], **options)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="cf-pcap-container."))
            stack.callback(shutil.rmtree, self.folder)
            self.adopt(+1)
            stack.callback(self.adopt, -1)
            stack.callback(self.disconnect)
            stack.callback(lambda: self.init and self.init.kill())
            stack.callback(self.runc, "delete", "--force", self.id, stderr=subprocess.DEVNULL)
            # Before all that, since the first process cannot end before we have reaped the others.
            stack.callback(lambda: [process.kill() for process in self.processes])
            self.start()
            if not self.foreign_network:
                self.connect()
            self.clean_up = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.clean_up.close()

    def start(self):
        self.folder.chmod(0o755)
        self.root = self.folder / "root"
        make_root(self.root, self.image)
        (self.folder / "config.json").write_text(json.dumps(self.document()))
        # Inherited by the container's first process, which would keep a pipe open.
        with open(self.folder / "log", "wb") as log:
            started = self.runc("run", "--detach", "--bundle", self.folder, "--pid-file",
                                self.folder / "pid", self.id, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert started.returncode == 0, (self.folder / "log").read_text()
        self.init = Process(int((self.folder / "pid").read_text()))

    def connect(self):
        ip("netns", "attach", self.name, str(self.init.pid))
        ip("netns", "add", self.peer)
        for name in (self.name, self.peer):
            for knob in ("all", "default"):
                Namespace.sysctl(name, f"net.ipv6.conf.{knob}.disable_ipv6=1")
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "gen0", "netns", self.peer, "type", "veth",
           "peer", "name", "eth0", "netns", self.name)
        for name, link, address in ((self.name, "eth0", self.ADDRESS),
                                    (self.peer, "gen0", self.PEER_ADDRESS)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")

    def disconnect(self):
        for name in (self.name, self.peer):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)

    @classmethod
    def adopt(cls, more):
        """What runc starts for us and leaves behind becomes our child, so that we learn its status."""
        cls.running += more
        _libc.prctl(PR_SET_CHILD_SUBREAPER, cls.running > 0, 0, 0, 0)

    def spawn(self, *args, uid=USER, env=None, no_new_privs=False, capabilities=CAPABILITIES,
              stdin=subprocess.DEVNULL, stdout=None, stderr=None):
        """Starts a process inside as the platform starts them."""
        number = len(self.processes)
        document, pid_file = self.folder / f"process{number}.json", self.folder / f"pid{number}"
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "TZ": "UTC", **(env or {})}
        document.write_text(json.dumps(process_document(args, uid, env, no_new_privs, capabilities)))
        self.runc("exec", "--detach", "--process", document, "--pid-file", pid_file, self.id, check=True,
                  stdin=stdin, stdout=stdout, stderr=stderr)
        process = Process(int(pid_file.read_text()))
        self.processes.append(process)
        return process

    def run(self, *args, timeout=20, **options):
        """Runs a process inside to its end. Returns CompletedProcess with bytes."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.spawn(*args, stdout=out, stderr=err, **options)
            status = process.wait(timeout)
            out.seek(0), err.seek(0)
            return subprocess.CompletedProcess(args, status, out.read(), err.read())

    def processes_named(self, pattern):
        """Those inside whose name the regular expression is, by their number on the cell."""
        mine = os.readlink(f"/proc/{self.init.pid}/ns/pid")
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                name = (folder / "comm").read_text().rstrip("\n")
                if re.fullmatch(pattern, name) and os.readlink(folder / "ns/pid") == mine:
                    found.append(int(folder.name))
        return found

    def captures(self):
        return self.processes_named("cf-pcap")
