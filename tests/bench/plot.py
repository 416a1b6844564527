"""Plots what capturing costs, and what is lost, against the packet rate: rate.png beside this file."""
import os
import statistics
import subprocess
import sys
from pathlib import Path

from bench.bench import machine, measure
from bench.rig import TRAFFIC_CPU, Rig, peer_tools

SIZE = 512
RATES = (20_000, 50_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 0)
SECONDS, ROUNDS = 1.5, 3
IMAGE = Path(__file__).with_name("rate.png")

SCRIPT = """
set terminal pngcairo size 900,680 font "sans,11"
set output "{image}"
set multiplot layout 2,1 title "{title}"
set key top left
set grid
set xlabel "packets per second of {size} bytes, in thousands"
set xrange [0:*]
set yrange [0:*]
set ylabel "CPU time per packet printed, µs"
plot {cost}
set ylabel "packets lost, %"
set yrange [0:100]
plot {loss}
"""


def sweep(rig, tools):
    """Per tool, (thousands of packets/s, CPU µs/packet, % lost), each the medians of some rounds."""
    points = {tool.name: [] for tool in tools}
    for rate in RATES:
        results = {tool.name: [] for tool in tools}
        for _ in range(ROUNDS):
            for tool in tools:
                results[tool.name].append(measure(rig, tool, SIZE, rate=rate, seconds=SECONDS))
        for name, runs in results.items():
            points[name].append(tuple(statistics.median(values) for values in zip(*map(point, runs))))
    return points


def point(result):
    return (result["offered"] / result["seconds"] / 1000, result["microseconds"],
            100 * result["lost"] / result["offered"])


def plot(points, title):
    curves = {}
    data = []
    for column, quantity in ((2, "cost"), (3, "loss")):
        curves[quantity] = ", ".join(f"${name} using 1:{column} with linespoints lw 2 title '{tool}'"
                                     for name, tool in zip("abcdef", points))
    for name, rows in zip("abcdef", points.values()):
        data += [f"${name} << EOD", *(" ".join(map(str, row)) for row in sorted(rows)), "EOD"]
    script = "\n".join(data) + SCRIPT.format(image=IMAGE, title=title, size=SIZE, **curves)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, {TRAFFIC_CPU})
    with Rig() as rig:
        points = sweep(rig, [rig.cf_pcap(), *peer_tools(), rig.floors()[2]])
    plot(points, machine().split(", Dumpcap")[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
