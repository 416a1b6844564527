"""The packet path does not get more expensive: instructions per packet, counted by callgrind."""
import os
import re
import subprocess

import pytest

from bench.rig import ROOT, RECORD_HEADER

# Instructions per packet by frame size, gcc 12 on x86-64, as measured when the path was last changed.
BUDGET = {64: 166, 512: 269, 1514: 222}
MARGIN = 1.05
# The same memcpy() everywhere, whatever the processor offers.
PLAIN_MEMCPY = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-SSSE3,-ERMS"


@pytest.fixture(scope="module")
def ring_image(tmp_path_factory):
    """Built by gcc and without sanitizers, however the rest is."""
    build = tmp_path_factory.mktemp("plain")
    program = build / "bench" / "ring_image"
    settings = [f"BUILD={build}", "SANITIZE=", "CC=gcc", "CFLAGS=-O2 -g"]
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, *settings, program], check=True,
                   stdout=subprocess.DEVNULL)
    return program


def instructions(program, size, rounds):
    """Instructions of a whole run, and packets per round."""
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                           program, str(size), str(rounds)], check=True, text=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, env={**os.environ, "GLIBC_TUNABLES": PLAIN_MEMCPY})
    return (int(re.search(r"Collected : (\d+)", done.stderr).group(1)),
            int(re.search(r"(\d+) packets a round", done.stderr).group(1)))


@pytest.mark.parametrize("size", BUDGET)
def test_packet_costs_no_more_instructions_than_budgeted(ring_image, size):
    one, packets = instructions(ring_image, size, 1)
    three, _ = instructions(ring_image, size, 3)
    per_packet = (three - one) / 2 / packets
    print(f"{size} bytes: {per_packet:.1f} instructions per packet")
    assert per_packet <= BUDGET[size] * MARGIN


@pytest.mark.parametrize("size", BUDGET)
def test_what_is_counted_is_a_whole_capture(ring_image, size):
    done = subprocess.run([ring_image, str(size), "2"], check=True, capture_output=True)
    packets = int(re.search(rb"(\d+) packets a round", done.stderr).group(1))
    assert len(done.stdout) == 2 * packets * (RECORD_HEADER + size)
