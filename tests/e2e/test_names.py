"""Names in filters: looked up by the unprivileged side, from files and DNS, with nothing loaded."""
import ctypes
import os
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from e2e.traffic import Sender, ethernet, udp4
from support import read_pcap, socket_in

MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
CLONE_NEWNS = 0x20000
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, flags):
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), "mount", str(target))


class Etc:
    """A private view of the file system with an /etc of its own."""

    def __init__(self, folder):
        folder.chmod(0o755)
        self.folder = folder / "etc"
        self.folder.mkdir()
        self.mounts = {"/etc": self.folder}
        self.put("host.conf", "multi on\n")  # all addresses of a name, as Debian has it
        self.put("resolv.conf", "nameserver 127.0.0.1\n")

    def put(self, name, content):
        (self.folder / name).write_text(content)

    def enter(self):
        """For prepare_as_root."""
        if _libc.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", MS_REC | MS_PRIVATE)
        for place, source in self.mounts.items():
            mount(source, place, MS_BIND)


@pytest.fixture
def etc(tmp_path):
    return Etc(tmp_path)


class NameServer:
    """Answers A and AAAA queries for the names it knows."""

    def __init__(self, namespace, names):
        self.names, self.asked = names, []
        self.socket = socket_in(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.socket.settimeout(0.1)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.socket.close()

    def serve(self):
        while not self.over.is_set():
            try:
                query, client = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.socket.sendto(self.answer(query), client)

    def answer(self, query):
        end = query.index(b"\0", 12)
        question = query[12:end + 5]
        kind, = struct.unpack_from("!H", query, end + 1)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name = ".".join(labels)
        self.asked.append(name)
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        data = [socket.inet_pton(family, address) for address in self.names.get(name, ())
                if family == (socket.AF_INET6 if ":" in address else socket.AF_INET)]
        code = 0 if name in self.names else 3
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(one)) + one for one in data)
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(data), 0, 0) + question + records


def matching(tools, ns, etc, tmp_path, expression, frames):
    """Which of the frames, given by name, a filter lets through."""
    capture = tools.capture(ns, "-interface", "lo", "-no-ssh-guard", "-filter", expression,
                            path=tmp_path / "out.pcap", prepare_as_root=etc.enter)
    with Sender(ns, "lo") as sender:
        sender.send(*frames.values())
    status, messages = capture.stop()
    assert status == 0, messages
    seen = [record.data for record in read_pcap(capture.path).records]
    return {name for name, frame in frames.items() if frame in seen}


def datagram(source, destination, port=9999):
    payload = udp4(f"{source} {destination} {port}".encode(), port)
    return ethernet(0x0800, payload[:12] + socket.inet_aton(source) + socket.inet_aton(destination) +
                    payload[20:])


def datagram6(source, destination):
    header = struct.pack("!IHBB16s16s", 6 << 28, 8, 17, 64, socket.inet_pton(socket.AF_INET6, source),
                         socket.inet_pton(socket.AF_INET6, destination))
    return ethernet(0x86DD, header + struct.pack("!HHHH", 1, 9999, 8, 0))


FRAMES = {
    "to .7": datagram("192.0.2.1", "192.0.2.7"),
    "to .8": datagram("192.0.2.1", "192.0.2.8"),
    "from .7": datagram("192.0.2.7", "192.0.2.1"),
    "to ::7": datagram6("2001:db8::1", "2001:db8::7"),
    "to ::8": datagram6("2001:db8::1", "2001:db8::8"),
}


def test_host_of_etc_hosts(tools, ns, etc, tmp_path):
    etc.put("hosts", "192.0.2.7 seven\n2001:db8::7 seven\n192.0.2.8 eight.example eight\n")
    assert matching(tools, ns, etc, tmp_path, "host seven", FRAMES) == {"to .7", "from .7", "to ::7"}
    assert matching(tools, ns, etc, tmp_path, "dst host seven", FRAMES) == {"to .7", "to ::7"}
    assert matching(tools, ns, etc, tmp_path, "host eight.example", FRAMES) == {"to .8"}
    assert matching(tools, ns, etc, tmp_path, "ip6 host seven", FRAMES) == {"to ::7"}


def test_host_of_dns(tools, ns, etc, tmp_path):
    etc.put("hosts", "")
    with NameServer(ns, {"seven.test": ["192.0.2.7", "2001:db8::7"],
                         "both.test": ["192.0.2.7", "192.0.2.8"]}) as server:
        assert matching(tools, ns, etc, tmp_path, "host seven.test", FRAMES) == \
            {"to .7", "from .7", "to ::7"}
        assert matching(tools, ns, etc, tmp_path, "dst host both.test", FRAMES) == {"to .7", "to .8"}
        unknown = tools.run(ns, "-interface", "lo", "host nosuch.test", prepare_as_root=etc.enter)
    assert {"seven.test", "both.test", "nosuch.test"} <= set(server.asked)
    assert unknown.returncode == 1
    assert b"unknown host 'nosuch.test'" in unknown.stderr


def test_service_names(tools, ns, etc, tmp_path):
    etc.put("services", "oursrv 7777/tcp\noursrv 7777/udp\nudponly 7778/udp\n")
    frames = {port: datagram("192.0.2.1", "192.0.2.2", port) for port in (7776, 7777, 7778, 7779)}
    for expression, expected in (("port oursrv", {7777}), ("udp dst port udponly", {7778}),
                                 ("portrange oursrv-udponly", {7777, 7778})):
        assert matching(tools, ns, etc, tmp_path, expression, frames) == expected


def test_protocol_names(tools, ns, etc, tmp_path):
    etc.put("protocols", "oursproto 17 OURSPROTO\n")
    assert matching(tools, ns, etc, tmp_path, "ip proto oursproto", FRAMES) == \
        {"to .7", "to .8", "from .7"}


def test_network_names(tools, ns, etc, tmp_path):
    """libpcap takes the number as it stands in the file, without a mask."""
    etc.put("networks", "oursnet 192.0.2.7\notherour 198.51.100.0\n")
    assert matching(tools, ns, etc, tmp_path, "net oursnet", FRAMES) == {"to .7", "from .7"}
    assert matching(tools, ns, etc, tmp_path, "net otherour", FRAMES) == set()


def test_ethernet_names(tools, ns, etc, tmp_path):
    etc.put("ethers", "02:00:00:00:00:01 oursether\n02:00:00:00:00:09 another\n")
    assert matching(tools, ns, etc, tmp_path, "ether src oursether", FRAMES) == set(FRAMES)
    assert matching(tools, ns, etc, tmp_path, "ether src another", FRAMES) == set()


@pytest.mark.parametrize("expression", ["host nosuchname", "port nosuchname", "net nosuchname",
                                        "ip proto nosuchname", "ip6 proto nosuchname",
                                        "ether host nosuchname", "portrange nosuchname-80",
                                        "tcp and (port 80 or dst host nosuchname)"])
def test_an_unknown_name_is_named(tools, ns, etc, expression):
    etc.put("hosts", "")
    result = tools.run(ns, "-interface", "lo", "-filter", expression, prepare_as_root=etc.enter)
    assert (result.returncode, result.stdout) == (1, b"")
    line = result.stderr.decode().splitlines()[-1]
    assert 'level=ERROR msg="cannot use filter"' in line
    assert "nosuchname" in line.split(" reason=")[1].split(" filter=")[0]


def test_a_reader_that_goes_away_while_names_are_looked_up_ends_it(tools, ns, etc):
    etc.put("hosts", "")
    reader, stdout = os.pipe()
    with socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        silent.settimeout(10)
        process = tools.spawn(ns, "-interface", "lo", "-filter", "host some.name.test", stdout=stdout,
                              stderr=subprocess.PIPE, prepare_as_root=etc.enter)
        os.close(stdout)
        silent.recv(512)
        os.close(reader)
        messages = process.communicate(timeout=1)[1].decode()  # libc would ask for ten seconds and more
    assert process.returncode == 0
    assert 'msg="stopped before the capture began" reason="the reader of stdout is gone"\n' in messages


@pytest.mark.parametrize("number, name", [(signal.SIGTERM, "terminated"), (signal.SIGALRM, '"alarm clock"')])
def test_a_signal_ends_a_look_up(tools, ns, etc, number, name):
    etc.put("hosts", "")
    with socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        silent.settimeout(10)
        process = tools.spawn(ns, "-interface", "lo", "-filter", "host some.name.test", stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, prepare_as_root=etc.enter)
        silent.recv(512)
        process.send_signal(number)
        messages = process.communicate(timeout=1)[1].decode()
    assert process.returncode == 0
    assert f'msg="stopped before the capture began" signal={name}\n' in messages


EVIL = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void spring(void)
{
	close(open("%s", O_CREAT | O_WRONLY, 0666));
}
"""


def test_a_hostile_nsswitch_conf_loads_nothing(tools, ns, etc, tmp_path):
    """The library takes the place of one that libc has a search path for."""
    trap = tmp_path / "sprung"
    tmp_path.chmod(0o777)
    source, library = tmp_path / "evil.c", tmp_path / "libnss_evil.so.2"
    source.write_text(EVIL % trap)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    victim = next(Path("/usr/lib").glob("*/libnss_hesiod.so.2"))
    etc.mounts[victim] = library
    etc.put("nsswitch.conf", "".join(f"{database}: hesiod\n" for database in (
        "hosts", "networks", "protocols", "services", "ethers", "passwd", "group", "initgroups")))
    etc.put("hosts", "192.0.2.7 seven\n")

    assert matching(tools, ns, etc, tmp_path, "host seven", FRAMES) == {"to .7", "from .7"}
    for name in ("host", "port", "net", "ip proto", "ether host"):
        result = tools.run(ns, "-interface", "lo", f"{name} nosuch", prepare_as_root=etc.enter)
        assert result.returncode == 1
    tools.run(ns, "-list-interfaces", prepare_as_root=etc.enter)
    assert not trap.exists()

    subprocess.run(["getent", "hosts", "seven"], preexec_fn=etc.enter, stdout=subprocess.DEVNULL)
    assert trap.exists(), "the trap itself does not work"
