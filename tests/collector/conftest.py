"""Fixtures of the collector's tests: the program, remote commands that are made up, and what came out."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from collected import read_collected  # noqa: E402
from support import ROOT, become_user, wait_until  # noqa: E402

BUILD = ROOT / ("build/sanitized" if os.environ.get("CFPCAP_SANITIZE") == "1" else "build")


class Collector:
    """cf-pcap-collect as an ordinary user runs it, in a folder of his; what it says is kept."""

    def __init__(self, program, folder):
        self.program, self.folder, self.processes = program, folder, []

    def spawn(self, *words, prepare=None, env=None, **options):
        def before_exec():
            os.setsid()
            if prepare:
                prepare()
            become_user()

        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
        process = subprocess.Popen([str(word) for word in (self.program, *words)], cwd=self.folder,
                                   preexec_fn=before_exec,
                                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", **(env or {})}, **options)
        self.processes.append(process)
        return process

    def run(self, *words, timeout=60, **options):
        process = self.spawn(*words, **options)
        out, err = process.communicate(timeout=timeout)
        return Result(process.returncode, out, err.decode())

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Result:
    def __init__(self, status, out, messages):
        self.status, self.out, self.messages = status, out, messages

    def file(self):
        return read_collected(self.out)


class Running:
    """A run whose output and messages are read as they come."""

    def __init__(self, process):
        self.process, self.out, self.err = process, bytearray(), bytearray()
        self.threads = [threading.Thread(target=self.read, args=(stream, into), daemon=True)
                        for stream, into in ((process.stdout, self.out), (process.stderr, self.err)) if stream]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(stream, into):
        while data := os.read(stream.fileno(), 65536):
            into += data

    def messages(self):
        return self.err.decode()

    def wait_for(self, text, timeout=30):
        wait_until(lambda: text in self.messages() or self.process.poll() is not None, timeout)
        assert text in self.messages(), self.messages()

    def stop(self, number=signal.SIGINT, timeout=30):
        self.process.send_signal(number)
        return self.end(timeout)

    def end(self, timeout=30):
        self.process.wait(timeout)
        for thread in self.threads:
            thread.join(timeout)
        return Result(self.process.returncode, bytes(self.out), self.messages())


@pytest.fixture(scope="session")
def collector_program():
    build = ["SANITIZE=1"] if BUILD.name == "sanitized" else []
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, *build, "collector"], check=True, stdout=subprocess.DEVNULL)
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-collect."))
    folder.chmod(0o755)
    shutil.copy(BUILD / "cf-pcap-collect", folder)
    yield folder / "cf-pcap-collect"
    shutil.rmtree(folder)


@pytest.fixture
def place():
    """A folder of the user's."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-collected."))
    os.chown(folder, 2000, 2000)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def collector(collector_program, place):
    collector = Collector(collector_program, place)
    yield collector
    collector.end()
