"""No message holds a capture: what stderr does not take is left out, and how much that was is said later."""
import contextlib
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

from e2e.traffic import Sender, ethernet
from hostile.tracer import call_of
from support import USER, full_pipe, ip, read_pcap, wait_until

FRAME = ethernet(0x88B5, b"held".ljust(46))


class Terminal:
    """With its output stopped, as by ^S."""

    def __init__(self):
        self.reader, self.writer = pty.openpty()

    def hold(self):
        termios.tcflow(self.writer, termios.TCOOFF)

    def let_go(self):
        termios.tcflow(self.writer, termios.TCOON)


class Buffer:
    """A pipe or a socket that is full until somebody reads."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def hold(self):
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"#" * 4096)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"#")
        os.set_blocking(self.writer, True)

    def let_go(self):
        """Whoever reads does that."""


def make(kind):
    if kind == "terminal":
        return Terminal()
    if kind == "pipe":
        return Buffer(*os.pipe())
    return Buffer(*(end.detach() for end in socket.socketpair()))


@pytest.fixture(params=["terminal of the user", "terminal", "pipe of the user", "pipe", "socket"])
def stderr(request):
    """The user's own can be opened once more, for writes that never block; another's cannot."""
    held = make(request.param.split()[0])
    if "of the user" in request.param:
        os.fchown(held.writer, USER, USER)
    yield held
    os.close(held.reader)
    with contextlib.suppress(OSError):
        os.close(held.writer)


class Reader(threading.Thread):
    """Takes all that comes, to its end."""

    def __init__(self, descriptor):
        super().__init__()
        self.descriptor, self.text, self.done = descriptor, b"", threading.Event()

    def run(self):
        with contextlib.suppress(OSError):  # EIO: the terminal has no more users
            while not self.done.is_set():
                if select.select([self.descriptor], [], [], 0.05)[0]:
                    chunk = os.read(self.descriptor, 65536)
                    self.text += chunk
                    if not chunk:
                        break


def packets_in(path):
    """Of those that are whole so far."""
    content = path.read_bytes()
    return (len(content) - 24) // (16 + len(FRAME)) if len(content) >= 24 else -1


def wake_ups(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1])


def sleeps(process):
    """It waits for events, and for a while none has come: it has started."""
    for _ in range(5):
        if call_of(process.pid) not in ("poll", "ppoll"):
            return False
        time.sleep(0.02)
    return True


def interrupt_link(ns, sender, path, process):
    """The interface goes down and comes up again, and packets go on: a message each. Returns when they are printed."""
    wait_until(lambda: sleeps(process), 30)
    before, slept = packets_in(path), wake_ups(process)
    ip("-n", ns.name, "link", "set", "cap0", "down")
    wait_until(lambda: wake_ups(process) >= slept + 8, 30)  # it looks again and again, and tells at the second look
    ip("-n", ns.name, "link", "set", "cap0", "up")

    def came():
        with contextlib.suppress(OSError):
            sender.send(FRAME)
        return packets_in(path) > before

    wait_until(came, 30, 0.05)


@pytest.mark.parametrize("when", ["before the start", "while it captures"])
def test_a_held_stderr_does_not_hold_the_capture(tools, ns, tmp_path, stderr, when):
    out = tmp_path / "out.pcap"
    if when == "before the start":
        stderr.hold()
    with open(out, "wb") as file:
        process = tools.spawn(ns, "-interface", "cap0", "-v", "ether proto 0x88b5", stdout=file, stderr=stderr.writer)
    wait_until(lambda: packets_in(out) == 0, 30)
    stderr.hold()
    with Sender(ns, "gen0", peer=True) as sender:
        interrupt_link(ns, sender, out, process)
        interrupt_link(ns, sender, out, process)
        stderr.let_go()
        reader = Reader(stderr.reader)
        reader.start()
        wait_until(lambda: not select.select([stderr.reader], [], [], 0)[0])
        interrupt_link(ns, sender, out, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    os.close(stderr.writer)
    reader.join(30)
    reader.done.set()
    text = reader.text.decode().replace("\r\n", "\n")
    left_out = re.search(r'level=WARN msg="messages were left out, stderr took nothing" count=(\d+)\n', text)
    assert left_out and int(left_out[1]) >= (1 if when == "while it captures" else 2), text.lstrip("#")
    assert 'msg="stopped capture"' in text and len(read_pcap(out).records) == packets_in(out)


def test_a_stderr_that_takes_nothing_costs_a_second_of_the_start_and_little_of_the_end(tools, ns, tmp_path):
    reader, writer = full_pipe()
    out = tmp_path / "out.pcap"
    with open(out, "wb") as file:
        process = tools.spawn(ns, "-interface", "cap0", "-v", "-duration", "1s", stdout=file, stderr=writer)
    assert process.wait(20) == 0
    assert out.stat().st_size >= 24
    os.close(reader)
    os.close(writer)


def test_a_reader_that_is_slow_gets_every_message(tools, ns):
    """A pipe of a page, as a shell's other programs may leave it: it has a second before the capture begins."""
    read_end, write_end = full_pipe()
    with open(read_end, "rb", 0) as messages:
        process = tools.spawn(ns, "-interface", "cap0", "-v", "-duration", "1ms", "-filter", "tcp or" + " " * 7000 + "udp",
                              stdout=subprocess.DEVNULL, stderr=write_end)
        os.close(write_end)
        text = b"".join(iter(lambda: messages.read(4096), b"")).decode().lstrip("\0")
        assert process.wait(20) == 0
    assert "left out" not in text
    assert [word for word in ("parsed flags", "set filter", "stopped capture") if word not in text] == []
