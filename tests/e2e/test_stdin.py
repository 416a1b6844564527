"""A capture ends with its user: what standard input is, whether it ends, and what comes of that."""
import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.test_names import Etc
from e2e.test_stopping import ON_LO, StreamCapture, pipe, seconds_to_end, unix_stream
from e2e.traffic import Datagrams, numbers
from links.pcapng import read_pcapng
from support import Namespace, Tools, children_of, read_pcap, socket_in, state_of, summary, wait_until

ENDED = 'level=INFO msg="standard input ended, the capture goes on" input={}\n'
STOPPED = 'level=INFO msg="standard input ended, stopping capture" flag=-stop-at-eof'
NOBODY = 'level=INFO msg="nobody reads messages any more, stopping capture"\n'
FLOOD, FLOOD_SIZE = 3000, 1400  # more than any pipe or socket buffer takes
FLAGS = [[], ["-stop-at-eof"]]


class Input:
    """A standard input. `fd` is the capture's; end() makes the other end go away."""

    def __init__(self, kind, fd, other, end=None):
        self.kind, self.fd, self.other = kind, fd, other
        self.end_it = end or (lambda: os.close(self.other))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in (self.fd, self.other):
            try:
                os.close(fd)
            except OSError:  # was its end
                pass

    def end(self):
        self.end_it()


def pipe_input(_):
    return Input("pipe", *os.pipe())


def socket_input(_):
    return Input("socket", *(one.detach() for one in socket.socketpair()))


def half_closed_socket_input(_):
    ours, theirs = socket.socketpair()
    other = theirs.detach()
    return Input("socket", ours.detach(), other, lambda: socket.socket(fileno=os.dup(other)).shutdown(socket.SHUT_WR))


def tcp_input(_):
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        return Input("socket", server.accept()[0].detach(), client.detach())


def terminal_input(_):
    other, fd = pty.openpty()
    return Input("terminal", fd, other)


def fifo_input(folder):
    """Its first writer comes and goes while a second one waits to come."""
    path = folder / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def come_and_go():
        os.close(os.open(path, os.O_WRONLY))

    return Input("pipe", fd, os.open("/dev/null", os.O_RDONLY), come_and_go)


def writing_end_input(_):
    """Of a pipe, the wrong way round: its reader goes."""
    reader, writer = os.pipe()
    return Input("pipe", writer, reader)


ENDING = {make.__name__: make for make in (pipe_input, socket_input, half_closed_socket_input, tcp_input,
                                           terminal_input, fifo_input, writing_end_input)}


@pytest.fixture(params=ENDING)
def ending(request, tmp_path):
    with ENDING[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def datagrams(ns):
    with Datagrams(ns) as made:
        yield made


@pytest.fixture
def stdin():
    with pipe_input(None) as made:
        yield made


def assert_prints(capture, datagrams, count, first=0):
    """What is sent now gets into the file."""
    datagrams.send(count, first=first)
    wait_until(lambda: len(numbers_so_far(capture.path)) == first + count)


def numbers_so_far(path):
    size = path.stat().st_size  # whole records, but between the two writes of a batch
    return numbers(path.read_bytes()[:size - (size - 24) % 66])


def test_without_the_flag_its_end_is_told_once_and_the_capture_goes_on(tools, ns, datagrams, tmp_path, ending):
    capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap", stdin=ending.fd)
    assert_prints(capture, datagrams, 10)
    assert "standard input" not in capture.messages()
    ending.end()
    wait_until(lambda: ENDED.format(ending.kind) in capture.messages())
    assert_prints(capture, datagrams, 10, first=10)
    status, messages = capture.stop()
    assert status == 0 and messages.count("standard input") == 1
    assert numbers(capture.path) == list(range(20))


@pytest.mark.parametrize("count", [0, 10, 1000])
def test_with_the_flag_its_end_is_a_stop_that_loses_nothing(tools, ns, datagrams, tmp_path, ending, count):
    capture = tools.capture(ns, *ON_LO, "-stop-at-eof", path=tmp_path / "out.pcap", stdin=ending.fd)
    datagrams.send(count)
    ending.end()
    seconds_to_end(capture.process)
    assert capture.process.returncode == 0
    assert numbers(capture.path) == list(range(count))
    assert STOPPED in capture.messages()
    assert summary(capture.messages()) == (count, capture.path.stat().st_size, 0)


NEVER = {
    "file": lambda folder: os.open(folder / "stdin", os.O_RDWR | os.O_CREAT),
    "/dev/null": lambda _: os.open("/dev/null", os.O_RDONLY),
    "/dev/zero": lambda _: os.open("/dev/zero", os.O_RDONLY),
    "folder": lambda folder: os.open(folder, os.O_RDONLY),
    "datagram socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    "closed": lambda _: None,
}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("kind", NEVER)
def test_what_has_no_other_end_never_ends(tools, ns, datagrams, tmp_path, kind, flags):
    fd = NEVER[kind](tmp_path)
    options = {"prepare": lambda: os.close(0)} if fd is None else {"stdin": fd}
    capture = tools.capture(ns, *ON_LO, *flags, path=tmp_path / "out.pcap", **options)
    assert_prints(capture, datagrams, 10)
    assert_prints(capture, datagrams, 10, first=10)
    status, messages = capture.stop()
    if fd is not None:
        os.close(fd)
    assert status == 0 and "standard input ended" not in messages
    assert messages.count('level=WARN msg="standard input never ends, so -stop-at-eof has no effect"') == len(flags)


def test_a_fifo_that_no_writer_has_come_to_has_not_ended(tools, ns, datagrams, tmp_path):
    with fifo_input(tmp_path) as fifo:
        capture = tools.capture(ns, *ON_LO, "-stop-at-eof", path=tmp_path / "out.pcap", stdin=fifo.fd)
        assert_prints(capture, datagrams, 10)
        writer = os.open(tmp_path / "fifo", os.O_WRONLY)
        assert_prints(capture, datagrams, 10, first=10)
        another = os.open(tmp_path / "fifo", os.O_WRONLY)
        os.close(writer)
        assert_prints(capture, datagrams, 10, first=20)
        assert "standard input" not in capture.messages()
        os.close(another)
        seconds_to_end(capture.process)
        assert STOPPED in capture.messages()


def test_it_is_never_read(tools, ns, datagrams, tmp_path, stdin):
    os.write(stdin.other, b"hello")
    capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap", stdin=stdin.fd)
    assert_prints(capture, datagrams, 10)
    stdin.end()  # with something left in it, too
    wait_until(lambda: ENDED.format("pipe") in capture.messages())
    assert capture.stop()[0] == 0
    assert os.read(stdin.fd, 10) == b"hello"


def lead_a_session():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("flags", FLAGS)
def test_the_terminal_of_its_session_sends_a_signal_too_which_is_the_same_stop(tools, ns, datagrams, tmp_path, flags):
    with terminal_input(None) as terminal:
        capture = tools.capture(ns, *ON_LO, *flags, path=tmp_path / "out.pcap", stdin=terminal.fd,
                                prepare=lead_a_session)
        os.close(terminal.fd)
        datagrams.send(10)
        terminal.end()
        seconds_to_end(capture.process)
        terminal.fd = os.open("/dev/null", os.O_RDONLY)
    assert capture.process.returncode == 0
    assert numbers(capture.path) == list(range(10))
    assert capture.messages().count("stopping capture") == 1


@pytest.mark.parametrize("ended", [False, True])
def test_it_sleeps_on_a_quiet_interface(tools, ns, tmp_path, stdin, ended):
    """poll(2) says of an end again and again."""
    capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap", stdin=stdin.fd)
    if ended:
        stdin.end()
        wait_until(lambda: "standard input ended" in capture.messages())
        time.sleep(0.5)  # until nobody can have missed that line

    def switches():
        lines = Path(f"/proc/{capture.process.pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    before = switches()
    time.sleep(2)
    assert switches() - before <= 2
    assert capture.stop()[0] == 0


class Desk:
    """Reads stderr as the platform's daemon does: once the user is gone, until the first line only."""

    def __init__(self):
        self.reader, self.stderr = os.pipe()
        self.lines, self.user_gone, self.fails = [], threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.read)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        os.close(self.stderr)
        self.thread.join()

    def started(self):
        """To be called when the capture has its own."""
        os.close(self.stderr)
        self.stderr = os.open("/dev/null", os.O_WRONLY)

    def read(self):
        with open(self.reader, encoding="utf-8") as lines:
            for line in lines:
                if self.user_gone.is_set():
                    break
                self.lines.append(line)

    def has(self, text):
        return any(text in line for line in list(self.lines))


@pytest.fixture
def desk():
    with Desk() as made:
        yield made


def start_at_desk(tools, ns, desk, stdin, stdout, *flags, **options):
    process = tools.spawn(ns, *ON_LO, *flags, stdin=stdin.fd, stdout=stdout, stderr=desk.stderr, **options)
    desk.started()
    return process


def leave(desk, stdin):
    desk.user_gone.set()
    stdin.end()


def test_a_quiet_capture_whose_user_is_gone_ends(tools, ns, stdin, tmp_path):
    """With somebody still reading stdout, as the platform's daemon would until the next packet."""
    measured = []
    for _ in range(5):
        with pipe_input(None) as own, Desk() as desk:
            reader, stdout = pipe()
            with reader, stdout:
                process = start_at_desk(tools, ns, desk, own, stdout)
                assert len(reader.read(24)) == 24
                leave(desk, own)
                measured.append(seconds_to_end(process))
            assert process.returncode == 0
    print("user gone, noticed after ms:", *(f"{1000 * one:.1f}" for one in measured))
    assert sorted(measured)[2] < 1


def test_a_file_is_whole_when_its_user_is_gone(tools, ns, datagrams, desk, stdin, tmp_path):
    path = tmp_path / "out.pcapng"
    with open(path, "wb") as out:
        process = start_at_desk(tools, ns, desk, stdin, out, "-format", "pcapng")
    wait_until(lambda: path.stat().st_size > 24)
    datagrams.send(10)
    leave(desk, stdin)
    seconds_to_end(process)
    file = read_pcapng(path)
    assert process.returncode == 0 and len(file.records) == 10
    assert file.statistics["comment"] == "nobody reads messages any more"


def test_a_user_who_stays_is_told_and_a_later_end_of_stderr_is_nothing_to_it(tools, ns, datagrams, stdin, tmp_path):
    path = tmp_path / "out.pcap"
    with Desk() as desk:
        with open(path, "wb") as out:
            process = start_at_desk(tools, ns, desk, stdin, out)
        wait_until(lambda: path.stat().st_size == 24)
        stdin.end()
        wait_until(lambda: desk.has("the capture goes on"))
        time.sleep(1.5)  # longer than the time in which a line finds no reader
        desk.user_gone.set()
        datagrams.send(10)
        wait_until(lambda: len(numbers_so_far(path)) == 10)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        seconds_to_end(process)
    assert process.returncode == 0


@contextmanager
def tools_of(stage):
    tools = Tools(stage)
    try:
        yield tools
    finally:
        tools.end_all()


def live_through_silence(stage, path):
    """A line is told after each half minute; its user hears the first one, and is gone when the second comes."""
    with Namespace() as ns, Datagrams(ns) as datagrams, pipe_input(None) as stdin, Desk() as desk, tools_of(stage) as tools:
        with open(path, "wb") as out:
            process = start_at_desk(tools, ns, desk, stdin, out)
        wait_until(lambda: path.stat().st_size == 24)
        stdin.end()
        wait_until(lambda: desk.has("the capture goes on"))
        datagrams.send(10)
        start = time.monotonic()
        wait_until(lambda: desk.has("still capturing"), timeout=60)
        assert 29 < time.monotonic() - start
        assert desk.has(f'level=INFO msg="still capturing" packets=10 bytes={24 + 10 * 66} dropped=0\n')
        desk.user_gone.set()
        assert 28 < seconds_to_end(process, timeout=60)
        assert process.returncode == 0 and numbers(path) == list(range(10))


@pytest.fixture(scope="module", autouse=True)
def silence(request, stage, tmp_path_factory):
    """A minute of nothing but waiting, which passes while the other tests run. The test for it is the last one."""
    if all(item.function is not test_each_half_minute_of_silence_has_a_line_and_the_one_that_nobody_reads_is_the_last
           for item in request.session.items):
        yield None
        return
    with ProcessPoolExecutor(1) as process:  # with descriptors of its own
        yield process.submit(live_through_silence, stage, tmp_path_factory.mktemp("silence") / "out.pcap")


class Lookup:
    """A capture whose filter has a name that nobody answers for yet."""

    def __init__(self, tools, ns, folder, *flags, **options):
        etc = Etc(folder)
        etc.put("hosts", "")
        self.server = socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 53))
        self.server.settimeout(20)
        self.process = tools.spawn(ns, "-interface", "lo", *flags, "host some.name.test", prepare_as_root=etc.enter,
                                   **options)

    def __enter__(self):
        self.query, self.client = self.server.recvfrom(512)
        return self

    def __exit__(self, *_):
        self.server.close()


def test_it_is_watched_while_names_are_looked_up(tools, ns, tmp_path, ending):
    (tmp_path / "out").mkdir()
    with Lookup(tools, ns, tmp_path, "-stop-at-eof", stdin=ending.fd, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE) as lookup:
        ending.end()
        out, messages = lookup.process.communicate(timeout=5)  # libc would ask for ten seconds and more
    assert (lookup.process.returncode, out) == (0, b"")
    assert b'msg="stopped before the capture began" reason="standard input ended"' in messages


def test_a_user_who_goes_while_names_are_looked_up_ends_it(tools, ns, tmp_path, desk, stdin):
    with Lookup(tools, ns, tmp_path, stdin=stdin.fd, stdout=subprocess.DEVNULL, stderr=desk.stderr) as lookup:
        desk.started()
        leave(desk, stdin)
        assert seconds_to_end(lookup.process) < 5
    assert lookup.process.returncode == 0


def test_it_is_watched_while_the_helper_does_not_answer(tools, ns, tmp_path, stdin):
    with Lookup(tools, ns, tmp_path, "-stop-at-eof", stdin=stdin.fd, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE) as lookup:
        helper, = (pid for pid in children_of(lookup.process.pid)  # the resolver has no sandbox
                   if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text())
        os.kill(helper, signal.SIGSTOP)
        wait_until(lambda: state_of(helper) == "T")
        lookup.server.sendto(lookup.query[:2] + b"\x81\x83" + lookup.query[4:], lookup.client)  # no such name
        stdin.end()
        messages = lookup.process.communicate(timeout=5)[1]
    assert lookup.process.returncode == 0
    assert b'msg="stopped before the capture began" reason="standard input ended"' in messages


@contextmanager
def stalled(tools, ns, datagrams, tmp_path, stream, *flags, **options):
    with StreamCapture(tools, ns, tmp_path, stream, *ON_LO, *flags, **options) as capture:
        datagrams.send(FLOOD, FLOOD_SIZE)
        capture.wait_until_stalled()
        yield capture


@pytest.mark.parametrize("stream", [pipe, unix_stream])
def test_it_is_watched_while_the_reader_of_stdout_takes_nothing(tools, ns, datagrams, tmp_path, stdin, stream):
    with stalled(tools, ns, datagrams, tmp_path, stream, "-stop-at-eof", stdin=stdin.fd) as capture:
        stdin.end()
        wait_until(lambda: STOPPED in capture.messages(), timeout=1.5)  # before he is given up
        got = numbers(capture.rest())
        seconds_to_end(capture.process)
    assert capture.process.returncode == 0 and got == list(range(FLOOD))


@pytest.mark.parametrize("stream", [pipe, unix_stream])
def test_its_end_is_told_while_the_reader_of_stdout_takes_nothing(tools, ns, datagrams, tmp_path, stdin, stream):
    with stalled(tools, ns, datagrams, tmp_path, stream, stdin=stdin.fd) as capture:
        stdin.end()
        wait_until(lambda: ENDED.format("pipe") in capture.messages())
        capture.process.send_signal(signal.SIGINT)
        got = numbers(capture.rest())
        seconds_to_end(capture.process)
    assert capture.process.returncode == 0 and got == list(range(FLOOD))


@pytest.mark.parametrize("flags", FLAGS)
def test_its_end_while_it_is_stopping_changes_nothing(tools, ns, datagrams, tmp_path, stdin, flags):
    with stalled(tools, ns, datagrams, tmp_path, pipe, *flags, stdin=stdin.fd) as capture:
        capture.process.send_signal(signal.SIGINT)
        wait_until(lambda: "received signal" in capture.messages())
        stdin.end()
        got = numbers(capture.rest())
        seconds_to_end(capture.process)
    assert capture.process.returncode == 0 and got == list(range(FLOOD))
    assert capture.messages().count("stopping capture") == 1


def test_a_signal_after_its_end_ends_it_at_once(tools, ns, datagrams, tmp_path, stdin):
    """As a second signal does."""
    with stalled(tools, ns, datagrams, tmp_path, pipe, "-stop-at-eof", stdin=stdin.fd) as capture:
        stdin.end()
        wait_until(lambda: STOPPED in capture.messages())
        time.sleep(0.2)
        capture.process.send_signal(signal.SIGINT)
        assert seconds_to_end(capture.process) < 1.5
        got = numbers(capture.rest())
    assert capture.process.returncode == 0 and got == list(range(len(got)))


def test_an_end_before_the_start_is_told_or_a_stop(tools, ns, tmp_path):
    for flags in FLAGS:
        with pipe_input(None) as stdin:
            stdin.end()
            result = tools.run(ns, *ON_LO, "-duration", "300ms", *flags, stdin=stdin.fd)
        assert result.returncode == 0
        if flags:
            assert b'hint="it ended at once: over ssh, ' in result.stderr
            assert b"duration" not in result.stderr
        else:
            assert read_pcap(result.stdout).records == []
            assert ENDED.format("pipe").encode() in result.stderr


def test_each_half_minute_of_silence_has_a_line_and_the_one_that_nobody_reads_is_the_last(silence):
    silence.result()
