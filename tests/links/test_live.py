"""Readers that show packets as they come, on this machine and over ssh."""
import os
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from links.devices import send_datagram
from support import USER, enter_namespace, processes_in, read_pcap, summary, wait_until

SOON = 3  # seconds: on an idle machine it is below 0.1, but tests share theirs
READERS = {
    "tcpdump": (["tcpdump", "-nlr", "-"], []),
    "tshark": (["tshark", "-nl", "-i", "-"], []),
    "tshark, pcapng": (["tshark", "-nl", "-i", "-"], ["-format", "pcapng"]),
    "tcpdump, pcapng": (["tcpdump", "-nlr", "-"], ["-format", "pcapng"]),
}


class Lines:
    """What a process prints on its stdout, line by line as it comes."""

    def __init__(self, process):
        self.process, self.text = process, b""

    def wait_for(self, word, seconds):
        """Waits for a line that has this word in it."""
        deadline = time.monotonic() + seconds
        while not any(word in line for line in self.text.split(b"\n")[:-1]):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no line with {word} in time, only {self.text.decode()}"
            more = os.read(self.process.stdout.fileno(), 65536)
            assert more, f"ended without a line with {word}: {self.text.decode()}"
            self.text += more


class Pipe:
    """cf-pcap ... | reader"""

    def __init__(self, tools, ns, reader, tmp_path):
        argv, flags = READERS[reader]
        self.errors, self.home = tmp_path / "errors", tmp_path
        readable, writable = os.pipe()
        with open(self.errors, "wb") as errors, open(tmp_path / "reader.errors", "wb") as reader_errors:
            self.capture = tools.spawn(ns, "-interface", "lo", *flags, "-filter", "udp port 7777", stdout=writable,
                                       stderr=errors)
            os.close(writable)
            self.reader = subprocess.Popen(argv, stdin=readable, stdout=subprocess.PIPE, stderr=reader_errors,
                                           env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)})
            os.close(readable)
        self.lines = Lines(self.reader)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.reader, self.capture):
            if process.poll() is None:
                process.kill()
            process.wait()
        self.reader.stdout.close()

    def messages(self):
        return self.errors.read_text()

    def reader_messages(self):
        return (self.home / "reader.errors").read_text()

    def wait_until_it_shows(self, ns, first_length):
        """Readers take a while to start: packets until one is seen."""
        def shown():
            send_datagram(ns, b"s" * first_length, port=7777)
            ready, _, _ = select.select([self.reader.stdout], [], [], 0.1)
            return ready
        wait_until(shown, 20)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_shows_each_packet_soon_and_whole(tools, ns, tmp_path, reader):
    with Pipe(tools, ns, reader, tmp_path) as pipe:
        pipe.wait_until_it_shows(ns, 10)
        for length in (1, 999, 1000, 9000, 65507, 3):
            send_datagram(ns, b"l" * length, port=7777)
            shown = f"length {length}" if "tcpdump" in reader else f"Len={length}"
            pipe.lines.wait_for(shown.encode(), SOON)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_ends_cleanly_when_the_capture_ends(tools, ns, tmp_path, reader):
    with Pipe(tools, ns, reader, tmp_path) as pipe:
        pipe.wait_until_it_shows(ns, 10)
        pipe.capture.send_signal(signal.SIGINT)
        assert pipe.capture.wait(10) == 0
        assert pipe.reader.wait(20) == 0
        assert "truncated" not in pipe.reader_messages() and "cut short" not in pipe.reader_messages()
        printed, _, _ = summary(pipe.messages())
        shown = pipe.lines.text + pipe.reader.stdout.read()
        assert shown.count(b"UDP") == printed


@pytest.mark.parametrize("reader", READERS)
def test_the_capture_ends_when_its_reader_does_though_nothing_arrives(tools, ns, tmp_path, reader):
    with Pipe(tools, ns, reader, tmp_path) as pipe:
        pipe.wait_until_it_shows(ns, 10)
        pipe.reader.send_signal(signal.SIGINT)
        pipe.reader.wait(20)
        assert pipe.capture.wait(10) == 0
        assert 'level=INFO msg="the reader of stdout is gone, stopping capture"' in pipe.messages()


def test_what_is_in_the_pipe_while_nothing_happens_are_whole_records(tools, ns):
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb", 0) as stream:
        tools.spawn(ns, "-interface", "lo", "-snaplen", "0", "-filter", "udp port 7777", stdout=writable,
                    stderr=subprocess.DEVNULL)
        os.close(writable)
        content = stream.read(24)
        for count, length in enumerate((1, 1024, 1025, 5000, 65507), 1):
            send_datagram(ns, b"r" * length, port=7777)
            while not content.endswith(b"r" * length):
                assert select.select([stream], [], [], 10)[0]
                content += stream.read(1 << 20)
            assert [len(record.data) for record in read_pcap(content).records][-1] == 42 + length
            assert len(read_pcap(content).records) == count


SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""
# A user of its own and /run/sshd, seen by this sshd alone.
START_SSHD = """
set -eu
mount --bind {folder}/passwd /etc/passwd
mount -t tmpfs tmpfs /run
mkdir /run/sshd
exec /usr/sbin/sshd -D -e -f {folder}/sshd_config
"""


class Sshd:
    """An OpenSSH server on lo of the namespace, for one user `vcap`."""

    PORT = 22022

    def __init__(self, ns):
        self.folder = Path(tempfile.mkdtemp(prefix="cf-pcap-sshd."))
        self.folder.chmod(0o755)
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key], check=True)
        (self.folder / "passwd").write_text(Path("/etc/passwd").read_text() + f"vcap:*:{USER}:{USER}::/:/bin/sh\n")
        (self.folder / "sshd_config").write_text(SSHD_CONFIG.format(port=self.PORT, folder=self.folder))
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", START_SSHD.format(folder=self.folder)],
                preexec_fn=lambda: enter_namespace(ns.name), stdout=log, stderr=log)

    def __enter__(self):
        wait_until(lambda: "listening on" in self.log() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def log(self):
        return (self.folder / "log").read_text()


def is_captured(ns):
    return "cf-pcap" in processes_in(ns)


@pytest.mark.parametrize("flags", ["", "-format pcapng"])
def test_sshdump_shows_a_remote_capture_without_the_session_that_carries_it(tools, ns, tmp_path, flags):
    with Sshd(ns) as sshd, open(tmp_path / "errors", "wb") as errors:
        command = f"{shlex.quote(str(tools.helper))} -interface lo {flags}"
        reader = subprocess.Popen(
            ["tshark", "-nl", "-i", "sshdump", "-o", "extcap.sshdump.remotehost:127.0.0.1",
             "-o", f"extcap.sshdump.remoteport:{Sshd.PORT}", "-o", "extcap.sshdump.remoteusername:vcap",
             "-o", f"extcap.sshdump.sshkey:{sshd.folder}/user_key",
             "-o", "extcap.sshdump.remotecapturecommandselect:other",
             "-o", f"extcap.sshdump.remotecapturecommand:{command}"],
            preexec_fn=lambda: enter_namespace(ns.name), stdout=subprocess.PIPE,
            stderr=errors, env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)})
        try:
            lines = Lines(reader)
            wait_until(lambda: is_captured(ns) or reader.poll() is not None, 20)
            wait_until(lambda: send_datagram(ns, b"s" * 10, port=7777) or
                       select.select([reader.stdout], [], [], 0.1)[0], 20)
            send_datagram(ns, b"l" * 777, port=7777)
            lines.wait_for(b"Len=777", SOON)
            reader.send_signal(signal.SIGINT)
            reader.wait(20)
            wait_until(lambda: not is_captured(ns), 20)
            assert b" TCP " not in lines.text + reader.stdout.read()
        finally:
            reader.kill()
            reader.wait()
            reader.stdout.close()
