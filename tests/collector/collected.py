"""pcapng as the collector writes it, read strictly; and streams as remote programs would send them."""
import struct
from dataclasses import dataclass, field

SECTION, INTERFACE, NAMES, STATISTICS, PACKET = 0x0A0D0D0A, 1, 4, 5, 6


@dataclass
class Collected:
    interfaces: list = field(default_factory=list)  # their options, with link type and snaplen
    packets: list = field(default_factory=list)     # (interface, nanoseconds, data, original)
    statistics: list = field(default_factory=list)  # (interface, options)
    names: list = field(default_factory=list)       # (address, name)

    def of(self, name):
        """What packets of an interface hold."""
        return [data for number, _, data, _ in self.packets if self.interfaces[number]["name"] == name]

    def times(self):
        return [time for _, time, _, _ in self.packets]

    def is_sorted(self):
        return self.times() == sorted(self.times())


def options_of(body):
    options, at = {}, 0
    while at < len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if code == 0:
            break
        options[code] = body[at + 4:at + 4 + length]
        at += 4 + (length + 3 & ~3)
    return options


def read_collected(content):
    """Rejects anything that is not one section of whole blocks, with each interface described before it is used."""
    found, at = Collected(), 0
    while at < len(content):
        assert len(content) - at >= 12, "torn block"
        kind, length = struct.unpack_from("<II", content, at)
        assert length >= 12 and length % 4 == 0 and at + length <= len(content), "torn block"
        assert struct.unpack_from("<I", content, at + length - 4)[0] == length
        body = bytes(content[at + 8:at + length - 4])
        assert (kind == SECTION) == (at == 0), "one section"
        if kind == INTERFACE:
            link_type, _, snaplen = struct.unpack_from("<HHI", body)
            options = options_of(body[8:])
            found.interfaces.append({"link_type": link_type, "snaplen": snaplen, "name": options[2].decode("ascii"),
                                     "description": options.get(3, b"").decode("ascii"),
                                     "unit": 1 if options[9] == b"\x09" else 1000, "filter": options.get(11),
                                     "os": options.get(12)})
        elif kind == PACKET:
            number, high, low, captured, original = struct.unpack_from("<IIIII", body)
            assert number < len(found.interfaces), "an interface that was not described"
            found.packets.append((number, (high << 32 | low) * found.interfaces[number]["unit"],
                                  body[20:20 + captured], original))
        elif kind == STATISTICS:
            found.statistics.append((struct.unpack_from("<I", body)[0], options_of(body[12:])))
        elif kind == NAMES:
            kind, size = struct.unpack_from("<HH", body)
            end = 4 + {1: 4, 2: 16}[kind]
            found.names.append((body[4:end], body[end:4 + size].rstrip(b"\0").decode()))
        at += length
    assert len({interface["snaplen"] for interface in found.interfaces}) <= 1, "libpcap refuses it"
    return found


# Streams


def pcap_header(link_type=1, order="<", magic=0xA1B23C4D):
    return struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, link_type)


def pcap_record(nanoseconds, data, order="<"):
    return struct.pack(order + "IIII", nanoseconds // 10**9, nanoseconds % 10**9, len(data), len(data)) + data


def block(kind, body, order="<"):
    length = 12 + len(body)
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order="<"):
    return block(SECTION, struct.pack(order + "IHHQ", 0x1A2B3C4D, 1, 0, 2**64 - 1), order)


def interface(link_type=1, name=b"", order="<"):
    options = option(9, b"\x09", order) + (option(2, name, order) if name else b"")
    return block(INTERFACE, struct.pack(order + "HHI", link_type, 0, 262144) + options, order)


def packet(nanoseconds, data, number=0, order="<"):
    head = struct.pack(order + "IIIII", number, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, len(data), len(data))
    return block(PACKET, head + data + bytes(-len(data) % 4), order)


def statistics(nanoseconds, final=False, number=0, order="<", dropped=0):
    body = struct.pack(order + "III", number, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF)
    if final:
        body += option(3, struct.pack(order + "II", nanoseconds >> 32, nanoseconds & 0xFFFFFFFF), order)
    return block(STATISTICS, body + option(5, struct.pack(order + "Q", dropped), order), order)
