"""Who holds the packet socket, and what shields it, at each stage of a capture; and what becomes of one whose helper does not."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hostile.arena import packet_sockets, run, status_of
from hostile.tracer import CONT, DETACH, Traced, call_of, is_there, ptrace, wait_stop
from support import Namespace, children_of, socket_in, state_of, summary, wait_until

NET_RAW = 1 << 13
CAPTURE = ["-interface", "lo", "-filter", "udp port 9999"]
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def packet_inodes(ns):
    """Of all packet sockets of the namespace, packet(7)."""
    listing = ns.run("cat", "/proc/net/packet", check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[-1] for line in listing.splitlines()[1:]}


def packet_fds(ns, pid):
    inodes = packet_inodes(ns)
    targets = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return [target for target in targets if re.fullmatch(r"socket:\[(\d+)\]", target)
            and target[8:-1] in inodes]


def capabilities(pid):
    status = status_of(pid)
    return {name: int(status[name], 16) for name in SETS}


def helper_of(capture):
    """It is a child of the writer's."""
    [helper] = [pid for pid in children_of(capture.process.pid)
                if Path(f"/proc/{pid}/comm").read_text() == "cf-pcap-socket\n"]
    return helper


@pytest.fixture
def capture(tools, ns, tmp_path):
    return tools.capture(ns, *CAPTURE, path=tmp_path / "out.pcap")


def send(ns, count):
    """Datagrams on lo, all of which have passed the tap when it returns."""
    with socket_in(ns, 2, 2) as receiver, socket_in(ns, 2, 2) as sender:
        receiver.bind(("127.0.0.1", 9999))
        receiver.settimeout(10)
        for _ in range(count):
            sender.sendto(b"x", ("127.0.0.1", 9999))
            receiver.recv(10)


def test_a_writer_that_prints_has_no_packet_socket_and_no_capability(capture, ns):
    writer = capture.process.pid
    assert packet_fds(ns, writer) == []
    assert set(capabilities(writer).values()) == {0}
    assert Path(f"/proc/{writer}/comm").read_text() == "cf-pcap\n"
    send(ns, 3)
    status, messages = capture.stop()
    assert status == 0 and summary(messages)[0] == 3


def test_the_helper_keeps_the_socket_behind_a_capability_that_is_never_effective(capture, ns):
    helper = helper_of(capture)
    assert len(packet_fds(ns, helper)) >= 1
    assert capabilities(helper) == {"CapInh": 0, "CapPrm": NET_RAW, "CapEff": 0, "CapAmb": 0}
    status = status_of(helper)
    assert (int(status["NoNewPrivs"]), int(status["Seccomp"])) == (1, 2)
    standard = [os.readlink(f"/proc/{helper}/fd/{fd}") for fd in os.listdir(f"/proc/{helper}/fd") if int(fd) < 3]
    assert not any("out.pcap" in target for target in standard)  # the user's files are the writer's
    capture.stop()


def test_the_helper_ends_with_the_writer_however_it_ends(tools, ns, tmp_path):
    for number in (signal.SIGINT, signal.SIGKILL):
        capture = tools.capture(ns, *CAPTURE, path=tmp_path / "out.pcap")
        helper = helper_of(capture)
        capture.process.send_signal(number)
        capture.process.wait(10)
        wait_until(lambda: not Path(f"/proc/{helper}").exists() or state_of(helper) == "Z")
        wait_until(lambda: packet_sockets(ns) == 0)


def test_the_helper_ignores_what_is_sent_to_all_of_its_group(capture, ns):
    helper = helper_of(capture)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM,
                   signal.SIGPIPE, signal.SIGXCPU):
        os.kill(helper, number)
    send(ns, 5)
    status, messages = capture.stop()
    assert status == 0 and summary(messages)[0] == 5


def stages(ns, argv, look, pause):
    """Looks at all processes of one start, again and again, each stopped while it is looked at."""
    process = subprocess.Popen(["ip", "netns", "exec", ns.name, "setpriv", "--reuid=2000", "--regid=2000",
                                "--clear-groups", *map(str, argv)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(pause)
    try:
        for pid in [process.pid, *descendants(process.pid)]:
            look(pid)
    finally:
        process.terminate()
        process.wait(20)


def descendants(pid):
    try:
        found = children_of(pid)
    except FileNotFoundError:
        return []
    return found + [below for child in found for below in descendants(child)]


def test_at_every_stage_a_process_with_a_packet_socket_has_the_shield(stage, ns):
    seen = set()

    def look(pid):
        try:
            os.kill(pid, signal.SIGSTOP)
            try:
                if Path(f"/proc/{pid}/comm").read_text().startswith("cf-pcap") and packet_fds(ns, pid):
                    found = capabilities(pid)
                    assert found["CapPrm"] == NET_RAW and found["CapInh"] == found["CapAmb"] == 0, found
                    seen.add(Path(f"/proc/{pid}/comm").read_text())
            finally:
                os.kill(pid, signal.SIGCONT)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended

    for number in range(120):
        stages(ns, [stage / "cf-pcap", *CAPTURE], look, pause=number / 120 * 0.12)
    slower = 0.25  # where a start takes longer than that
    while "cf-pcap-socket\n" not in seen and slower < 20:
        stages(ns, [stage / "cf-pcap", *CAPTURE], look, pause=slower)
        slower *= 2
    assert "cf-pcap-socket\n" in seen


@pytest.mark.plain_build
def test_there_is_no_writer_before_the_helper_is_bound_to_end_with_it(stage, ns):
    """Otherwise a child of the writer's, stopped while it has the channel, could keep the helper from seeing that it has gone."""
    with Traced([stage / "cf-pcap", *CAPTURE], ns, hold_helper=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as traced:
        ptrace(CONT, traced.writer)
        wait_until(lambda: call_of(traced.writer) == "recvfrom", timeout=60)
        os.kill(traced.writer, signal.SIGKILL)
        assert wait_stop(traced.writer) is None
        ptrace(DETACH, traced.helper)
        wait_until(lambda: not is_there(traced.helper), timeout=60)
    assert packet_sockets(ns) == 0


@pytest.mark.parametrize("packets", [0, 7])
def test_a_killed_helper_ends_the_capture_with_an_error_and_nothing_is_lost(capture, ns, packets):
    send(ns, packets)
    began = time.monotonic()
    os.kill(helper_of(capture), signal.SIGKILL)
    assert capture.process.wait(10) == 1
    print(f"ended after {time.monotonic() - began:.3f} s")
    messages = capture.messages()
    assert 'level=ERROR msg="the capture helper ended unexpectedly"' in messages
    assert summary(messages)[0] == packets
    wait_until(lambda: packet_sockets(ns) == 0)


def send_until_it_asks(ns, capture):
    """The counts are asked for now and then, while packets come. Returns how many came."""
    sent = 0
    while "the capture helper does not answer" not in capture.messages():
        send(ns, 1)
        sent += 1
        time.sleep(0.02)
        assert sent < 1000
    return sent


def test_a_stopped_helper_does_not_hold_the_capture_up(capture, ns):
    helper = helper_of(capture)
    os.kill(helper, signal.SIGSTOP)
    try:
        sent = send_until_it_asks(ns, capture)
        status, messages = capture.stop()
    finally:
        try:
            os.kill(helper, signal.SIGCONT)
        except ProcessLookupError:
            pass
    assert status == 0 and summary(messages)[0] == sent


def test_a_helper_that_goes_on_counts_what_came_meanwhile(tools, ns, tmp_path):
    capture = tools.capture(ns, *CAPTURE, "-format", "pcapng", path=tmp_path / "out.pcapng")
    helper = helper_of(capture)
    os.kill(helper, signal.SIGSTOP)
    try:
        sent = send_until_it_asks(ns, capture)
    finally:
        os.kill(helper, signal.SIGCONT)
    send(ns, 4)
    status, messages = capture.stop()
    sent += 4
    assert status == 0 and summary(messages)[0] == sent
    listed = subprocess.run(["capinfos", "-c", "-T", "-r", tmp_path / "out.pcapng"], check=True, capture_output=True)
    assert listed.stdout.split()[-1] == b"%d" % sent
    # isb_ifrecv: option 4 of 8 bytes
    assert (tmp_path / "out.pcapng").read_bytes().count(b"\x04\0\x08\0" + sent.to_bytes(8, "little")) == 1


@pytest.mark.parametrize("moment", range(0, 60, 4))
def test_whichever_of_the_two_is_killed_while_it_starts_nothing_stays(stage, ns, moment):
    for victim in (0, 1):
        process = subprocess.Popen(["ip", "netns", "exec", ns.name, "setpriv", "--reuid=2000", "--regid=2000",
                                    "--clear-groups", stage / "cf-pcap", "-interface", "lo", "-duration", "300ms"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment / 1000)
        victims = [process.pid, *descendants(process.pid)]
        try:
            os.kill(victims[min(victim, len(victims) - 1)], signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(20)
        wait_until(lambda: packet_sockets(ns) == 0)
        assert run([stage / "cf-pcap", "-interface", "lo", "-duration", "1ms"], ns).returncode == 0


def test_eight_on_one_device_and_the_ninth_nowhere(tools, tmp_path):
    """The kernel's own slots: also where the names would be free."""
    with Namespace() as ns:
        captures = [tools.capture(ns, "-interface", "lo", path=tmp_path / f"{i}.pcap") for i in range(8)]
        for interface in ("lo", "cap0", "any"):
            ninth = tools.run(ns, "-interface", interface)
            assert ninth.returncode == 1 and b"too many captures in this container" in ninth.stderr
        captures.pop().stop()
        tools.capture(ns, "-interface", "any", path=tmp_path / "any.pcap").stop()
        for capture in captures:
            capture.stop()
