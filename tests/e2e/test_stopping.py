"""How a capture ends: each row of "Stopping"."""
import fcntl
import os
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import termios
import threading
import time
from contextlib import contextmanager

import pytest

from e2e.traffic import Datagrams, Sender, ethernet, numbers, udp4
from support import ip, read_pcap, summary, wait_until

ON_LO = ("-interface", "lo", "-filter", "udp port 9999")
STALL_LIMIT = 2.0
FLOOD, FLOOD_SIZE = 3000, 1400  # more than any pipe or socket buffer takes


@pytest.fixture
def datagrams(ns):
    with Datagrams(ns) as made:
        yield made


def seconds_to_end(process, timeout=20):
    """Waits without the coarse polling of Popen.wait(timeout)."""
    start = time.monotonic()
    end = os.pidfd_open(process.pid)
    try:
        assert select.select([end], [], [], timeout)[0], f"still running after {timeout} s"
    finally:
        os.close(end)
    elapsed = time.monotonic() - start
    process.wait()
    return elapsed


def pipe():
    reader, writer = os.pipe()
    return open(reader, "rb", buffering=0), open(writer, "wb", buffering=0)


def unix_stream():
    ours, theirs = socket.socketpair()
    return (open(one.detach(), mode, buffering=0) for one, mode in ((ours, "rb"), (theirs, "wb")))


STREAMS = {"pipe": pipe, "unix": unix_stream}


@pytest.fixture(params=STREAMS)
def stream(request):
    return STREAMS[request.param]


class StreamCapture:
    """A capture whose stdout somebody reads, or does not."""

    def __init__(self, tools, ns, tmp_path, stream, *flags, **options):
        self.error_path = tmp_path / "stream.err"
        self.reader, stdout = stream()
        with stdout, open(self.error_path, "wb") as err:
            self.process = tools.spawn(ns, *flags, stdout=stdout, stderr=err, **options)
        self.head = self.reader.read(24)
        assert len(self.head) == 24, self.messages()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()

    def messages(self):
        return self.error_path.read_text()

    def unread(self):
        return struct.unpack("i", fcntl.ioctl(self.reader, termios.FIONREAD, b"\0" * 4))[0]

    def wait_until_stalled(self):
        """Until nothing more fits."""

        def full():
            before = self.unread()
            time.sleep(0.1)
            return self.unread() == before > 50_000

        wait_until(full)

    def rest(self):
        """All that can still be read, as one pcap file."""
        return self.head + self.reader.read()


F_SETPIPE_SZ = 1031
SIGNAL_NAMES = {  # Go's
    signal.SIGINT: "interrupt", signal.SIGTERM: "terminated", signal.SIGHUP: "hangup", signal.SIGQUIT: "quit",
    signal.SIGUSR1: '"user defined signal 1"', signal.SIGUSR2: '"user defined signal 2"',
    signal.SIGXCPU: '"CPU time limit exceeded"', signal.SIGALRM: '"alarm clock"'}


@pytest.mark.parametrize("number, name", SIGNAL_NAMES.items())
def test_a_signal_loses_nothing_that_had_arrived(tools, ns, datagrams, tmp_path, number, name):
    for count in (1, 2, 10, 100, 1000, 10_000):
        capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap")
        datagrams.send(count)
        status, messages = capture.stop(number)
        assert status == 0
        assert numbers(capture.path) == list(range(count))
        assert f'msg="received signal, stopping capture" signal={name}\n' in messages
        assert summary(messages) == (count, capture.path.stat().st_size, 0)


def ignore_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM})


@pytest.mark.parametrize("prepare", [ignore_signals, block_signals])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_was_ignored_or_blocked_at_the_start_ends_it(tools, ns, datagrams, tmp_path,
                                                                   prepare, number):
    capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap", prepare=prepare)
    datagrams.send(10)
    assert capture.stop(number)[0] == 0
    assert numbers(capture.path) == list(range(10))


def test_a_background_job_of_a_shell_ends_with_sigint(tools, ns):
    script = '"$0" -interface lo -filter "udp port 9999" >"$1" 2>/dev/null & echo $!; wait $!; echo $?'
    shell = subprocess.Popen(["ip", "netns", "exec", ns.name, "setpriv", "--reuid=2000", "--regid=2000",
                              "--clear-groups", "sh", "-c", script, tools.helper, "/dev/null"],
                             stdout=subprocess.PIPE, text=True)
    job = int(shell.stdout.readline())
    try:
        wait_until(lambda: open(f"/proc/{job}/status").read().split("Seccomp:\t")[1][0] == "2")
        os.kill(job, signal.SIGINT)
        content = shell.communicate(timeout=10)[0]
    finally:
        shell.kill()
    assert content.endswith("0\n"), content


def test_packets_after_the_signal_are_not_waited_for(tools, ns, datagrams, tmp_path):
    """A flood that goes on does not keep a capture from ending."""
    capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap")
    over = threading.Event()

    def flood():
        while not over.is_set():
            datagrams.sender.send(b"00000000")

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_until(lambda: capture.path.stat().st_size > 10_000)
        assert capture.stop()[0] == 0
    finally:
        over.set()
        thread.join()
    assert len(read_pcap(capture.path).records) > 100


def test_a_signal_that_comes_twice_at_once_loses_nothing_either(tools, ns, datagrams, tmp_path):
    """timeout(1) sends it to its child and to the whole group."""
    for _ in range(10):
        capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap")
        datagrams.send(10)
        capture.process.send_signal(signal.SIGTERM)
        time.sleep(0.001)  # handled before the next one comes
        assert capture.stop(signal.SIGTERM)[0] == 0
        assert numbers(capture.path) == list(range(10))


@pytest.mark.parametrize("count", [0, 100])
def test_a_capture_ends_soon_after_a_signal(tools, ns, datagrams, tmp_path, count):
    """`make bench` has the figures, this is what a loaded machine keeps, too."""
    measured = []
    for _ in range(9):
        capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap")
        datagrams.send(count)
        capture.process.send_signal(signal.SIGINT)
        measured.append(seconds_to_end(capture.process))
        assert numbers(capture.path) == list(range(count))
    print("ended after ms:", *(f"{1000 * one:.1f}" for one in measured))
    assert statistics.median(measured) < 0.2


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_now_on_a_record_boundary(tools, ns, datagrams, tmp_path, stream, second):
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO) as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        capture.wait_until_stalled()
        capture.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        capture.process.send_signal(second)
        assert seconds_to_end(capture.process) < STALL_LIMIT - 0.5
        assert capture.process.returncode == 0
        got = numbers(capture.rest())
        assert got == list(range(len(got)))


def test_count_is_exact(tools, ns, datagrams, tmp_path):
    for count in (1, 7, 500):
        capture = tools.capture(ns, *ON_LO, "-count", count, path=tmp_path / "out.pcap")
        datagrams.send(1000)
        seconds_to_end(capture.process)
        assert capture.process.returncode == 0
        assert numbers(capture.path) == list(range(count))
        assert 'msg="reached packet count, stopping capture"' in capture.messages()


def test_duration_ends_a_silent_capture(tools, ns, tmp_path):
    start = time.monotonic()
    result = tools.run(ns, *ON_LO, "-duration", "300ms")
    assert time.monotonic() - start >= 0.3
    assert result.returncode == 0
    assert read_pcap(result.stdout).records == []
    assert b'msg="reached duration, stopping capture"' in result.stderr


def test_duration_loses_nothing_that_had_arrived(tools, ns, datagrams, tmp_path):
    capture = tools.capture(ns, *ON_LO, "-duration", "1s", path=tmp_path / "out.pcap")
    datagrams.send(100)
    seconds_to_end(capture.process)
    assert capture.process.returncode == 0
    assert numbers(capture.path) == list(range(100))


@pytest.mark.parametrize("size", [1024, 24 + 58 * 40, 24 + 58 * 41 - 1, 10_000])
def test_max_size_is_the_last_record_boundary_before_it(tools, ns, datagrams, tmp_path, size):
    capture = tools.capture(ns, *ON_LO, "-nano", f"-max-size={size}", path=tmp_path / "out.pcap")
    wait_until(lambda: capture.path.stat().st_size == 24)
    while capture.process.poll() is None:
        datagrams.send(50, 8)
    records = (size - 24) // (16 + 50)
    assert capture.process.returncode == 0
    assert capture.path.stat().st_size == 24 + 66 * records <= size
    assert len(read_pcap(capture.path).records) == records
    assert 'msg="reached maximum size, stopping capture"' in capture.messages()


def test_reader_gone_is_noticed_on_a_silent_interface_within_100_ms(tools, ns, tmp_path, stream):
    measured = []
    for _ in range(9):
        with StreamCapture(tools, ns, tmp_path, stream, *ON_LO) as capture:
            time.sleep(0.05)  # to be asleep, not on the way there
        measured.append(seconds_to_end(capture.process))
        assert capture.process.returncode == 0
        assert 'msg="the reader of stdout is gone, stopping capture"' in capture.messages()
    print("reader gone, noticed after ms:", *(f"{1000 * one:.1f}" for one in measured))
    assert statistics.median(measured) < 0.1


def test_reader_gone_during_traffic_ends_it(tools, ns, datagrams, tmp_path, stream):
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO) as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        capture.wait_until_stalled()
    seconds_to_end(capture.process)
    assert capture.process.returncode == 0
    assert 'msg="the reader of stdout is gone, stopping capture"' in capture.messages()


def test_drops_are_warned_of_while_the_reader_of_a_pipe_takes_nothing(tools, ns, datagrams, tmp_path):
    with StreamCapture(tools, ns, tmp_path, pipe, *ON_LO, "-buffer-size", "256k") as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        wait_until(lambda: 'level=WARN msg="packets are being dropped' in capture.messages())
        capture.process.send_signal(signal.SIGINT)
        printed = len(numbers(capture.rest()))
        seconds_to_end(capture.process)
    packets, _, dropped = summary(capture.messages())
    assert packets == printed and printed + dropped == FLOOD
    assert capture.messages().count("packets are being dropped") == 1


@pytest.mark.parametrize("count, size, pause", [(1500, 1400, 0.002), (4000, 400, 0.0005)])
def test_at_a_modest_rate_a_stalled_reader_loses_nothing_for_long(tools, ns, datagrams, tmp_path, count, size, pause):
    """Though a ring of 16 blocks, each used up after 8 ms, is over by then many times."""
    with StreamCapture(tools, ns, tmp_path, pipe, *ON_LO, "-buffer-size", "4M") as capture:
        for first in range(count):
            datagrams.send(1, size, first=first)
            time.sleep(pause)
        capture.wait_until_stalled()
        capture.process.send_signal(signal.SIGINT)
        assert numbers(capture.rest()) == list(range(count))
        seconds_to_end(capture.process)
    assert summary(capture.messages())[::2] == (count, 0)


def test_what_finds_the_ring_full_after_the_signal_is_not_counted(tools, ns, datagrams, tmp_path):
    with StreamCapture(tools, ns, tmp_path, pipe, *ON_LO, "-buffer-size", "256k") as capture:
        for first in range(0, FLOOD, 100):  # slowly, so that the pipe is full, too
            datagrams.send(100, FLOOD_SIZE, first=first)
            time.sleep(0.02)
        capture.wait_until_stalled()
        capture.process.send_signal(signal.SIGINT)
        wait_until(lambda: 'msg="received signal, stopping capture"' in capture.messages())  # though it is stalled
        datagrams.send(1000, FLOOD_SIZE)
        printed = len(numbers(capture.rest()))
        seconds_to_end(capture.process)
    packets, _, dropped = summary(capture.messages())
    assert packets == printed and printed + dropped == FLOOD


def assert_given_up(capture, payload_size):
    """Ended with a warning, and what the reader still finds are whole records."""
    assert capture.process.returncode == 0
    assert 'level=WARN msg="the reader of stdout does not read, ' in capture.messages()
    got = numbers(capture.rest())
    assert got == list(range(len(got)))
    assert summary(capture.messages())[1] == 24 + len(got) * (16 + 42 + payload_size)


def test_a_stalled_reader_is_given_up_two_seconds_after_a_signal(tools, ns, datagrams, tmp_path, stream):
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO) as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        capture.wait_until_stalled()
        capture.process.send_signal(signal.SIGINT)
        assert STALL_LIMIT - 0.1 < seconds_to_end(capture.process) < STALL_LIMIT + 5
        assert_given_up(capture, FLOOD_SIZE)
        assert 'msg="received signal, stopping capture" signal=interrupt\n' in capture.messages()


def test_a_stalled_reader_is_given_up_after_the_duration(tools, ns, datagrams, tmp_path, stream):
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO, "-duration", "1s") as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        assert seconds_to_end(capture.process) < 1 + STALL_LIMIT + 5
        assert_given_up(capture, FLOOD_SIZE)
        assert 'msg="reached duration, stopping capture"\n' in capture.messages()


@pytest.mark.parametrize("flag, unit", [("-count", 1), ("-max-size", 24 + 16 + 42 + 60_000)])
def test_a_stalled_reader_is_given_up_at_a_limit(tools, ns, datagrams, tmp_path, stream, flag, unit):
    fitting = {pipe: 17, unix_stream: 2}[stream]  # and hardly more
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO, flag, (fitting + 3) * unit) as capture:
        datagrams.send(fitting, 60_000)
        wait_until(lambda: capture.unread() == fitting * 60_058)
        capture.process.send_signal(signal.SIGSTOP)  # so that it sees the rest at once
        datagrams.send(4, 60_000, first=fitting)
        time.sleep(0.1)
        capture.process.send_signal(signal.SIGCONT)
        assert seconds_to_end(capture.process) < STALL_LIMIT + 5
        assert_given_up(capture, 60_000)


def test_a_slow_reader_gets_everything_as_long_as_bytes_move(tools, ns, datagrams, tmp_path, stream):
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO) as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        capture.process.send_signal(signal.SIGINT)
        content, start = bytearray(capture.head), time.monotonic()
        while piece := capture.reader.read(65536):
            content += piece
            time.sleep(0.05)
        assert time.monotonic() - start > STALL_LIMIT
        seconds_to_end(capture.process)
        assert capture.process.returncode == 0
        assert numbers(content) == list(range(FLOOD))
        assert "WARN" not in capture.messages().replace("no ssh session is known", "")


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def failed_capture(tools, ns, datagrams, tmp_path, path, size, *flags, **options):
    """Runs until its stdout fails. Returns its messages."""
    with open(path, "wb") as out, open(tmp_path / "err", "wb") as err:
        process = tools.spawn(ns, *ON_LO, *flags, stdout=out, stderr=err, **options)
    wait_until(lambda: path.stat().st_size == 24)
    process.send_signal(signal.SIGSTOP)  # so that it sees all at once
    datagrams.send(FLOOD, size)
    time.sleep(0.1)
    process.send_signal(signal.SIGCONT)
    seconds_to_end(process)
    assert process.returncode == 1
    return (tmp_path / "err").read_text()


@pytest.mark.parametrize("flags", [(), ("-count", 300)])
def test_a_full_disk_is_an_error_and_leaves_whole_records(tools, ns, datagrams, tmp_path, flags):
    with small_disk(tmp_path / "small", "64k") as disk:
        messages = failed_capture(tools, ns, datagrams, tmp_path, disk / "out.pcap", 200, *flags)
        got = numbers(disk / "out.pcap")
        size = (disk / "out.pcap").stat().st_size
    assert 'level=ERROR msg="cannot write to stdout" error="No space left on device"' in messages
    assert got == list(range((65536 - 24) // 258))
    assert summary(messages)[1] == size


def test_a_file_size_limit_is_an_error_and_leaves_whole_records(tools, ns, datagrams, tmp_path):
    limit = tools.writer.stat().st_size + 50_000  # its image is a file of that size
    messages = failed_capture(
        tools, ns, datagrams, tmp_path, tmp_path / "out.pcap", FLOOD_SIZE,
        prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert 'level=ERROR msg="cannot write to stdout" error="File too large"' in messages
    assert numbers(tmp_path / "out.pcap") == list(range((limit - 24) // (58 + FLOOD_SIZE)))


def test_an_end_of_a_pcapng_file_that_does_not_fit_is_an_error_and_no_lost_packet(tools, ns, datagrams, tmp_path):
    flags, path = (*ON_LO, "-format", "pcapng", "-count", 5), tmp_path / "out.pcap"
    capture = tools.capture(ns, *flags, path=path)
    datagrams.send(5)
    seconds_to_end(capture.process)
    whole = path.read_bytes()
    fitting = len(whole) - int.from_bytes(whole[-4:], "little")  # without the last block, whose length ends it
    limit = tools.writer.stat().st_size + 50_000  # its image is a file of that size
    with open(path, "wb") as out, open(tmp_path / "err", "wb") as err:
        out.truncate(limit - fitting - 10)
        out.seek(0, os.SEEK_END)
        process = tools.spawn(ns, *flags, stdout=out, stderr=err,
                              prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    wait_until(lambda: path.stat().st_size > limit - fitting)
    datagrams.send(5)
    seconds_to_end(process)
    messages = (tmp_path / "err").read_text()
    assert process.returncode == 1
    assert 'level=ERROR msg="cannot write to stdout" error="File too large"' in messages
    assert summary(messages) == (5, fitting, 0)
    assert path.stat().st_size == limit - 10


@pytest.mark.parametrize("path, reason", [("/dev/full", "No space left on device"),
                                          ("/proc/self/mem", "Input/output error")])
def test_a_stdout_that_fails_at_once_is_an_error(tools, ns, path, reason):
    with open(path, "r+b", buffering=0) as out:
        process = tools.spawn(ns, *ON_LO, stdout=out, stderr=subprocess.PIPE)
        messages = process.communicate(timeout=10)[1].decode()
    assert process.returncode == 1
    assert f'level=ERROR msg="cannot write to stdout" error="{reason}"' in messages


def closed(*descriptors):
    def close():
        for descriptor in descriptors:
            os.close(descriptor)
    return close


def test_a_closed_stdout_is_an_error(tools, ns, tmp_path):
    for prepare in (closed(1), closed(0, 1)):
        result = tools.run(ns, *ON_LO, prepare=prepare)
        assert result.returncode == 1
        assert b'level=ERROR msg="cannot write to stdout" error="stdout is closed"' in result.stderr


def test_a_closed_stdin_or_stderr_does_not_matter(tools, ns, datagrams, tmp_path):
    for prepare in (closed(0), closed(2), closed(0, 2)):
        capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap", prepare=prepare)
        datagrams.send(10)
        assert capture.stop()[0] == 0
        assert numbers(capture.path) == list(range(10))


def test_a_reader_of_stderr_that_went_away_does_not_matter(tools, ns, datagrams, tmp_path):
    with StreamCapture(tools, ns, tmp_path, pipe, *ON_LO, prepare=lambda: os.dup2(*dead_pipe())) as capture:
        datagrams.send(10)
        capture.process.send_signal(signal.SIGINT)
        assert numbers(capture.rest()) == list(range(10))
        seconds_to_end(capture.process)
        assert capture.process.returncode == 0


def dead_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer, 2


FRAME = ethernet(0x0800, udp4(b"x"))


def frames_in(path):
    return [record.data for record in read_pcap(path).records].count(FRAME)


def test_interface_down_is_a_warning_and_capture_resumes_when_it_is_up(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "cap0", "udp", path=tmp_path / "out.pcap")
    with Sender(ns, "gen0", peer=True) as peer:
        peer.send(*[FRAME] * 5)
        ip("-n", ns.name, "link", "set", "cap0", "down")
        wait_until(lambda: 'level=WARN msg="interface went down, capture resumes when it is up" '
                           "interface=cap0\n" in capture.messages())
        assert capture.process.poll() is None
        wait_until(lambda: frames_in(capture.path) == 5)
        ip("-n", ns.name, "link", "set", "cap0", "up")

        def resumed():
            peer.send(FRAME)
            return frames_in(capture.path) > 5

        wait_until(resumed, interval=0.05)
    wait_until(lambda: 'level=INFO msg="interface is up again" interface=cap0\n' in capture.messages())
    assert capture.stop()[0] == 0


def delete_interface(ns, capture):
    ip("-n", ns.name, "link", "del", "cap0")


def move_interface(ns, capture):
    ip("-n", ns.name, "link", "set", "cap0", "netns", ns.peer)


def delete_interface_that_is_down(ns, capture):
    ip("-n", ns.name, "link", "set", "cap0", "down")
    wait_until(lambda: "interface went down" in capture.messages())
    delete_interface(ns, capture)


@pytest.mark.parametrize("remove", [delete_interface, move_interface,
                                    delete_interface_that_is_down])
def test_interface_gone_is_an_error_after_all_that_had_arrived(tools, ns, tmp_path, remove):
    capture = tools.capture(ns, "-interface", "cap0", "udp", path=tmp_path / "out.pcap")
    with Sender(ns, "gen0", peer=True) as peer:
        peer.send(*[FRAME] * 50)
    remove(ns, capture)
    seconds_to_end(capture.process)
    assert capture.process.returncode == 1
    assert 'level=ERROR msg="interface is gone" interface=cap0\n' in capture.messages()
    assert frames_in(capture.path) == 50
    assert summary(capture.messages())[0] == 50


def test_interface_gone_while_the_reader_takes_nothing_is_not_missed(tools, ns, tmp_path):
    """The counts that are asked for meanwhile take the socket's error with them."""
    with StreamCapture(tools, ns, tmp_path, pipe, "-interface", "cap0", "udp") as capture:
        with Sender(ns, "gen0", peer=True) as peer:
            fcntl.fcntl(capture.reader, F_SETPIPE_SZ, 4096)  # a few packets fill it: no flood, whose end is looked for
            for _ in range(20):
                peer.send(ethernet(0x0800, udp4(bytes(1400))))
            wait_until(lambda: capture.unread() > 2000)
            ip("-n", ns.name, "link", "del", "cap0")
            time.sleep(0.5)  # in which counts are asked for
        assert len(read_pcap(capture.rest()).records) == 20
        seconds_to_end(capture.process)
        assert capture.process.returncode == 1
        assert 'level=ERROR msg="interface is gone" interface=cap0\n' in capture.messages()


def test_a_signal_to_the_helper_too_is_no_failure_of_the_helpers(tools, ns):
    """As ^C of a terminal is, at any time of the start."""
    for delay in range(30):
        process = tools.spawn(ns, *ON_LO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(delay / 1000)
        os.killpg(process.pid, signal.SIGINT)
        messages = process.communicate(timeout=10)[1]
        assert process.returncode in (0, -signal.SIGINT) and b"ERROR" not in messages, messages


def test_a_pipeline_that_is_interrupted_has_one_reason(tools, ns, tmp_path, stream):
    """^C ends the reader too: which of the two is noticed first is not the user's question."""
    for gone_first in (True, False):
        with StreamCapture(tools, ns, tmp_path, stream, *ON_LO) as capture:
            capture.process.send_signal(signal.SIGSTOP)
            if not gone_first:
                capture.process.send_signal(signal.SIGINT)
        capture.process.send_signal(signal.SIGINT)
        capture.process.send_signal(signal.SIGCONT)
        assert capture.process.wait(10) == 0
        messages = capture.messages()
        assert messages.count("stopping capture") == 1 and "received signal" in messages, messages


def test_a_signal_during_the_start_leaves_no_process(tools, ns, tmp_path):
    for delay in range(20):
        with open(tmp_path / "out.pcap", "wb") as out:
            process = tools.spawn(ns, *ON_LO, stdout=out, stderr=subprocess.DEVNULL)
        time.sleep(delay / 1000)
        process.send_signal(signal.SIGTERM)
        seconds_to_end(process)
        wait_until(lambda: subprocess.check_output(["ip", "netns", "pids", ns.name]) == b"")
        assert process.returncode in (0, 1, -signal.SIGTERM)
