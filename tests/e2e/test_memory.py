"""What a capture takes up in its container: the kernel kills the app when the memory there is full."""
import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.traffic import Datagrams
from support import spawn_as_user, summary, wait_until

MIB = 1 << 20
LIMIT, APP = 80 * MIB, 62 * MIB
DATAGRAMS, SIZE = 60_000, 1400  # a minute of 1,000 a second, in less
FILL = "import sys; sys.stdout.write('up\\n'); sys.stdout.flush(); held = b'x' * int(sys.stdin.readline()); " \
       "sys.stdout.write('full\\n'); sys.stdout.flush(); sys.stdin.readline()"
_numbers = itertools.count()


class MemoryGroup:
    """A memory cgroup of the test's own, with a limit, of the version that has the controller here."""

    def __init__(self, limit):
        version_1 = Path("/sys/fs/cgroup/memory")
        self.version = 1 if (version_1 / "memory.usage_in_bytes").exists() else 2
        self.folder = (version_1 if self.version == 1 else Path("/sys/fs/cgroup")) / \
            f"cfp-{os.getpid()}-{next(_numbers)}"
        self.folder.mkdir()
        self.write("memory.limit_in_bytes" if self.version == 1 else "memory.max", limit)
        if self.version == 2 and (self.folder / "memory.swap.max").exists():
            self.write("memory.swap.max", 0)

    def write(self, name, value):
        (self.folder / name).write_text(str(value), encoding="ascii")

    def read(self, name):
        return (self.folder / name).read_text(encoding="ascii")

    def join(self):
        self.write("cgroup.procs", os.getpid())

    def used(self):
        return int(self.read("memory.usage_in_bytes" if self.version == 1 else "memory.current"))

    def kills(self):
        return int(re.search(r"^oom_kill (\d+)$", self.read("memory.oom_control" if self.version == 1 else
                                                            "memory.events"), re.M)[1])

    def end(self):
        wait_until(lambda: self.read("cgroup.procs") == "")
        wait_until(self.removed)

    def removed(self):
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()


@pytest.fixture
def group(tools):
    made = MemoryGroup(LIMIT)
    yield made
    tools.end_all()
    made.end()


@pytest.fixture
def app(ns, group):
    """A process that holds what is missing to 62 MiB."""
    process = spawn_as_user([sys.executable, "-c", FILL], ns, prepare_as_root=group.join, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.stdin.write(b"%d\n" % (APP - group.used()))
    process.stdin.flush()
    assert process.stdout.readline() == b"full\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.plain_build
def test_a_reader_that_takes_nothing_does_not_get_the_app_killed(tools, ns, group, app, tmp_path):
    reader, writer = os.pipe()
    with open(tmp_path / "err", "wb") as err:
        process = tools.spawn(ns, "-interface", "lo", "udp port 9999", stdout=writer, stderr=err,
                              prepare_as_root=group.join)
    os.close(writer)
    with open(reader, "rb", 0) as stream:
        assert len(stream.read(24)) == 24
        before, most = group.used(), 0
        with Datagrams(ns) as datagrams:
            for first in range(0, DATAGRAMS, 20):
                datagrams.send(20, SIZE, first)
                most = max(most, group.used())
                time.sleep(0.003)  # so that blocks of the ring are handed over with little in them
        assert (app.poll(), process.poll(), group.kills()) == (None, None, 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    messages = (tmp_path / "err").read_text()
    assert "packets are being dropped, the reader is too slow" in messages
    assert summary(messages)[2] > DATAGRAMS / 10
    assert 0 < most - before < (LIMIT - APP) / 2, "a quarter of what was free, and what is allocated besides"


@pytest.mark.plain_build
def test_where_memory_is_plentiful_the_pipe_is_a_mebibyte(tools, ns):
    reader, writer = os.pipe()
    process = tools.spawn(ns, "-interface", "lo", stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    with open(reader, "rb", 0) as stream:
        stream.read(24)
        capacity = int(subprocess.check_output(
            [sys.executable, "-c", "import fcntl; print(fcntl.fcntl(0, 1032))"], stdin=stream))
    assert capacity == MIB
    process.wait(10)
