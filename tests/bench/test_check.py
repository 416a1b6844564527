"""The strict reader that all measurements and the soak rely on sees what is wrong with a capture."""
import json
import struct
import subprocess

import pytest

from bench.rig import ROOT, is_sound

OFFSET, SIZE = 42, 100


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    build = tmp_path_factory.mktemp("bench")
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={build}", f"{build}/bench/check"],
                   check=True, stdout=subprocess.DEVNULL)
    return lambda content: json.loads(subprocess.run([build / "bench" / "check"], input=content,
                                                     capture_output=True, check=True).stdout)


def record(sequence):
    frame = bytearray(i * 7 % 256 for i in range(SIZE))
    struct.pack_into("<IQQ", frame, OFFSET, 0x63667063, sequence, 1)
    struct.pack_into("<H", frame, SIZE - 2, sequence * 0x9E3779B97F4A7C15 >> 40 & 0xFFFF)
    return struct.pack("<IIII", 1, 2, SIZE, SIZE) + bytes(frame)


def changed(content, at, byte):
    return content[:at] + bytes([byte]) + content[at + 1:]


HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
WHOLE = b"".join(map(record, range(10)))


def test_a_whole_capture_is_sound(check):
    report = check(HEADER + WHOLE)
    assert is_sound(report)
    assert (report["records"], report["missing"], report["bytes"]) == (10, 0, len(HEADER + WHOLE))


def test_a_lost_packet_is_counted_as_missing(check):
    report = check(HEADER + record(0) + record(3))
    assert (report["records"], report["missing"]) == (2, 2)


FAULTS = [
    ("torn", HEADER + WHOLE[:-1]),
    ("torn", HEADER[:-1]),
    ("disorder", HEADER + record(1) + record(0)),
    ("disorder", HEADER + record(0) + record(0)),
    ("foreign", HEADER + changed(record(0), 16 + OFFSET, 0)),
    ("corrupt", HEADER + changed(record(0), 16 + 80, 0)),
    ("corrupt", HEADER + changed(record(1), 16 + SIZE - 1, 0)),
    ("error", changed(HEADER, 0, 0) + WHOLE),
    ("error", changed(HEADER, 4, 3) + WHOLE),
    ("error", HEADER + changed(record(0), 7, 255)),
    ("error", HEADER + changed(record(0), 8, SIZE + 1)),
]


@pytest.mark.parametrize("fault, content", FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_found(check, fault, content):
    report = check(content)
    assert report[fault]
    assert not is_sound(report)
