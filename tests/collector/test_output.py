"""Files, limits, and all the ways in which a run ends."""
import fcntl
import os
import pty
import re
import resource
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from collected import interface, packet, read_collected, section, statistics
from running import Running
from support import children_of, state_of, wait_until
from test_streams import BEGIN, S, Streams, merger_of


def stream_of(count, data=bytes(1000), begin=BEGIN):
    return (section() + interface() + b"".join(packet(begin + number, data) for number in range(count)) +
            statistics(begin + count, True))


def test_each_rotated_file_is_whole_by_itself_and_the_last_ones_are_kept(collector, place):
    for name in ("a", "b"):
        (place / name).write_bytes(stream_of(1000))
    flags = ["-via", "cat {}", "-interface", "lo", "-host", "a", "-host", "b", "-rotate-size", "100k"]
    result = collector.run(*flags, "-o", "all.pcapng")
    assert result.status == 0, result.messages
    files = sorted(place.glob("all_*.pcapng"))
    assert len(files) > 15 and all(re.fullmatch(r"all_\d{5}_\d{14}\.pcapng", path.name) for path in files)
    found = [read_collected(path.read_bytes()) for path in files]
    assert sum(len(one.packets) for one in found) == 2000
    assert all(path.stat().st_size <= 100 << 10 for path in files[:-1])
    assert {interface["name"] for interface in found[-1].interfaces} == {"a lo", "b lo"}
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert collector.run(*flags, "-o", "few.pcapng", "-keep", "3").status == 0
    kept = sorted(place.glob("few_*.pcapng"))
    assert len(kept) == 3 and int(kept[-1].name[4:9]) == len(files)


def test_files_are_rotated_by_time_without_a_packet(collector, place):
    streams = Streams(collector, place, "-o", "t.pcapng", "-rotate-every", "1s", names=("a",))
    streams.send("a", section(), interface())
    wait_until(lambda: len(list(place.glob("t_*"))) >= 3, 30)
    streams.finish()
    assert streams.end().status == 0
    assert all(len(read_collected(path.read_bytes()).interfaces) == 1 for path in sorted(place.glob("t_*"))[1:])


def test_a_full_disk_is_an_error_and_nothing_in_it_is_torn(collector, place):
    (place / "a").write_bytes(stream_of(3000))
    (place / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", place / "disk"], check=True)
    try:
        result = collector.run("-via", "cat {}", "-interface", "lo", "-host", "a", "-o", "disk/full.pcapng")
        found = read_collected((place / "disk/full.pcapng").read_bytes())
    finally:
        subprocess.run(["umount", place / "disk"], check=True)
    assert result.status == 1 and "No space left on device" in result.messages
    assert "whole=yes" not in result.messages and result.messages.count("whole=no") == 2
    assert 500 < len(found.packets) < 1100


def test_a_limit_on_the_size_of_files_is_an_error_and_nothing_in_it_is_torn(collector, place):
    """Its signal ends whoever does not ask for the error instead."""
    (place / "a").write_bytes(stream_of(3000))
    result = collector.run("-via", "cat {}", "-interface", "lo", "-host", "a", "-o", "limited.pcapng",
                           prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_001, 1_000_001)))
    assert result.status == 1 and "File too large" in result.messages
    assert 500 < len(read_collected((place / "limited.pcapng").read_bytes()).packets) < 1000


def test_a_file_that_cannot_be_opened_is_an_error_before_anything_is_started(collector, place):
    result = collector.run("-via", "touch started {command}", "-interface", "lo", "-host", "a", "-o", "none/x.pcapng")
    assert result.status == 1 and "cannot open the file" in result.messages and not (place / "started").exists()


def test_a_terminal_is_refused_as_output(collector):
    master, slave = pty.openpty()
    process = collector.spawn("-interface", "lo", "-host", "a", stdout=slave)
    os.close(slave)
    _, err = process.communicate(timeout=30)
    os.close(master)
    assert process.returncode == 1 and b"refusing to write binary pcapng to a terminal" in err


def test_a_count_over_all_is_exact_and_stops_the_captures(collector, place):
    streams = Streams(collector, place, "-count", "30")
    streams.begin("a", "b")
    for number in range(40):
        streams.send("ab"[number % 2], packet(BEGIN + number, b"x"))
    streams.run.wait_for("reached the limit")
    streams.finish()
    result = streams.end()
    assert len(result.file().packets) == 30 and result.status == 0


def test_all_files_together_stay_below_a_size(collector, place):
    (place / "a").write_bytes(stream_of(3000))
    result = collector.run("-via", "cat {}", "-interface", "lo", "-host", "a", "-max-size", "1M")
    assert result.status == 0 and 1_040_000 < len(result.out) <= 1 << 20
    assert len(result.file().statistics) == 1


ENDS = {
    "signal": ([], lambda run: run.process.send_signal(signal.SIGINT), "received signal"),
    "terminated": ([], lambda run: run.process.send_signal(signal.SIGTERM), "received signal"),
    "hangup": ([], lambda run: run.process.send_signal(signal.SIGHUP), "received signal"),
    "duration": (["-duration", "1s"], lambda run: None, "reached duration"),
}
# Sends a stream, and its end when its stdin has ended.
OURS = """import os, sys
sys.path.insert(0, {folder!r})
from collected import *
out = sys.stdout.buffer
out.write(section() + interface() + packet(10**18, b"first")); out.flush()
print("begun", file=sys.stderr, flush=True)
sys.stdin.read()
out.write(packet(10**18 + 1, b"tail") + statistics(10**18 + 2, True)); out.flush()
"""


@pytest.fixture
def ours(place):
    (place / "ours.py").write_text(OURS.format(folder=os.path.dirname(os.path.abspath(__file__))))
    return ["-via", "/usr/bin/python3 {}", "-interface", "lo", "-host", "ours.py", "-host", "./ours.py"]


@pytest.mark.parametrize("how", ENDS)
def test_a_stop_ends_each_stdin_and_takes_the_whole_tail(collector, ours, how):
    flags, act, message = ENDS[how]
    run = Running(collector.spawn(*ours, *flags))
    wait_until(lambda: run.messages().count("begun") == 2, 30)
    act(run)
    result = run.end()
    assert result.status == 0 and message in result.messages
    assert result.file().of("ours.py lo") == result.file().of("./ours.py lo") == [b"first", b"tail"]


def test_under_nohup_a_hangup_ends_nothing(collector, ours):
    run = Running(collector.spawn(*ours, prepare=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)))
    wait_until(lambda: run.messages().count("begun") == 2, 30)
    run.process.send_signal(signal.SIGHUP)
    result = run.stop()
    assert result.status == 0 and "signal=interrupt" in result.messages and "hangup" not in result.messages


def test_what_ignores_every_wish_is_killed_and_named(collector, place):
    (place / "stays.sh").write_text("trap '' TERM INT; touch begun; while :; do sleep 1; done\n")
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", "stays.sh"))
    wait_until((place / "begun").exists, 30)  # what it says on stderr waits for its stream
    begun = time.monotonic()
    result = run.stop()
    assert 4.5 < time.monotonic() - begun and result.status == 3 and 'stream="stays.sh lo"' in result.messages


def test_a_second_signal_ends_at_once_on_a_record_boundary(collector, place):
    """And not with the SIGTERM that comes after five seconds of the first."""
    (place / "stays.sh").write_text("trap 'touch asked' TERM; trap '' INT; cat stream; while :; do sleep 1; done\n")
    (place / "stream").write_bytes(section() + interface() + packet(BEGIN, b"one"))
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", "stays.sh"))
    wait_until(lambda: b"one" in run.out, 30)
    result = run.stop_at_once()
    assert result.status == 3 and not (place / "asked").exists()
    assert result.file().of("stays.sh lo") == [b"one"]


def test_a_second_signal_ends_it_while_files_are_yet_to_begin(collector, place):
    """All that came waits for a silent stream, and goes out at the end: into many files."""
    (place / "head").write_bytes(section() + interface())
    (place / "flood").write_bytes(stream_of(5000))
    (place / "stays.sh").write_text("trap '' TERM INT; cat head; while :; do sleep 1; done\n")
    (place / "flood.sh").write_text("cat flood; touch sent; cat >/dev/null\n")
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", "stays.sh", "-host", "flood.sh",
                                  "-window", "60s", "-o", "x.pcapng", "-rotate-size", "64k"))
    wait_until((place / "sent").exists, 30)
    assert run.stop_at_once().status == 3
    assert len(list(place.glob("x_*"))) > 20, run.messages()


def test_a_reader_that_is_slow_but_reads_gets_all(collector, place):
    """Nothing else is waited for: what the pipe does not hold takes longer than somebody who reads nothing is waited for."""
    (place / "a").write_bytes(stream_of(1135))
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    process = collector.spawn("-via", "cat {}", "-interface", "lo", "-host", "a", stdout=writer)
    os.close(writer)
    content = b""
    while data := os.read(reader, 4096):
        content += data
        if len(content) < 160_000:
            time.sleep(0.2)
    os.close(reader)
    assert len(read_collected(content).packets) == 1135 and process.wait(30) == 0


def test_the_reader_of_a_socket_going_away_ends_it(collector, place):
    (place / "wait.sh").write_text("cat stream; cat >/dev/null\n")
    (place / "stream").write_bytes(section() + interface())
    reader, writer = socket.socketpair()
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", "wait.sh", stdout=writer))
    writer.close()
    content = b""
    while b"wait.sh lo" not in content:
        content += reader.recv(1 << 16)
    reader.close()
    assert "the reader of the output is gone" in run.end().messages


def test_the_reader_of_stdout_going_away_ends_it_without_a_packet(collector, place):
    reader, writer = os.pipe()
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", "wait.sh", stdout=writer,
                                  prepare=(place / "wait.sh").write_text("cat stream; cat >/dev/null\n") and None))
    os.close(writer)
    os.read(reader, 1 << 16)
    os.close(reader)
    result = run.end()
    assert "the reader of the output is gone" in result.messages and result.status == 3


def test_a_capture_that_broke_off_is_started_again_as_another_interface(collector, place):
    (place / "stream").write_bytes(section() + interface() + packet(BEGIN, b"again"))
    run = Running(collector.spawn("-via", "cat {}", "-interface", "lo", "-host", "stream", "-reconnect"))
    wait_until(lambda: bytes(run.out).count(b"again") - bytes(run.out).count(b"started again") >= 3, 60)
    result = run.stop()
    found = result.file()
    assert result.status == 3 and found.of("stream lo")[:3] == [b"again"] * 3
    assert [one["description"] for one in found.interfaces][:3] == ["", "started again (1)", "started again (2)"]


def test_a_collector_that_is_killed_leaves_nothing_behind(collector, ours):
    run = Running(collector.spawn(*ours))
    wait_until(lambda: run.messages().count("begun") == 2, 30)
    children = [int(pid) for pid in open(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read().split()]
    assert len(children) == 3
    run.process.kill()
    run.process.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") and os.access(f"/proc/{pid}/exe", os.R_OK)
                               for pid in children), 30)


def drawn_on_a_terminal(collector, script, *flags, until):
    """What a run draws on its stderr; it is stopped when that is there."""
    master, slave = pty.openpty()
    process = collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", script, *flags, stderr=slave)
    os.close(slave)
    seen, stopped = b"", False
    try:
        while piece := os.read(master, 65536):
            seen += piece
            if until in seen and not stopped:
                stopped = True
                process.send_signal(signal.SIGINT)
    except OSError:  # nobody has its other end any more
        pass
    process.communicate(timeout=30)
    os.close(master)
    return seen


def test_no_progress_is_drawn_where_the_output_is_a_pipe_and_one_line_where_it_is_a_file(collector, place):
    line = b"streams 0/1  packets 0"
    (place / "waits.sh").write_text("exec cat >/dev/null\n")
    (place / "sleeps.sh").write_text("sleep 2\n")
    assert line in drawn_on_a_terminal(collector, "waits.sh", "-o", "x.pcapng", "-duration", "30s", until=line)
    assert line not in drawn_on_a_terminal(collector, "sleeps.sh", until=line)


@pytest.mark.parametrize("into", ["stdout", "fifo"])
def test_a_second_signal_ends_it_though_nobody_reads_the_output(collector, place, into):
    """The stream is longer than pipe, queue and sink together hold."""
    (place / "flood").write_bytes(stream_of(40_000))
    flags = ["-via", "cat {}", "-interface", "lo", "-host", "flood", "-memory", "4M"]
    reader, writer = os.pipe()
    if into == "fifo":
        os.mkfifo(place / "fifo")
        os.chown(place / "fifo", 2000, 2000)
        os.close(reader)
        reader = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        flags += ["-o", "fifo"]
    try:
        process = collector.spawn(*flags, stdout=writer)
        wait_until(lambda: waits_in(reader) > 60_000, 30)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)  # the least gap between signals that are two: 0.1 s
        assert process.wait(30) in (1, 3)
    finally:
        os.close(reader)
        os.close(writer)


def waits_in(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]


# Each says "begun" when it runs; "waits" ends, after its stdin, when the test lets it.
SILENT = "echo begun >&2; touch begun; cat >/dev/null\n"
SENDS = "cat stream; cat >/dev/null\n"
WAITS = "cat stream; cat >/dev/null; touch asked; read line < hold\n"


@pytest.mark.parametrize("state", ["starting", "running", "before_the_next_file", "stopping"])
def test_nothing_is_left_when_the_process_that_starts_commands_is_killed(collector, place, state):
    """In each state: what came stays, whole as far as it goes, and both the merger and the command end."""
    count = 300
    (place / "stream").write_bytes(section() + interface() + b"".join(packet(BEGIN + n, bytes(1000)) for n in range(count)))
    (place / "go.sh").write_text({"starting": SILENT, "stopping": WAITS}.get(state, SENDS))
    os.mkfifo(place / "hold")
    os.chmod(place / "hold", 0o644)
    if state == "before_the_next_file":
        (place / "go.sh").write_text("touch begun; read line < hold\n" + SENDS)
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", "-host", "go.sh", "-o", "x.pcapng",
                                  "-rotate-size", "64k" if state == "before_the_next_file" else "100M"))
    first = wait_for_file(place)
    wait_until(lambda: (place / "begun").exists() or first.stat().st_size > count * 1000, 30)
    children = children_of(run.process.pid)
    merger = merger_of(run.process)
    if state == "before_the_next_file":
        run.process.send_signal(signal.SIGSTOP)  # it opens none
        (place / "hold").write_text("go\n")
        wait_until(lambda: first not in files_of(merger), 30)
    elif state == "stopping":
        run.process.send_signal(signal.SIGINT)
        wait_until((place / "asked").exists, 30)
    run.process.kill()
    run.process.wait()
    if state == "stopping":
        wait_until(lambda: has_ended(merger), 30)
        (place / "hold").write_text("go\n")
    wait_until(lambda: all(has_ended(pid) for pid in children), 30)
    packets = len(read_collected(first.read_bytes()).packets)
    assert packets == {"starting": 0, "before_the_next_file": (64 << 10) // len(packet(BEGIN, bytes(1000)))}.get(state, count)


def wait_for_file(place):
    wait_until(lambda: list(place.glob("x_*")), 30)
    return next(place.glob("x_*"))


def files_of(pid):
    return [Path(os.readlink(f"/proc/{pid}/fd/{fd}")) for fd in os.listdir(f"/proc/{pid}/fd")]


def has_ended(pid):
    """Whoever inherits it may not have asked for its status yet."""
    try:
        return state_of(pid) == "Z"
    except FileNotFoundError:
        return True
