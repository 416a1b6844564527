"""The options that bound and shape a capture."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pytest

from links.devices import link, send_datagram
from links.pcapng import read_pcapng
from links.sidebyside import SideBySide
from support import read_pcap, summary, wait_until

COUNT = 1, 7, 100


def index_of(ns, name):
    return int(ns.run("cat", f"/sys/class/net/{name}/ifindex", stdout=subprocess.PIPE).stdout)


def send_many(ns, count, size=100):
    for number in range(count):
        send_datagram(ns, b"%08d" % number + b"." * (size - 8), port=9999)


@pytest.mark.parametrize("count", COUNT)
def test_count_prints_exactly_so_many_packets_and_ends(tools, ns, tmp_path, count):
    capture = tools.capture(ns, "-interface", "lo", "-count", str(count), "-filter", "udp port 9999",
                            path=tmp_path / "out.pcap")
    send_many(ns, 150)
    assert capture.process.wait(20) == 0
    records = read_pcap(capture.path).records
    assert [record.data[42:50] for record in records] == [b"%08d" % number for number in range(count)]
    assert 'level=INFO msg="reached packet count, stopping capture"' in capture.messages()
    assert summary(capture.messages())[0] == count


def test_duration_ends_on_time_when_nothing_arrives(tools, ns):
    begin = time.monotonic()
    run = tools.run(ns, "-interface", "cap0", "-duration", "1s", "-filter", "tcp port 1")
    elapsed = time.monotonic() - begin
    assert run.returncode == 0 and len(run.stdout) == 24
    assert b'level=INFO msg="reached duration, stopping capture"' in run.stderr
    assert 1.0 <= elapsed < 4.0


def test_a_duration_shorter_than_the_start_is_a_capture_all_the_same(tools, ns):
    run = tools.run(ns, "-interface", "cap0", "-duration", "1us", "-filter", "tcp port 1")
    assert run.returncode == 0 and len(run.stdout) == 24
    assert b"reached duration" in run.stderr and b"stopped capture" in run.stderr


def test_packets_until_the_duration_is_over_are_printed(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "lo", "-duration", "2s", "-filter", "udp port 9999",
                            path=tmp_path / "out.pcap")
    send_many(ns, 20)
    assert capture.process.wait(20) == 0
    assert len(read_pcap(capture.path).records) == 20


@pytest.mark.parametrize("reader, flags", [(read_pcap, []), (read_pcapng, ["-format", "pcapng"])])
@pytest.mark.parametrize("limit", [1024, 5000, 64 << 10])
def test_max_size_is_never_exceeded_and_ends_on_a_record(tools, ns, tmp_path, reader, flags, limit):
    capture = tools.capture(ns, "-interface", "lo", *flags, "-max-size", str(limit), "-filter", "udp port 9999",
                            path=tmp_path / "out")
    send_many(ns, 150, 1 + limit // 60)
    assert capture.process.wait(20) == 0
    size, file = os.path.getsize(capture.path), reader(capture.path)
    assert size <= limit
    assert [record.data[42:50] for record in file.records] == [b"%08d" % n for n in range(len(file.records))]
    one_more = 32 + len(file.records[0].data) + 3 + 20 if flags else 16 + len(file.records[0].data)
    assert size + one_more > limit, "stopped too early"
    assert summary(capture.messages())[:2] == (len(file.records), size)
    assert 'msg="reached maximum size, stopping capture"' in capture.messages()


def test_pcapng_of_any_says_what_its_interface_indexes_stand_for(tools, ns, tmp_path):
    for name, wanted in (("any", f"1 lo, {index_of(ns, 'cap0')} cap0"), ("lo", None)):
        path = tmp_path / name
        path.write_bytes(tools.run(ns, "-interface", name, "-format", "pcapng", "-duration", "50ms").stdout)
        assert read_pcapng(path).interface.get("description") == wanted


@pytest.mark.parametrize("kind", ["cap0", "any", "lo"])
def test_direction_prints_what_tcpdump_prints(tools, ns, tmp_path, kind):
    directions = ["in", "out", "inout"]
    with link(ns, kind) as device, SideBySide(tools, ns, device.name, tmp_path, device.send_mark) as both:
        for direction in directions:
            both.add(["-no-ssh-guard", "-direction", direction, "-snaplen", "8192"],
                     ["-Q", direction, "-s", "8192", "-B", "16384"])
        both.begin(device.send_all)
        device.send_all()
        both.end()
        seen = [both.compare(number, kind != "cap0").records for number in range(len(directions))]
    assert len(seen[0]) > 0 and len(seen[2]) == len(seen[0]) + len(seen[1])
    assert (len(seen[1]) > 0) == (kind != "lo")  # there, what goes out is what comes in


def test_a_direction_that_leaves_nothing_is_warned_of(tools, ns):
    warning = b'level=WARN msg="on a loopback interface every packet counts as coming in, none is captured"'
    for interface, direction, expected in [("lo", "out", True), ("lo", "in", False), ("cap0", "out", False)]:
        run = tools.run(ns, "-interface", interface, "-direction", direction, "-duration", "50ms")
        assert (run.returncode, warning in run.stderr) == (0, expected)


def test_nanoseconds_are_tcpdumps(tools, ns, tmp_path):
    with link(ns, "cap0") as device, SideBySide(tools, ns, "cap0", tmp_path, device.send_mark) as both:
        both.add(["-no-ssh-guard", "-nano"], ["-B", "65536", "--nano"])
        both.begin()
        device.send_all()
        both.end()
        file = both.compare()
    assert file.nano
    assert any(record.nanoseconds % 1000 for record in file.records)


PROGRESS_S = 0.25


class Terminal:
    """A pseudo-terminal, for stderr; what arrives there."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = b""

    def read(self, seconds=0.05):
        while select.select([self.ours], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.ours, 65536)
            except OSError:  # the last writer is gone
                return self.seen
        return self.seen

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def screen(stream):
    """The lines that a terminal shows after this stream, which knows \\r, \\n and erasing to the end of line."""
    lines, column = [""], 0
    while stream:
        if stream.startswith("\033[K"):
            lines[-1], stream = lines[-1][:column], stream[3:]
            continue
        character, stream = stream[0], stream[1:]
        assert character != "\033", "a sequence that not every terminal knows"
        if character == "\r":
            column = 0
        elif character == "\n":
            lines.append("")
        else:
            lines[-1] = lines[-1][:column] + character + lines[-1][column + 1:]
            column += 1
    return lines


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.close()


def start_with_progress(tools, ns, tmp_path, terminal, *flags):
    with open(tmp_path / "out.pcap", "wb") as out:
        process = tools.spawn(ns, "-interface", "lo", *flags, "-filter", "udp port 9999", stdout=out,
                              stderr=terminal.theirs)
    wait_until(lambda: b"0 packets/s" in terminal.read())
    return process


def test_progress_is_one_line_redrawn_in_place_and_gone_at_the_end(tools, ns, tmp_path, terminal):
    process = start_with_progress(tools, ns, tmp_path, terminal)
    send_many(ns, 50)
    wait_until(lambda: b"\r\x1b[K50 packets, " in terminal.read())
    shown = screen(terminal.seen.decode())
    process.terminate()
    assert process.wait(10) == 0
    wait_until(lambda: b"stopped capture" in terminal.read())
    lines = screen(terminal.read().decode())
    assert len(shown) == 3 and "waiting for packets" in shown[1]
    packets, size, dropped, rate = [word.split()[0] for word in shown[2].split(", ")]
    assert (packets, size, dropped) == ("50", str(24 + 50 * (16 + 142)), "0") and rate.isdigit()
    assert len(shown[2]) < 80
    assert [line.split("msg=")[0].split()[1] for line in lines[:-1]] == ["level=INFO"] * 4
    assert lines[-1] == "" and not any("packets/s" in line for line in lines)


def test_a_terminal_that_is_held_does_not_hold_the_capture(tools, ns, tmp_path, terminal):
    """Where ^S was typed the next write blocks."""
    process = start_with_progress(tools, ns, tmp_path, terminal)
    termios.tcflow(terminal.theirs, termios.TCOOFF)
    time.sleep(3 * PROGRESS_S)
    send_many(ns, 50)
    wait_until(lambda: os.path.getsize(tmp_path / "out.pcap") == 24 + 50 * (16 + 142))
    termios.tcflow(terminal.theirs, termios.TCOON)
    wait_until(lambda: b"\r\x1b[K50 packets, " in terminal.read())
    process.terminate()
    assert process.wait(10) == 0


@pytest.mark.parametrize("flags, into", [(["-no-progress"], "file"), ([], "pipe")])
def test_there_is_no_progress_when_it_is_not_wanted_or_a_reader_may_write_there_too(
        tools, ns, tmp_path, terminal, flags, into):
    with open(tmp_path / "out.pcap", "wb") as out:
        process = tools.spawn(ns, "-interface", "lo", "-duration", f"{2 * PROGRESS_S}s", *flags, stderr=terminal.theirs,
                              stdout=out if into == "file" else subprocess.PIPE)
        assert process.wait(30) == 0
    wait_until(lambda: b"stopped capture" in terminal.read())
    assert b"packets/s" not in terminal.seen and b"waiting for packets" in terminal.seen


def test_there_is_no_progress_when_stderr_is_no_terminal(tools, ns):
    run = tools.run(ns, "-interface", "lo", "-duration", "600ms")
    assert b"\r" not in run.stderr and b"packets/s" not in run.stderr


def test_the_rate_is_that_of_the_packets(tools, ns, tmp_path, terminal):
    start_with_progress(tools, ns, tmp_path, terminal, "-count", "300")
    send_many(ns, 200)
    wait_until(lambda: b"\r\x1b[K200 packets, " in terminal.read())
    wait_until(lambda: screen(terminal.read().decode())[-1].endswith(", 0 packets/s"))
    rates = [int(part.split(b", ")[3].split()[0]) for part in terminal.seen.split(b"\x1b[K")
             if b"packets/s" in part and part.count(b", ") == 3]
    assert rates[0] == 0 and max(rates) > 0
    assert sum(rates) <= 200 / PROGRESS_S + len(rates)
