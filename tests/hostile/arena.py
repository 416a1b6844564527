"""Where the attacks take place: compiled attackers, odd installations, and a witness of frames."""
import ctypes
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from support import USER, become_user, enter_namespace

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18
ETH_P_ALL, SOL_PACKET = 3, 263
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def mount(source, target, flags, kind=None):
    _call("mount", os.fsencode(source), os.fsencode(target), kind and kind.encode(), flags, None)


def private_mounts():
    _call("unshare", CLONE_NEWNS)
    mount("none", "/", MS_REC | MS_PRIVATE)


def bind(source, target, read_only=False):
    mount(source, target, MS_BIND)
    if read_only:
        mount("none", target, MS_REMOUNT | MS_BIND | MS_RDONLY)


def compile_c(folder, name, *sources, flags=()):
    """A program in folder, from sources in this folder and whatever flags say."""
    target = folder / name
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-w", "-o", target, *[HERE / source for source in sources],
                    *flags], check=True, cwd=ROOT)
    return target


def give_capability(path, capability="cap_net_raw=p"):
    subprocess.run(["setcap", capability, path], check=True)


def install(stage, folder, owner=0):
    """A copy of the installation, capability and all."""
    folder.mkdir(parents=True)
    shutil.copy(stage / "cf-pcap", folder / "cf-pcap")
    os.chmod(folder / "cf-pcap", 0o755)
    os.chown(folder / "cf-pcap", owner, owner)
    os.chown(folder, owner, owner)
    os.chmod(folder, 0o755)
    give_capability(folder / "cf-pcap")
    return folder


def spawn(argv, namespace, root_prepare=None, user_prepare=None, uid=USER, env=None, cwd="/", **options):
    """As support.spawn_as_user, with something to be done as root first, in mounts of its own."""

    def before_exec():
        enter_namespace(namespace.name)
        private_mounts()
        if root_prepare:
            root_prepare()
        become_user(uid)
        if user_prepare:
            user_prepare()

    return subprocess.Popen([word if isinstance(word, bytes) else str(word) for word in argv],
                            preexec_fn=before_exec, cwd=cwd,
                            env={"PATH": os.environ["PATH"], "TZ": "UTC"} if env is None else env, **options)


def run(argv, namespace, timeout=60, **options):
    """To its end. Returns CompletedProcess with bytes."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = spawn(argv, namespace, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def in_namespace(namespace, action):
    """Calls action() inside the network namespace, and comes back."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    enter_namespace(namespace.name)
    try:
        return action()
    finally:
        _call("setns", home, 0x40000000)
        os.close(home)


class Witness:
    """Sees, as root, every frame on lo, where nobody says a word unless a test does."""

    def __init__(self, namespace):
        self.socket = in_namespace(namespace, lambda: socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL)))
        self.socket.bind(("lo", ETH_P_ALL))
        self.frames()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def frames(self):
        """What was seen since the last call."""
        seen = []
        while True:
            try:
                seen.append(self.socket.recv(65536))
            except BlockingIOError:
                return seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def packet_sockets(namespace):
    """How many packet sockets there are in the namespace."""
    listing = namespace.run("cat", "/proc/net/packet", check=True, stdout=subprocess.PIPE).stdout
    return len(listing.splitlines()) - 1


def status_of(pid):
    """The fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def frame(payload):
    """An Ethernet frame that nobody else sends."""
    return b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + struct.pack("!H", 0x88B5) + payload.ljust(46, b"\0")
