"""Interfaces come and go while they are captured."""
import signal
import subprocess

import pytest

from links.devices import link, send_datagram
from links.frames import ether
from links.pcapng import read_pcapng
from links.sidebyside import packet_socket
from support import ip, kernel_is_at_least, read_pcap, summary, state_of, wait_until

KIND = 0x9999


def send(ns, text):
    with packet_socket(ns.peer, "gen0") as peer:
        peer.send(ether(KIND, text + b"." * 46))


def capture_frames(tools, ns, tmp_path, interface="cap0", flags=()):
    return tools.capture(ns, "-interface", interface, "-filter", f"ether proto {KIND:#x}", *flags,
                         path=tmp_path / "out.pcap")


def has(capture, text):
    return lambda: text in capture.messages()


def payloads(capture, reader=read_pcap):
    return [record.data[14:].rstrip(b".") for record in reader(capture.path).records]


def test_an_interface_that_goes_down_is_captured_again_when_it_is_up(tools, ns, tmp_path):
    capture = capture_frames(tools, ns, tmp_path)
    capture.process.send_signal(signal.SIGSTOP)  # so that it sees the packet and the error at once
    send(ns, b"before")
    ip("-n", ns.name, "link", "set", "cap0", "down")
    capture.process.send_signal(signal.SIGCONT)
    wait_until(has(capture, 'level=WARN msg="interface went down, capture resumes when it is up" interface=cap0\n'))
    ip("-n", ns.name, "link", "set", "cap0", "up")
    send(ns, b"after")
    wait_until(has(capture, 'level=INFO msg="interface is up again" interface=cap0\n'))
    status, messages = capture.stop()
    assert status == 0 and messages.count("WARN") == 2  # the other: no ssh session is known
    assert messages.count("is up again") == 1
    assert payloads(capture) == [b"before", b"after"]


def remove(ns):
    ip("-n", ns.name, "link", "del", "cap0")


def remove_peer(ns):
    ip("-n", ns.peer, "link", "del", "gen0")


def move_away(ns):
    ip("-n", ns.name, "link", "set", "cap0", "netns", ns.peer)


@pytest.mark.parametrize("flags, reader", [([], read_pcap), (["-format", "pcapng"], read_pcapng)])
@pytest.mark.parametrize("vanish", [remove, remove_peer, move_away])
def test_an_interface_that_disappears_ends_the_capture_with_all_its_packets(tools, ns, tmp_path, vanish, flags,
                                                                            reader):
    capture = capture_frames(tools, ns, tmp_path, flags=flags)
    for number in range(100):
        send(ns, b"%d" % number)
    vanish(ns)
    assert capture.process.wait(10) == 1
    assert payloads(capture, reader) == [b"%d" % number for number in range(100)]
    messages = capture.messages()
    assert 'level=ERROR msg="interface is gone" interface=cap0\n' in messages
    assert summary(messages) == (100, capture.path.stat().st_size, 0)
    if flags:
        assert reader(capture.path).statistics["comment"] == "interface is gone"


def test_count_holds_also_for_what_is_left_when_the_interface_disappears(tools, ns, tmp_path):
    capture = capture_frames(tools, ns, tmp_path, flags=["-count", 10, "-buffer-size", "256k", "-snaplen", 1500])
    wait_until(lambda: state_of(capture.process.pid) == "S")  # it waits for packets
    capture.process.send_signal(signal.SIGSTOP)  # so that the first it sees is that the interface is gone
    wait_until(lambda: state_of(capture.process.pid) == "T")
    with packet_socket(ns.peer, "gen0") as peer:
        for number in range(150):  # more than one block of the ring
            peer.send(ether(KIND, b"%d" % number + b"." * 1000))
    remove(ns)
    capture.process.send_signal(signal.SIGCONT)
    assert capture.process.wait(10) == 1
    assert "interface is gone" in capture.messages()
    assert payloads(capture) == [b"%d" % number for number in range(10)]


def test_a_tun_device_that_its_owner_closes_ends_the_capture(tools, ns, tmp_path):
    with link(ns, "tun") as device:
        capture = tools.capture(ns, "-interface", "tun", "-filter", "udp port 9", path=tmp_path / "out.pcap")
        device.send_mark(b"last words")
    assert capture.process.wait(10) == 1
    assert [record.data[28:] for record in read_pcap(capture.path).records] == [b"last words"]
    assert 'msg="interface is gone" interface=tun' in capture.messages()


def test_a_renamed_interface_is_captured_on(tools, ns, tmp_path):
    capture = capture_frames(tools, ns, tmp_path)
    send(ns, b"before")
    ip("-n", ns.name, "link", "set", "cap0", "down")
    ip("-n", ns.name, "link", "set", "cap0", "name", "other0")
    ip("-n", ns.name, "link", "set", "other0", "up")
    send(ns, b"after")
    wait_until(lambda: payloads(capture) == [b"before", b"after"])
    assert capture.stop()[0] == 0


def test_an_interface_renamed_while_it_is_up_is_captured_without_a_word(tools, ns, tmp_path):
    """Older kernels refuse to rename it: then that is what the capture does not notice."""
    capture = capture_frames(tools, ns, tmp_path)
    renamed = ns.run("ip", "link", "set", "cap0", "name", "other0", stderr=subprocess.DEVNULL).returncode == 0
    assert renamed == kernel_is_at_least(6, 2)
    send(ns, b"after")
    wait_until(lambda: payloads(capture) == [b"after"])
    status, messages = capture.stop()
    assert status == 0 and messages.count("level=WARN") == 1


def test_any_sees_interfaces_that_were_made_later_and_survives_those_that_go(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "any", "-filter", "udp port 9", path=tmp_path / "out.pcap")
    send_datagram(ns, b"on lo")
    with link(ns, "tun") as device:
        device.send_mark(b"on a new tun")
    with link(ns, "tap") as device:
        ip("-n", ns.name, "addr", "add", "10.77.0.1/24", "dev", "tap")
        ip("-n", ns.name, "neigh", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:77", "dev", "tap")
        send_datagram(ns, b"out of a new tap", "10.77.0.2")
    ip("-n", ns.name, "link", "del", "cap0")
    send_datagram(ns, b"on lo again")
    status, messages = capture.stop()
    seen = [(record.data[48:], int.from_bytes(record.data[4:8], "big")) for record in read_pcap(capture.path).records]
    assert [text for text, _ in seen] == [b"on lo", b"on a new tun", b"out of a new tap", b"on lo again"]
    assert len({index for _, index in seen}) == 3
    assert status == 0 and "level=ERROR" not in messages and messages.count("level=WARN") == 1  # no ssh session is known


def test_an_interface_that_is_down_is_refused_by_name(tools, ns):
    ip("-n", ns.name, "link", "set", "cap0", "down")
    run = tools.run(ns, "-interface", "cap0")
    assert (run.returncode, run.stdout) == (1, b"")
    assert run.stderr.decode().endswith('level=ERROR msg="interface is down" interface=cap0\n')


def test_an_interface_that_does_not_exist_is_answered_with_those_that_do(tools, ns):
    with link(ns, "tun"):
        run = tools.run(ns, "-interface", "eth7")
    assert (run.returncode, run.stdout) == (1, b"")
    assert run.stderr.decode().endswith('msg="no such interface" interface=eth7 available="lo cap0 tun any"\n')
