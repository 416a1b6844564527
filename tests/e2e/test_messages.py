"""What is said on stderr, and what is answered without a capture."""
import os
import re
import signal
import socket
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

from e2e.traffic import Datagrams, Sender, ethernet
from support import LOG_LINE, ip, read_pcap, summary

PORTS = ('[{"external":61012,"internal":8080,"external_tls_proxy":61014,"internal_tls_proxy":61001},'
         '{"external":61013,"internal":2222,"external_tls_proxy":61015,"internal_tls_proxy":61002}]')
PLAIN_PORTS = '[{"external":61001,"internal":8080},{"external":61002,"internal":2222}]'


def messages_of(tools, ns, tmp_path, *flags, **options):
    capture = tools.capture(ns, *flags, path=tmp_path / "out.pcap", **options)
    status, messages = capture.stop()
    assert status == 0
    return messages


def stripped(messages):
    return [line.split(" ", 1)[1] for line in messages.splitlines()]


def test_the_messages_of_a_capture(tools, ns, tmp_path):
    messages = messages_of(tools, ns, tmp_path, "-interface", "lo", "-v", "-filter", "port 8080")
    assert stripped(messages) == [
        'level=DEBUG msg="parsed flags" interface=lo snaplen=262144 filter="port 8080" headers-only=false v=true '
        'count=0 duration=0ns max-size=0 stop-at-eof=false direction=inout format=pcap heartbeat=0ns nano=false sll1=false '
        'buffer-size=33554432 no-promisc=false no-ssh-guard=false no-progress=false',
        'level=INFO msg="adjusted filter to avoid capturing SSH session" '
        'filter="(not tcp port 2222) and (port 8080)"',
        'level=DEBUG msg="waiting for packets" interface=lo',
        'level=INFO msg="received signal, stopping capture" signal=interrupt',
        'level=INFO msg="stopped capture" packets=0 bytes=24 dropped=0',
    ]
    assert all(LOG_LINE.fullmatch(line) for line in messages.splitlines())
    assert "DEBUG" not in messages_of(tools, ns, tmp_path, "-interface", "lo")


def test_filter_words_and_flag_spellings(tools, ns, tmp_path):
    for flags in (["-interface", "lo", "-v", "-snaplen=99", "tcp", "or", "udp"],
                  ["--interface=lo", "--v=true", "--snaplen", "99", "--", "tcp", "or udp"],
                  ["-v", "-snaplen", "99", "-filter=tcp or udp", "-interface=lo"]):
        messages = messages_of(tools, ns, tmp_path, *flags)
        assert stripped(messages)[0].startswith(
            'level=DEBUG msg="parsed flags" interface=lo snaplen=99 filter="tcp or udp" headers-only=false v=true count=0 ')
        assert read_pcap(tmp_path / "out.pcap").snaplen == 99


def test_time_is_utc_with_milliseconds_and_no_zone_file_is_read(tools, ns, tmp_path):
    """Zone files belong to the user: libc must not parse them where the packet socket is to arrive."""
    trap = tmp_path / "zone"
    os.mkfifo(trap)  # opening it would hang
    messages = messages_of(tools, ns, tmp_path, "-interface", "lo", env={"TZ": f":{trap}"})
    for line in messages.splitlines():
        stamp = re.match(r"time=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ", line)
        told = datetime.fromisoformat(stamp[1]).replace(tzinfo=timezone.utc)
        assert abs(told - datetime.now(timezone.utc)) < timedelta(minutes=1)


GUARDS = [  # interface, environment, the guard
    ("lo", {}, "not tcp port 2222"),
    ("lo", {"CF_INSTANCE_PORTS": PORTS}, "not tcp port 2222"),
    ("cap0", {"CF_INSTANCE_PORTS": PORTS}, "not tcp port 2222 and not tcp port 61002"),
    ("cap0", {"CF_INSTANCE_PORTS": PLAIN_PORTS}, "not tcp port 2222"),
    ("cap0", {"CF_INSTANCE_PORTS": "[]"}, "not tcp port 2222"),
]


@pytest.mark.parametrize("interface, env, guard", GUARDS)
def test_guard_is_told(tools, ns, tmp_path, interface, env, guard):
    messages = messages_of(tools, ns, tmp_path, "-interface", interface, env=env)
    assert stripped(messages)[0] == \
        f'level=INFO msg="set filter to avoid capturing SSH session" filter="{guard}"'
    messages = messages_of(tools, ns, tmp_path, "-interface", interface, "tcp or udp", env=env)
    assert stripped(messages)[0] == ('level=INFO msg="adjusted filter to avoid capturing SSH session" '
                                     f'filter="({guard}) and (tcp or udp)"')


def test_no_guard_where_none_is_known_or_wanted(tools, ns, tmp_path):
    messages = messages_of(tools, ns, tmp_path, "-interface", "cap0")
    assert stripped(messages)[0].startswith('level=WARN msg="no ssh session is known')
    messages = messages_of(tools, ns, tmp_path, "-interface", "any")  # it could come by any of them
    assert stripped(messages)[0].startswith('level=WARN msg="no ssh session is known')
    assert 'filter="not tcp port 2222"' in stripped(messages)[1]
    messages = messages_of(tools, ns, tmp_path, "-interface", "any", env={"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"})
    assert "WARN" not in messages
    messages = messages_of(tools, ns, tmp_path, "-interface", "lo", "-no-ssh-guard")
    assert stripped(messages)[0].startswith('level=INFO msg="received signal')


@pytest.mark.parametrize("ports", ["{", "", "null", '[{"internal":"2222"}]', "[1]", "x" * 100_000,
                                   '[{"internal":2222,"internal_tls_proxy":70000}]', "[" * 5000, "\x1b[31m"])
def test_a_malformed_instance_ports_is_a_warning_and_the_rest_applies(tools, ns, tmp_path, ports):
    messages = messages_of(tools, ns, tmp_path, "-interface", "cap0", env={"CF_INSTANCE_PORTS": ports})
    assert 'level=WARN msg="CF_INSTANCE_PORTS is not what the platform sets' in messages
    assert 'filter="not tcp port 2222"' in messages
    assert "\x1b" not in messages


def tcp(family, source, source_port, destination, destination_port):
    segment = bytearray(20)
    segment[0:4] = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    segment[12] = 5 << 4
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    if family == socket.AF_INET:
        return ethernet(0x0800, bytes([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]) + ends + segment)
    return ethernet(0x86DD, bytes([0x60, 0, 0, 0, 0, 20, 6, 64]) + ends + segment)


def let_through(tools, ns, tmp_path, interface, env, frames):
    """Indexes of the frames that a capture without a filter contains."""
    capture = tools.capture(ns, "-interface", interface, path=tmp_path / "out.pcap", env=env)
    with Sender(ns, "lo" if interface == "lo" else "gen0", peer=interface != "lo") as sender:
        sender.send(*frames)
    assert capture.stop()[0] == 0
    seen = [record.data for record in read_pcap(capture.path).records]
    return [index for index, frame in enumerate(frames) if frame in seen]


@pytest.mark.parametrize("family, one, two", [(socket.AF_INET, "192.0.2.1", "192.0.2.2"),
                                              (socket.AF_INET6, "2001:db8::1", "2001:db8::2")])
def test_guard_leaves_out_the_session_and_nothing_else(tools, ns, tmp_path, family, one, two):
    ports = [tcp(family, one, 40000, two, port) for port in (2222, 61002, 61001, 8080)] + \
            [tcp(family, two, port, one, 40000) for port in (2222, 61002, 61001, 8080)]
    through = {"lo": [1, 2, 3, 5, 6, 7], "cap0": [2, 3, 6, 7]}
    for interface, expected in through.items():
        env = {"CF_INSTANCE_PORTS": PORTS}
        assert let_through(tools, ns, tmp_path, interface, env, ports) == expected

    connection = [tcp(family, one, 50022, two, 22), tcp(family, two, 22, one, 50022),
                  tcp(family, one, 50023, two, 22), tcp(family, two, 22, one, 50023),
                  tcp(family, one, 22, two, 50022)]
    env = {"SSH_CONNECTION": f"{one} 50022 {two} 22"}
    assert let_through(tools, ns, tmp_path, "cap0", env, connection) == [2, 3, 4]


def test_control_characters_never_reach_the_terminal(tools, ns):
    result = tools.run(ns, "-interface", "lo\x1b[2J", "-v")
    assert result.returncode == 1
    assert rb'interface="lo\x1b[2J"' in result.stderr
    assert not set(result.stderr) & (set(range(32)) - {10})


def test_list_interfaces(tools, ns):
    ip("-n", ns.name, "link", "add", "down0", "type", "veth", "peer", "name", "down1")
    ip("-n", ns.name, "addr", "add", "10.77.0.2/16", "dev", "cap0", "label", "cap0:1")
    result = tools.run(ns, "-list-interfaces")
    assert (result.returncode, result.stderr) == (0, b"")
    lines = {line.split()[0]: line.split(None, 1)[1] for line in result.stdout.decode().splitlines()}
    assert set(lines) == {"lo", "cap0", "down0", "down1", "any"}
    assert re.fullmatch(r"up +EN10MB \(Ethernet\) +127\.0\.0\.1/8 ::1/128", lines["lo"])
    assert re.fullmatch(r"up +EN10MB \(Ethernet\) +10\.9\.0\.1/24 10\.77\.0\.2/16 fd09::1/64", lines["cap0"])
    assert re.fullmatch(r"down +EN10MB \(Ethernet\) *", lines["down0"])
    assert re.fullmatch(r"- +LINUX_SLL2 \(Linux cooked\) *", lines["any"])


def test_version_and_help(tools, ns):
    for flag in ("-version", "--version"):
        result = tools.run(ns, flag)
        assert (result.returncode, result.stderr) == (0, b"")
        assert re.fullmatch(rb"cf-pcap \d+\.\d+\S*\n", result.stdout)
    for flag in ("-help", "--help", "-h"):
        result = tools.run(ns, flag)
        assert (result.returncode, result.stderr) == (0, b"")
        for name in ("interface", "snaplen", "filter", "v", "count", "duration", "max-size", "direction",
                     "format", "nano", "buffer-size", "no-promisc", "no-ssh-guard", "list-interfaces",
                     "version", "help"):
            assert re.search(rf"^  -{name}\b".encode(), result.stdout, re.MULTILINE), name


@pytest.mark.parametrize("flags", [["-version"], ["-help"], ["-list-interfaces"]])
def test_an_answer_that_cannot_be_written_is_a_failure(tools, ns, flags):
    with open("/dev/full", "wb") as full:
        process = tools.spawn(ns, *flags, stdout=full, stderr=subprocess.PIPE)
    messages = process.communicate(timeout=10)[1].decode()
    assert process.returncode == 1
    assert stripped(messages) == ['level=ERROR msg="cannot write to stdout" error="No space left on device"']


def test_dropped_packets_are_warned_of_at_once_and_counted(tools, ns, tmp_path):
    with Datagrams(ns) as datagrams:
        capture = tools.capture(ns, "-interface", "lo", "-buffer-size", "256k", "udp port 9999",
                                path=tmp_path / "out.pcap")
        capture.process.send_signal(signal.SIGSTOP)  # a reader that is too slow
        datagrams.send(1000, 1400)
        capture.process.send_signal(signal.SIGCONT)
        status, messages = capture.stop()
    packets, _, dropped = summary(messages)
    assert status == 0 and dropped > 0 and packets + dropped == 1000
    assert len(re.findall("level=WARN .*dropped", messages)) == 1
    assert packets == len(read_pcap(capture.path).records)
