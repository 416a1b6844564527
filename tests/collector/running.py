"""cf-pcap-collect as the tests run it."""
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from collected import read_collected
from support import become_user, wait_until

HERE = Path(__file__).resolve().parent


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

    def stop_at_once(self):
        """By a second signal."""
        self.process.send_signal(signal.SIGINT)
        self.wait_for("received signal")
        time.sleep(0.2)  # the least between two: else it counts as the same one
        return self.stop()

    def end(self, timeout=30):
        self.process.wait(timeout)
        for thread in self.threads:
            thread.join(timeout)
        return Result(self.process.returncode, bytes(self.out), self.messages())
