"""cf-pcap-collect at live captures: what it loses, and how late packets come out of it."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from bench.merging import COLLECTOR, build_collector
from bench.rig import CAPTURE_CPU, TRAFFIC_CPU, spawn
from support import summary, wait_until

STREAMS, RATE = 20, 200_000  # in all
DELAY_TARGET = 300           # ms, of 99 of 100
FRAME = 100
FLAGS = ["-format", "pcapng", "-heartbeat", "166ms"]  # as the collector asks for them by default


class Live:
    """Captures whose output many streams are made of: a busy one is all of them, and a quiet one one more."""

    def __init__(self, rig, quiet):
        self.rig, self.folder = rig, rig.folder / f"live.{quiet:d}"
        self.folder.mkdir()
        self.names = [f"busy{number}" for number in range(STREAMS)] + (["quiet"] if quiet else [])
        for name in self.names:
            os.mkfifo(self.folder / name)
        self.messages = self.folder / "messages"
        self.held = [os.open(self.folder / name, os.O_RDWR) for name in self.names]  # so that nobody waits for another
        self.captures, self.processes = [], []

    def spawn(self, *words, **options):
        self.processes.append(spawn(*words, **options))
        return self.processes[-1]

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.let_go()

    def let_go(self):
        while self.held:
            os.close(self.held.pop())

    def read(self, pipe, how):
        """What comes from there is read by delay.c; its report is in a file of that name."""
        with open(self.folder / how, "wb") as report:
            return self.spawn([self.rig.program("delay"), how, self.folder / "notes"], self.rig.name, TRAFFIC_CPU, stdin=pipe,
                              stdout=report)

    def collect(self):
        hosts = [word for name in self.names for word in ("-host", self.folder / name)]
        pipe, stdout = os.pipe()
        with open(self.messages, "wb") as messages:
            self.reader = self.read(pipe, "since")
            self.collector = self.spawn([COLLECTOR, "-via", "cat {}", "-interface", "x", *hosts], self.rig.name, CAPTURE_CPU,
                                        stdin=subprocess.DEVNULL, stdout=stdout, stderr=messages)
        os.close(pipe)
        os.close(stdout)

    def capture(self, interface, names, copy=subprocess.DEVNULL):
        """Its output goes to all of these streams, and to `copy`."""
        tool = self.rig.cf_pcap(FLAGS)
        pipe, stdout = os.pipe()
        errors = self.folder / f"errors.{interface}"
        with open(errors, "wb") as file:
            self.spawn(["tee", *(self.folder / name for name in names)], self.rig.name, TRAFFIC_CPU, stdin=pipe, stdout=copy)
            process = self.spawn(tool.command(interface), self.rig.name, TRAFFIC_CPU, uid=tool.uid, stdin=subprocess.DEVNULL,
                                 stdout=stdout, stderr=file)
        os.close(pipe)
        os.close(stdout)
        self.captures.append((process, errors))

    def capture_busily(self):
        """One of its streams is read without the collector, too."""
        pipe, copy = os.pipe()
        self.capture("cap0", self.names[:STREAMS], copy)
        self.read(pipe, "note")
        os.close(pipe)
        os.close(copy)

    def cats(self):
        """The commands of streams that were started."""
        with open(f"/proc/{self.collector.pid}/task/{self.collector.pid}/children", encoding="ascii") as file:
            return [pid for pid in file.read().split() if Path(f"/proc/{pid}/comm").read_text() == "cat\n"]

    def run(self, seconds):
        """Returns what the collector's reader saw, and (printed, dropped) of the capture that was busy."""
        self.collect()
        self.capture_busily()
        if len(self.names) > STREAMS:
            self.capture("lo", self.names[STREAMS:])
        wait_until(lambda: len(self.cats()) == len(self.names), timeout=30)
        time.sleep(1)
        self.let_go()
        generator = self.rig.generator("cap0", [FRAME], rate=RATE / STREAMS, seconds=seconds)
        generator.communicate()
        time.sleep(1)
        for process, _ in self.captures:
            process.send_signal(signal.SIGINT)
            process.wait()
        self.collector.wait(60)
        self.reader.wait(60)
        printed, _, dropped = summary(self.captures[0][1].read_text())
        return json.loads((self.folder / "since").read_text()), printed, dropped


def live(rig, plan, table):
    build_collector()
    for quiet in (False, True):
        run = Live(rig, quiet)
        try:
            seen, printed, dropped = run.run(plan.live_seconds)
        finally:
            run.end()
        late = int(re.search(r'"stopped collecting" .* late=(\d+)', run.messages.read_text()).group(1))
        lost = STREAMS * printed - seen["packets"]
        table.add(f"{STREAMS} live streams of {RATE} packets/s in all{', and a quiet one' if quiet else ''}: "
                  "delay that the collector adds, p50 / p99", f"≤ {DELAY_TARGET} ms (p99), none lost",
                  f"{seen['p50_ms']} / {seen['p99_ms']} ms (at most {seen['max_ms']}); of {STREAMS * printed} packets lost "
                  f"{lost}, late {late}; dropped by the capture {dropped}",
                  seen["p99_ms"] <= DELAY_TARGET and lost == 0 and dropped == 0 and printed > 0)
