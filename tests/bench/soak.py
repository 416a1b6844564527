"""
One long capture at a high rate, its reader fast, slow and stalled in turn: memory stays flat, printed
and dropped add up to what was offered, and no record is torn. Arguments: "large" or "small" (records of 40
bytes of packet, a reader that stalls at random; the queue grows to its full size), seconds, packets per second.
"""
import json
import os
import random
import sys
import time

from bench.rig import TRAFFIC_CPU, Rig, is_sound
from support import summary

SECONDS, RATE = 600, 100_000
SMALL_FLAGS, SMALL_RATE = ("-snaplen", "40"), 45_000  # records that fill the queue by their number
SIZES = (64, 594, 1514)
# As fast as possible, slower than the traffic, stalled: in ms and bytes per second.
READER = "3000:-1,3000:20000000,3000:0"
STALL_MOST_MS, STALLS = 10_000, 8
SAMPLE_SECONDS = 1
WARM_UP_SECONDS = 10  # one round of the reader: the ring has been full
GROWTH_MOST = 256 << 10  # bytes


def stalls_at_random(seed):
    """A reader that takes everything for a while, then nothing for a while."""
    chance = random.Random(seed)
    return ",".join(f"{chance.randint(1, 1000)}:-1,{chance.randint(1, STALL_MOST_MS)}:0" for _ in range(STALLS))


class Soak:
    """A capture under traffic for some seconds, and what came of it."""

    def __init__(self, rig, seconds, rate=RATE, flags=(), phases=READER):
        self.samples = []
        self.run = rig.start(rig.cf_pcap(flags), phases=phases).wait_ready()
        before = self.run.arrived()
        generator = rig.generator("cap0", SIZES, rate=rate, seconds=seconds)
        self._watch(generator, seconds)
        self.sent = json.loads(generator.communicate()[0])["sent"]
        self.offered = self.run.arrived() - before
        self.run.reader.hurry()
        _, self.report = self.run.stop()
        self.printed, _, self.dropped = summary(self.run.messages())

    def _watch(self, generator, seconds):
        begun = time.monotonic()
        while generator.poll() is None:
            time.sleep(SAMPLE_SECONDS)
            if time.monotonic() - begun >= min(WARM_UP_SECONDS, seconds / 2):
                self.samples.append(self.run.memory()[1])

    def growth(self):
        """Bytes of the writer's memory beyond the ring, from the first look at it on."""
        return max(self.samples) - self.samples[0]

    def faults(self, cut=False):
        """What did not hold, in words."""
        counts = f"{self.printed} printed + {self.dropped} dropped, {self.offered} offered"
        findings = [
            (self.run.status != 0, f"exit status {self.run.status}: {self.run.messages()}"),
            (self.printed + self.dropped != self.offered, f"counts: {counts}"),
            (self.printed != self.report["records"], f"printed {self.printed}, read {self.report['records']}"),
            (not is_sound(self.report, cut), f"output: {self.report}"),
            (not cut and self.growth() > GROWTH_MOST, f"memory grew by {self.growth()} bytes"),
            (not cut and self.dropped == 0, "nothing was dropped: the reader was never too slow"),
        ]
        return [text for failed, text in findings if failed]


def main(kind="large", seconds=SECONDS, rate=None):
    small = {"flags": SMALL_FLAGS, "phases": stalls_at_random(seed=int(time.time()))} if kind == "small" else {}
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, {TRAFFIC_CPU})
    with Rig() as rig:
        soak = Soak(rig, float(seconds), float(rate or (SMALL_RATE if small else RATE)), **small)
        faults = soak.faults(cut=bool(small))
    print(f"{seconds} s: {soak.sent} sent, {soak.offered} offered = {soak.printed} printed + {soak.dropped} "
          f"dropped, memory beyond the ring {soak.samples[0]} bytes, growth {soak.growth()}")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
