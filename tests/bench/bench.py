"""
Measures cf-pcap against tcpdump, dumpcap and the least a capture can cost, and prints a table.

Tools take turns (A B A B), so that a change in the machine's load meets all of them; ratios are those
of runs of the same round. Root, two CPUs: the tool has one to itself, traffic and reader the other.
"""
import argparse
import os
import platform
import random
import re
import statistics
import struct
import subprocess
import sys
import time

from bench.live import live
from bench.merging import merging
from bench.rig import (CAPTURE_CPU, FILE_HEADER, RECORD_HEADER, RING_MIB, TCP_HEADERS, TRAFFIC_CPU, Rig, is_sound,
                       peer_tools, spawn, tcpdump_of_tcp, tcpdump_unbuffered, warm_memory)
from support import summary

SIZES = (64, 512, 1514)
COST_RATE = 50_000
# Of tcpdump's cost, by sink and frame size.
COST_TARGETS = {"pipe": (0.50, 0.50, 0.50), "file": (0.65, 0.60, 0.75), "lo": (0.40, 0.40, 0.40)}
FLOOR_TARGET = 1.15
HEADERS_TARGETS = {"tcpdump": 0.20, "tcpdump -s 66": 0.80}  # of TCP packets of 1514 B
BURST_PACKETS, SEARCH_FROM = 100_000, 20_000
SLOW_READER, SLOW_OFFERED, SLOW_SIZE = 10_000_000, 50_000_000, 512  # bytes per second, bytes


class Plan:
    """How much of everything."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 3
        self.cost_packets = 50_000 if quick else 120_000
        self.flood_rounds, self.flood_seconds = (1, 1) if quick else (3, 2)
        self.search_seconds, self.search_tolerance = (0.7, 0.5) if quick else (2, 0.15)
        self.latency_packets = 200 if quick else 1000
        self.starts = 5 if quick else 20
        self.stops = 3 if quick else 8
        self.slow_seconds = 5 if quick else 30
        self.idle_seconds = 3 if quick else 10
        self.live_seconds = 3 if quick else 20
        self.merged_packets = 50_000 if quick else 1_000_000  # of each of 8 streams
        self.peers = peer_tools()[:1] if quick else peer_tools()  # outside the main rows


class Table:
    """The rows of the result, shown as they are measured and together at the end."""

    def __init__(self):
        self.rows = []

    def add(self, what, target, measured, met):
        verdict = "" if met is None else "yes" if met else "**no**"
        self.rows.append(f"| {what} | {measured} | {target} | {verdict} |")
        print(self.rows[-1], flush=True)

    def text(self):
        return "\n".join(["| what | measured | target | met |", "|---|---|---|---|", *self.rows])


def note(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def spread(values, form="{:.2f}"):
    low, middle, high = (form.format(value) for value in
                         (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}..{high})"


def file_bytes(size, packets):
    return FILE_HEADER + packets * (RECORD_HEADER + size)


def measure(rig, tool, size, sink="pipe", interface="cap0", kept=None, **traffic):
    """One run under traffic, of whose packets `kept` bytes come out. Returns what gen.c reports, and what came out."""
    if sink == "file":
        warm_memory(file_bytes(size, traffic["count"]))
    run = rig.start(tool, sink=sink, interface=interface).wait_ready()
    result = run.send([size], **traffic)
    run.settle(file_bytes(kept or size, result["offered"]))
    _, report = run.stop()
    result.update(report, lost=result["offered"] - report["records"], sound=is_sound(report, cut=kept is not None),
                  microseconds=run.cpu / max(report["records"], 1) * 1e6)
    note(f"{tool.name}, {size} B, {sink} {interface}: {result['microseconds']:.3f} us/packet, "
         f"offered {result['offered']} at {result['offered'] / result['seconds']:.0f}/s, "
         f"lost {result['lost']}" + ("" if result["sound"] else f", UNSOUND {report}"))
    return result


def rotated(tools, by):
    """No tool always comes after the same other one, or first."""
    return tools[by % len(tools):] + tools[:by % len(tools)]


def ratio(results, tool, reference):
    """The median of what `tool` cost in each round, in terms of `reference` in that round."""
    return statistics.median(ours["microseconds"] / theirs["microseconds"]
                             for ours, theirs in zip(results[tool], results[reference]))


def cheapest(results, names):
    return min(names, key=lambda name: statistics.median(r["microseconds"] for r in results[name]))


def cost(rig, plan, table, sink):
    """CPU time per packet into a sink: "pipe", "file", or "lo", a pipe and packets on lo."""
    floors = {"pipe": rig.floors(), "file": rig.floors()[:2], "lo": []}[sink]
    peers = peer_tools() if sink == "pipe" else plan.peers
    tools = [*rig.subjects(), *peers, *floors]
    where = {"interface": "lo"} if sink == "lo" else {"sink": sink}
    for size, target in zip(SIZES, COST_TARGETS[sink]):
        results = {tool.name: [] for tool in tools}
        for number in range(plan.rounds):
            for tool in rotated(tools, number):
                results[tool.name].append(
                    measure(rig, tool, size, count=plan.cost_packets, rate=COST_RATE, **where))
        add_cost_rows(table, f"CPU per packet, {size} B, {sink}", results, target,
                      [floor.name for floor in floors])


def add_cost_rows(table, what, results, target, floors):
    absolute = ", ".join(f"{name} {spread([r['microseconds'] for r in runs], '{:.3f}')}"
                         for name, runs in results.items())
    sound = all(r["sound"] for r in results["cf-pcap"])
    of_tcpdump = ratio(results, "cf-pcap", "tcpdump")
    table.add(f"{what}, of tcpdump", f"≤ {target:.2f}", f"{of_tcpdump:.2f}; µs: {absolute}",
              of_tcpdump <= target and sound)
    if floors:
        floor = cheapest(results, floors)
        of_floor = ratio(results, "cf-pcap", floor)
        table.add(f"{what}, of the cheapest floor", f"≤ {FLOOR_TARGET}", f"{of_floor:.2f} ({floor})",
                  of_floor <= FLOOR_TARGET)


def flood(rig, plan, table):
    tools = [rig.cf_pcap(), *peer_tools(), *rig.floors()]
    losses = {tool.name: [] for tool in tools}
    for number in range(plan.flood_rounds):
        for tool in rotated(tools, number):
            result = measure(rig, tool, 1514, seconds=plan.flood_seconds)
            losses[tool.name].append(100 * result["lost"] / result["offered"])
    typical = {name: round(statistics.median(values), 1) for name, values in losses.items()}
    table.add("flood of 1514 B into a pipe, lost", "no worse than the floor",
              ", ".join(f"{name} {spread(values, '{:.1f}')} %" for name, values in losses.items()),
              typical["cf-pcap"] <= min(typical[floor.name] for floor in rig.floors()))


def headers(rig, plan, table):
    """TCP packets of 1514 bytes, of which the headers are kept."""
    tools = [(rig.headers_only(), TCP_HEADERS), (tcpdump_of_tcp("tcpdump", 65535), 1514),
             (tcpdump_of_tcp("tcpdump -s 66", TCP_HEADERS), TCP_HEADERS)]
    results = {tool.name: [] for tool, _ in tools}
    for number in range(plan.rounds):
        for tool, kept in rotated(tools, number):
            results[tool.name].append(measure(rig, tool, 1514, kept=kept, tcp=True, count=plan.cost_packets,
                                              rate=COST_RATE))
    ours = tools[0][0].name
    absolute = ", ".join(f"{name} {spread([r['microseconds'] for r in runs], '{:.3f}')}"
                         for name, runs in results.items())
    sound = all(r["sound"] and r["bytes"] == file_bytes(TCP_HEADERS, r["records"]) for r in results[ours])
    for reference, target in HEADERS_TARGETS.items():
        measured = ratio(results, ours, reference)
        table.add(f"headers of TCP, 1514 B, of {reference}", f"≤ {target:.2f}", f"{measured:.2f}; µs: {absolute}",
                  measured <= target and sound)
    add_headers_flood(rig, plan, table, tools)


def add_headers_flood(rig, plan, table, tools):
    lost = {tool.name: [] for tool, _ in tools}
    for number in range(plan.flood_rounds):
        for tool, kept in rotated(tools, number):
            result = measure(rig, tool, 1514, kept=kept, tcp=True, seconds=plan.flood_seconds)
            lost[tool.name].append(100 * result["lost"] / result["offered"])
    table.add("flood of 1514 B, headers of TCP, lost", "0",
              ", ".join(f"{name} {spread(values, '{:.1f}')} %" for name, values in lost.items()),
              max(lost[tools[0][0].name]) == 0)


def lossless_rate(rig, plan, tool, size, rate):
    """Tried twice: what other programs do to the machine must not count. Returns the rate reached, or 0."""
    for _ in range(2):
        result = measure(rig, tool, size, rate=rate, seconds=plan.search_seconds)
        if result["lost"] == 0 and result["sound"]:
            return result["offered"] / result["seconds"]
    return 0


def highest_rate(rig, plan, tool, size):
    """Returns the rate, and whether the generator could do no more."""
    flooded = measure(rig, tool, size, seconds=plan.search_seconds)
    top = flooded["offered"] / flooded["seconds"]
    if flooded["lost"] == 0 and flooded["sound"]:
        return top, True
    low, high, best = SEARCH_FROM, top, 0
    while high / low > 1 + plan.search_tolerance:
        middle = (low * high) ** 0.5
        rate = lossless_rate(rig, plan, tool, size, middle)
        best = max(best, rate)
        low, high = (middle, high) if rate else (low, middle)
    return best, False


def search(rig, plan, table):
    for size in SIZES[:2]:
        tools = (rig.cf_pcap(), peer_tools()[0])
        found = [highest_rate(rig, plan, tool, size) for tool in tools]
        (ours, unlimited), (theirs, _) = found
        texts = (f"{tool.name} {rate / 1000:.0f}k/s{' (all the generator can)' if most else ''}"
                 for tool, (rate, most) in zip(tools, found))
        undecided = unlimited and ours <= theirs
        table.add(f"highest rate without loss, {size} B", "above tcpdump's", ", ".join(texts),
                  None if undecided else ours > theirs)


def burst(rig, plan, table):
    """As fast as they come, while the reader of stdout takes nothing."""
    lost = []
    for _ in range(plan.flood_rounds):
        run = rig.start(rig.cf_pcap(), phases="200:-1,60000:0").wait_ready()
        sent = run.send([64], count=BURST_PACKETS)
        run.reader.hurry()
        run.settle(file_bytes(64, sent["offered"]))
        lost.append(sent["offered"] - run.stop()[1]["records"])
    table.add(f"burst of {BURST_PACKETS} packets of 64 B, stalled reader, lost", "0", spread(lost, "{:.0f}"),
              statistics.median(lost) == 0)


def latency(rig, plan, table):
    texts, ours = [], None
    for tool in (rig.cf_pcap(), tcpdump_unbuffered(), peer_tools()[1]):
        run = rig.start(tool, latencies=plan.latency_packets).wait_ready()
        run.send([512], count=plan.latency_packets, rate=100)
        run.settle()
        measured = run.stop()[1]["latency_ms"]
        ours = ours or measured
        texts.append(f"{tool.name} {measured['p50']:.1f} / {measured['p99']:.1f}")
    table.add("packet to stdout at 100 packets/s, p50 / p99, ms", "≤ 6 / ≤ 15", ", ".join(texts),
              ours["p50"] <= 6 and ours["p99"] <= 15)


def time_to_header(rig, tool):
    pipe, stdout = os.pipe()
    stamp_read, stamp_write = os.pipe()
    process = spawn(tool.command("cap0"), rig.name, CAPTURE_CPU, uid=tool.uid, stamp=stamp_write,
                    stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL)
    os.close(stdout)
    try:
        os.read(pipe, FILE_HEADER)
        seconds = time.monotonic() - struct.unpack("d", os.read(stamp_read, 8))[0]
    finally:
        process.kill()
        process.wait()
        for fd in (pipe, stamp_read, stamp_write):
            os.close(fd)
    return seconds * 1000


def startup(rig, plan, table):
    tools = (*rig.subjects(), tcpdump_unbuffered())
    times = {tool.name: [] for tool in tools}
    for _ in range(plan.starts):
        for tool in tools:
            # Most of it is waiting for the kernel's ticks, and the last end was at one.
            time.sleep(random.uniform(0, 0.02))
            times[tool.name].append(time_to_header(rig, tool))
    table.add("exec to pcap header, ms", "no slower than tcpdump -U",
              ", ".join(f"{name} {spread(values, '{:.1f}')}" for name, values in times.items()),
              statistics.median(times["cf-pcap"]) <= statistics.median(times["tcpdump -U"]))


def stop_once(rig, tool, busy):
    """Returns the milliseconds from SIGINT to exit, and packets that had arrived but are not printed."""
    run = rig.start(tool).wait_ready()
    generator, before, arrived = None, run.arrived(), 0
    if busy:
        generator = rig.generator("cap0", [512], rate=20_000)
        time.sleep(0.6)
        arrived = run.arrived() - before
    seconds, report = run.stop()
    if generator:
        generator.terminate()
        generator.communicate()
    if not is_sound(report):
        note(f"UNSOUND {report}")
        return seconds * 1000, arrived
    return seconds * 1000, max(0, arrived - report["records"])


def stop(rig, plan, table):
    tools = (*rig.subjects(), peer_tools()[0])
    for busy in (False, True):
        times, missing = ({tool.name: [] for tool in tools} for _ in range(2))
        for _ in range(plan.stops):
            for tool in tools:
                took, left = stop_once(rig, tool, busy)
                times[tool.name].append(took)
                missing[tool.name].append(left)
        text = ", ".join(f"{name} {spread(values, '{:.0f}')}" for name, values in times.items())
        if busy:
            text += "; arrived, not printed: " + ", ".join(f"{name} {sum(counts)}"
                                                           for name, counts in missing.items())
        what = f"SIGINT to exit, {'busy' if busy else 'idle'}, ms"
        table.add(what, "≤ 50, all that had arrived printed", text,
                  statistics.median(times["cf-pcap"]) <= 50 and sum(missing["cf-pcap"]) == 0)


def memory(rig, plan, table):
    for tool in rig.subjects():
        memory_of(tool, rig, plan, table)


def memory_of(tool, rig, plan, table):
    run = rig.start(tool).wait_ready()
    idle = run.memory()[1]
    run.send([64, 512, 1514], seconds=plan.flood_seconds)
    run.settle()
    ring, rest = run.memory()
    run.stop()
    table.add(f"memory of {tool.name}", "ring + 4 MiB", f"ring {ring / 2**20:.0f} MiB + {rest / 2**20:.2f} MiB "
              f"({idle / 2**20:.2f} before any packet)", ring <= RING_MIB << 20 and rest <= 4 << 20)


def idle(rig, plan, table):
    texts, ours = [], None
    for tool in (rig.cf_pcap(), *peer_tools()):
        run = rig.start(tool).wait_ready()
        time.sleep(1)
        before = run.switches()
        time.sleep(plan.idle_seconds)
        rate = (run.switches() - before) / plan.idle_seconds
        ours = rate if ours is None else ours
        run.stop()
        texts.append(f"{tool.name} {rate:.1f}")
    table.add("idle, wake-ups per second", "none but those it must have", ", ".join(texts), ours == 0)


def slow(rig, plan, table):
    run = rig.start(rig.cf_pcap(), phases=f"1000:{SLOW_READER}").wait_ready()
    sent = run.send([SLOW_SIZE], rate=SLOW_OFFERED / SLOW_SIZE, seconds=plan.slow_seconds)
    _, report = run.stop()
    printed, _, dropped = summary(run.messages())
    table.add(f"reader of {SLOW_READER // 10**6} MB/s, {plan.slow_seconds} s at {SLOW_OFFERED // 10**6} MB/s",
              "printed + dropped = offered",
              f"{report['records']} + {dropped} = {report['records'] + dropped}, offered {sent['offered']}",
              report["records"] == printed and printed + dropped == sent["offered"] and is_sound(report))


MEASUREMENTS = {
    "pipe": lambda *words: cost(*words, "pipe"),
    "file": lambda *words: cost(*words, "file"),
    "lo": lambda *words: cost(*words, "lo"),
    "flood": flood,
    "headers": headers,
    "burst": burst,
    "search": search,
    "latency": latency,
    "startup": startup,
    "stop": stop,
    "memory": memory,
    "idle": idle,
    "slow": slow,
    "merging": merging,
    "live": live,
}


def first_line(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split("\n")[0]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    libpcap = re.search(r"libpcap version [0-9.]+", subprocess.run(
        ["tcpdump", "--version"], capture_output=True, text=True, check=False).stdout)
    return (f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs, "
            f"Linux {platform.release()}, {first_line('tcpdump', '--version')} with "
            f"{libpcap.group(0) if libpcap else 'libpcap'}, {first_line('dumpcap', '--version')}")


def parse(argv):
    parser = argparse.ArgumentParser(description="cf-pcap against other tools; BENCH_QUICK=1 for a short run")
    parser.add_argument("measurements", nargs="*", metavar="MEASUREMENT", help=", ".join(MEASUREMENTS))
    parser.add_argument("--also", action="append", default=[], metavar="NAME=BINARY",
                        help="another installed cf-pcap, to compare in pipe, file, lo, startup, stop, memory")
    parser.add_argument("--rounds", type=int, help="of the cost measurements")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.measurements) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no such measurement: {' '.join(unknown)}")
    return arguments


def main(argv):
    arguments = parse(argv)
    plan, table = Plan(os.environ.get("BENCH_QUICK") == "1"), Table()
    plan.rounds = arguments.rounds or plan.rounds
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, {TRAFFIC_CPU})
    with Rig(others=dict(word.split("=", 1) for word in arguments.also)) as rig:
        for name in arguments.measurements or MEASUREMENTS:
            MEASUREMENTS[name](rig, plan, table)
    print(f"\n{machine()}\n\n{table.text()}")


if __name__ == "__main__":
    main(sys.argv[1:])
