"""Reads a pcapng file of cf-pcap and rejects any deviation from draft-ietf-opsawg-pcapng."""
import struct
from dataclasses import dataclass, field

from support import Record

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
COMMENT = 1
OPTIONS = {  # code: name, length (None: text)
    SECTION: {COMMENT: ("comment", None), 2: ("hardware", None), 3: ("os", None), 4: ("application", None)},
    INTERFACE: {COMMENT: ("comment", None), 2: ("name", None), 3: ("description", None), 9: ("resolution", 1), 11: ("filter", None)},
    STATISTICS: {COMMENT: ("comment", None), 2: ("start", 8), 3: ("end", 8), 4: ("ifrecv", 8), 5: ("ifdrop", 8),
                 6: ("filteraccept", 8), 7: ("osdrop", 8), 8: ("usrdeliv", 8)},
    PACKET: {},
}


@dataclass
class PcapngFile:
    section: dict = field(default_factory=dict)
    interface: dict = field(default_factory=dict)
    statistics: dict = field(default_factory=dict)
    link_type: int = -1
    snaplen: int = -1
    nano: bool = False
    records: list = field(default_factory=list)
    heartbeats: list = field(default_factory=list)  # (records before it, its options and "time")


def padded(length):
    return (length + 3) & ~3


def read_options(kind, content):
    """Known, at most once each, of the right length, zero padding, ended by opt_endofopt and nothing behind it."""
    options, at = {}, 0
    if not content:
        return options
    while True:
        assert at + 4 <= len(content), "options without an end"
        code, length = struct.unpack_from("<HH", content, at)
        at += 4
        if code == 0:
            assert length == 0 and at == len(content), "opt_endofopt"
            return options
        assert code in OPTIONS[kind], f"option {code} in block {kind:#x}"
        name, expected = OPTIONS[kind][code]
        value = content[at:at + length]
        assert len(value) == length and expected in (None, length), f"length of {name}"
        assert name not in options, f"{name} twice"
        assert not any(content[at + length:at + padded(length)]), f"padding of {name}"
        options[name] = value.decode("utf-8") if expected is None else value
        assert expected is not None or "\0" not in options[name].lstrip("\0"), f"{name} has a NUL in it"
        at += padded(length)


def read_time(value):
    high, low = struct.unpack("<II", value)
    return high << 32 | low


def read_section(file, body):
    magic, major, minor, length = struct.unpack_from("<IHHq", body)
    assert (magic, major, minor, length) == (0x1A2B3C4D, 1, 0, -1)
    file.section = read_options(SECTION, body[16:])


def read_interface(file, body):
    file.link_type, reserved, file.snaplen = struct.unpack_from("<HHI", body)
    assert reserved == 0
    file.interface = read_options(INTERFACE, body[8:])
    assert file.interface["resolution"] in (b"\x06", b"\x09")
    file.nano = file.interface["resolution"] == b"\x09"


def read_packet(file, body):
    number, high, low, captured, original = struct.unpack_from("<IIIII", body)
    assert number == 0 and captured <= original and captured <= file.snaplen
    assert len(body) == 20 + padded(captured), "packet length"
    assert not any(body[20 + captured:]), "packet padding"
    file.records.append(Record((high << 32 | low) * (1 if file.nano else 1000), original,
                               body[20:20 + captured]))


def read_statistics(file, body):
    """The one with an end time is the last; those before it are heartbeats."""
    number, high, low = struct.unpack_from("<III", body)
    assert number == 0 and not file.statistics, "something behind the final statistics"
    options, unit = read_options(STATISTICS, body[12:]), 1 if file.nano else 1000
    for name, value in options.items():
        if name in ("start", "end"):
            options[name] = read_time(value) * unit
        elif name != "comment":
            options[name] = int.from_bytes(value, "little")
    if "end" in options:
        file.statistics = options
        assert (high << 32 | low) * unit == options["end"]
    else:
        file.heartbeats.append((len(file.records), {**options, "time": (high << 32 | low) * unit}))


def read_pcapng(path):
    """One section header, one interface, packets and heartbeats, one statistics block, and nothing else."""
    with open(path, "rb") as stream:
        content = stream.read()
    file, kinds, at = PcapngFile(), [], 0
    readers = {SECTION: read_section, INTERFACE: read_interface, PACKET: read_packet, STATISTICS: read_statistics}
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        assert length % 4 == 0 and length >= 12 and at + length <= len(content), "block length"
        assert struct.unpack_from("<I", content, at + length - 4)[0] == length, "block length at its end"
        assert kind in readers, f"block {kind:#x}"
        kinds.append(kind)
        readers[kind](file, content[at + 8:at + length - 4])
        at += length
    assert kinds[:2] == [SECTION, INTERFACE] and kinds[-1] == STATISTICS and file.statistics, "order of blocks"
    assert set(kinds[2:-1]) <= {PACKET, STATISTICS}, "order of blocks"
    return file
