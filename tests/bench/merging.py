"""cf-pcap-collect beside mergecap: what a packet costs from pipes into a pipe, with the programs that fill them."""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.rig import CAPTURE_CPU
from collector.collected import interface, packet, section
from collector.collected import statistics as statistics_block
from support import ROOT

COLLECTOR = ROOT / "build/cf-pcap-collect"
BEGIN = 1_700_000_000_000_000_000  # ns
FEW, MANY = 8, 200  # streams
MERGECAP_TARGET, MANY_TARGET = 2.5, 2.0
# All streams have begun before the first packet comes, as live ones have.
SEND = "cat {packets}.begin; : >begun.$$; read _ <go; cat {packets}.rest\n"


def build_collector():
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "SANITIZE=", "collector"], check=True, stdout=subprocess.DEVNULL)


def write_stream(folder, packets):
    """Packets of 100 bytes, 10 us apart; all streams are this one, so that each packet is followed by one of another stream."""
    (folder / f"{packets}.begin").write_bytes(section() + interface())
    (folder / f"{packets}.send").write_text(SEND.format(packets=packets))
    with open(folder / f"{packets}.rest", "wb") as file:
        for first in range(0, packets, 1000):
            file.write(b"".join(packet(BEGIN + number * 10_000, b"x" * 100) for number in range(first, min(first + 1000, packets))))
        file.write(statistics_block(BEGIN + packets * 10_000, True))


def cpu_of(argv, folder):
    """Seconds of CPU that a program and all that it starts take, and what it says. Its output goes to a reader through a pipe."""
    with open(folder / "messages", "wb") as messages:
        writer = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=messages, stdin=subprocess.DEVNULL, cwd=folder,
                                  preexec_fn=lambda: os.sched_setaffinity(0, {CAPTURE_CPU}))
        reader = subprocess.Popen(["cat"], stdin=writer.stdout, stdout=subprocess.DEVNULL)
        writer.stdout.close()
        _, status, usage = os.wait4(writer.pid, 0)
        writer.returncode = os.waitstatus_to_exitcode(status)
        reader.wait()
    said = (folder / "messages").read_text()
    assert writer.returncode == 0, said
    return usage.ru_utime + usage.ru_stime, said


def let_go(folder, streams):
    """Once all have begun they may read on."""
    while len(list(folder.glob("begun.*"))) < streams:
        time.sleep(0.1)
    with open(folder / "go", "wb"):
        time.sleep(0.5)  # the last one may be on its way there
    for path in folder.glob("begun.*"):
        path.unlink()


def per_packet(run, folder, streams, packets):
    """Microseconds, without what it takes to start and end with nothing to merge."""
    return (run(folder, streams, packets) - run(folder, streams, 0)) / (streams * packets) * 1e6


def collect(folder, streams, packets):
    hosts = [word for number in range(streams) for word in ("-host", f"s{number}")]
    threading.Thread(target=let_go, args=(folder, streams), daemon=True).start()
    cpu, said = cpu_of([COLLECTOR, "-via", f"sh {packets}.send", *hosts, "-interface", "lo"], folder)
    assert re.search(rf'"stopped collecting" .* packets={streams * packets} .* late=0 whole=yes', said), said[-500:]
    return cpu


def mergecap(folder, streams, packets):
    script = (f"for n in $(seq {streams}); do mkfifo p$n; cat {packets}.begin {packets}.rest >p$n & done\n"
              "mergecap -F pcapng -w - p*; status=$?; wait; rm p*; exit $status")
    return cpu_of(["bash", "-c", script], folder)[0]


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f}..{max(values):.3f})"


def merging(_, plan, table):
    build_collector()
    packets = plan.merged_packets
    with tempfile.TemporaryDirectory() as name:
        folder, results = Path(name), {"few": [], "mergecap": [], "many": []}
        os.mkfifo(folder / "go")
        for count in (packets, packets * FEW // MANY, 0):
            write_stream(folder, count)
        for number in range(plan.rounds):
            results["few"].append(per_packet(collect, folder, FEW, packets))
            results["mergecap"].append(per_packet(mergecap, folder, FEW, packets))
            results["many"].append(per_packet(collect, folder, MANY, packets * FEW // MANY))
            print(f"  merging, round {number + 1}: " + ", ".join(f"{of} {values[-1]:.3f}" for of, values in results.items()),
                  file=sys.stderr, flush=True)
    faster = statistics.median(theirs / ours for ours, theirs in zip(results["few"], results["mergecap"]))
    slower = statistics.median(many / few for few, many in zip(results["few"], results["many"]))
    table.add(f"{FEW} streams of {packets} packets of 100 B merged, packets per CPU second, of mergecap", f"≥ {MERGECAP_TARGET}",
              f"{faster:.2f}; µs: cf-pcap-collect {spread(results['few'])}, mergecap {spread(results['mergecap'])}",
              faster >= MERGECAP_TARGET)
    table.add(f"{MANY} streams merged, CPU per packet, of {FEW} streams", f"≤ {MANY_TARGET}",
              f"{slower:.2f}; µs: {spread(results['many'])}", slower <= MANY_TARGET)
