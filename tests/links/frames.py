"""Hand-made frames of many protocols, as a peer on the same Ethernet would send them."""
import socket
import struct
import zlib

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
BROADCAST = b"\xff" * 6
V4, V4_PEER = "10.9.0.1", "10.9.0.2"
V6, V6_PEER = "fd09::1", "fd09::2"


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(kind, payload, to=OURS, source=THEIRS):
    return to + source + struct.pack("!H", kind) + payload


def vlan(number, kind, payload, priority=0):
    """What follows ethertype 0x8100 or 0x88a8."""
    return struct.pack("!HH", priority << 13 | number, kind) + payload


def ipv4(protocol, payload, source=V4_PEER, to=V4, fragment=0, options=b"", ttl=64):
    def header(total):
        return struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload),
                           0x1234, fragment, ttl, protocol, total,
                           socket.inet_aton(source), socket.inet_aton(to)) + options
    return header(checksum(header(0))) + payload


def ipv6(following, payload, source=V6_PEER, to=V6):
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) + payload


def udp(source, to, payload):
    return struct.pack("!HHHH", source, to, 8 + len(payload), 0) + payload


def tcp(source, to, flags, payload=b""):
    return struct.pack("!HHIIBBHHH", source, to, 1000, 2000, 5 << 4, flags, 8192, 0, 0) + payload


def icmp(kind, code=0, payload=b"ping"):
    body = struct.pack("!BBHI", kind, code, 0, 1) + payload
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def sctp(source, to):
    header = struct.pack("!HHII", source, to, 0, 0) + struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65536, 1, 1, 1)
    return header[:8] + struct.pack("<I", zlib.crc32(header)) + header[12:]


def arp(operation):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, THEIRS, socket.inet_aton(V4_PEER),
                       b"\0" * 6, socket.inet_aton("10.9.0.77"))


def dns(number, name=b"\x07example\x03com\0"):
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)


def dhcp():
    return struct.pack("!BBBBIHHIIII", 1, 1, 6, 0, 0x3903F326, 0, 0, 0, 0, 0, 0) + THEIRS + \
        b"\0" * 202 + b"\x63\x82\x53\x63\x35\x01\x01\xff"


def llc(destination, source, payload, to=bytes.fromhex("0180c2000000")):
    return to + THEIRS + struct.pack("!H", 3 + len(payload)) + bytes([destination, source, 3]) + payload


def extension(following, data=b"\x01\x04\0\0\0\0"):
    """A hop-by-hop or destination options header."""
    return bytes([following, 0]) + data


def traffic():
    """One of each, as (name, frame). None needs an answer, some get one."""
    tcp4, udp4 = ipv4(6, tcp(40000, 8080, 0x18, b"hello")), ipv4(17, udp(40001, 8080, b"hello"))
    tcp6, udp6 = ipv6(6, tcp(40000, 8080, 0x18, b"hello")), ipv6(17, udp(40001, 8080, b"hello"))
    mixed = {
        "arp request": ether(0x0806, arp(1), BROADCAST),
        "arp reply": ether(0x0806, arp(2)),
        "rarp": ether(0x8035, arp(3), BROADCAST),
        "tcp syn": ether(0x0800, ipv4(6, tcp(40002, 80, 0x02))),
        "tcp syn-ack": ether(0x0800, ipv4(6, tcp(443, 40002, 0x12))),
        "tcp data": ether(0x0800, tcp4),
        "tcp fin": ether(0x0800, ipv4(6, tcp(40002, 80, 0x11))),
        "tcp rst": ether(0x0800, ipv4(6, tcp(40002, 80, 0x04))),
        "ssh": ether(0x0800, ipv4(6, tcp(40003, 2222, 0x18, b"SSH-2.0-x"))),
        "udp": ether(0x0800, udp4),
        "udp without payload": ether(0x0800, ipv4(17, udp(40001, 9, b""))),
        "udp large": ether(0x0800, ipv4(17, udp(40001, 8080, b"x" * 1400))),
        "udp with ip options": ether(0x0800, ipv4(17, udp(40001, 8080, b"o"), options=b"\x94\x04\0\0")),
        "dns": ether(0x0800, ipv4(17, udp(40004, 53, dns(7)))),
        "dhcp": ether(0x0800, ipv4(17, udp(68, 67, dhcp()), "0.0.0.0", "255.255.255.255"), BROADCAST),
        "ntp": ether(0x0800, ipv4(17, udp(123, 123, b"\x23" + b"\0" * 47))),
        "vxlan": ether(0x0800, ipv4(17, udp(40005, 4789, b"\x08\0\0\0\0\0\x2a\0" + ether(0x0800, tcp4)))),
        "geneve": ether(0x0800, ipv4(17, udp(40006, 6081, b"\0\0\x65\x58\0\0\x2a\0" + ether(0x0800, udp4)))),
        "icmp echo": ether(0x0800, ipv4(1, icmp(8))),
        "icmp unreachable": ether(0x0800, ipv4(1, icmp(3, 3, udp4[:28]))),
        "igmp": ether(0x0800, ipv4(2, icmp(0x16), to="224.0.0.251"), bytes.fromhex("01005e0000fb")),
        "ipip": ether(0x0800, ipv4(4, tcp4)),
        "gre": ether(0x0800, ipv4(47, b"\0\0\x08\0" + tcp4)),
        "esp": ether(0x0800, ipv4(50, struct.pack("!II", 256, 1) + b"e" * 32)),
        "ah": ether(0x0800, ipv4(51, struct.pack("!BBHII", 6, 4, 0, 256, 1) + b"a" * 12 + tcp4[20:])),
        "ospf": ether(0x0800, ipv4(89, b"\x02\x01\0\x2c" + b"\0" * 40, to="224.0.0.5"),
                      bytes.fromhex("01005e000005")),
        "pim": ether(0x0800, ipv4(103, b"\x20\0\0\0", to="224.0.0.13"), bytes.fromhex("01005e00000d")),
        "vrrp": ether(0x0800, ipv4(112, b"\x21\x01\x64\x01" + b"\0" * 16, to="224.0.0.18", ttl=255),
                      bytes.fromhex("01005e000012")),
        "sctp": ether(0x0800, ipv4(132, sctp(40007, 8080))),
        "fragment first": ether(0x0800, ipv4(17, udp(40008, 8080, b"f" * 64), fragment=0x2000)),
        "fragment last": ether(0x0800, ipv4(17, b"f" * 64, fragment=0x0009)),
        "tcp6": ether(0x86DD, tcp6),
        "tcp6 syn": ether(0x86DD, ipv6(6, tcp(40010, 80, 0x02))),
        "ssh6": ether(0x86DD, ipv6(6, tcp(40003, 2222, 0x18, b"SSH-2.0-x"))),
        "udp6": ether(0x86DD, udp6),
        "icmp6 echo": ether(0x86DD, ipv6(58, icmp(128))),
        "icmp6 solicitation": ether(0x86DD, ipv6(58, icmp(135, 0, b"\0" * 16), to="ff02::1:ff00:1"),
                                    bytes.fromhex("3333ff000001")),
        "hop-by-hop": ether(0x86DD, ipv6(0, extension(17) + udp(40011, 8080, b"h"))),
        "destination options": ether(0x86DD, ipv6(60, extension(6) + tcp(40011, 8080, 0x10))),
        "fragment6": ether(0x86DD, ipv6(44, struct.pack("!BBHI", 17, 0, 1, 9) + udp(40012, 8080, b"f" * 8))),
        "esp6": ether(0x86DD, ipv6(50, struct.pack("!II", 256, 1) + b"e" * 32)),
        "mpls": ether(0x8847, struct.pack("!I", 100 << 12 | 0x1FF) + tcp4),
        "mpls stack": ether(0x8847, struct.pack("!II", 100 << 12 | 0xFF, 200 << 12 | 0x1FF) + udp4),
        "pppoe discovery": ether(0x8863, b"\x11\x09\0\0\0\x04\x01\x01\0\0", BROADCAST),
        "pppoe session": ether(0x8864, b"\x11\0\0\x05" + struct.pack("!HH", len(tcp4) + 2, 0x21) + tcp4),
        "lldp": ether(0x88CC, b"\x02\x07\x04" + THEIRS + b"\x04\x02\x07\x30\x06\x02\0\x78\0\0",
                      bytes.fromhex("0180c200000e")),
        "slow protocols": ether(0x8809, b"\x01\x01" + b"\0" * 50, bytes.fromhex("0180c2000002")),
        "eapol": ether(0x888E, b"\x02\x01\0\0", bytes.fromhex("0180c2000003")),
        "stp": llc(0x42, 0x42, b"\0\0\0\0\0" + b"\x80\0" + THEIRS + b"\0" * 23),
        "snap": llc(0xAA, 0xAA, b"\0\0\x0c\x20\0" + b"\x02\xb4\0\0", bytes.fromhex("01000ccccccc")),
        "isis": llc(0xFE, 0xFE, b"\x83\x1b\x01\0\x0f\x01\0\0" + b"\0" * 30, bytes.fromhex("0180c2000014")),
        "ipx": ether(0x8137, b"\xff\xff\0\x1e" + b"\0" * 26, BROADCAST),
        "wake on lan": ether(0x0842, b"\xff" * 6 + OURS * 16, BROADCAST),
        "vlan tcp": ether(0x8100, vlan(7, 0x0800, tcp4, priority=3)),
        "vlan udp": ether(0x8100, vlan(8, 0x0800, udp4)),
        "vlan ssh": ether(0x8100, vlan(7, 0x0800, ipv4(6, tcp(40003, 2222, 0x18, b"SSH-2.0-x")))),
        "vlan tcp6": ether(0x8100, vlan(7, 0x86DD, tcp6)),
        "vlan arp": ether(0x8100, vlan(7, 0x0806, arp(1)), BROADCAST),
        "vlan priority only": ether(0x8100, vlan(0, 0x0800, udp4, priority=5)),
        "qinq tcp": ether(0x88A8, vlan(9, 0x8100, vlan(7, 0x0800, tcp4))),
        "qinq udp": ether(0x88A8, vlan(9, 0x8100, vlan(8, 0x0800, udp4))),
        "vlan twice": ether(0x8100, vlan(9, 0x8100, vlan(7, 0x0800, tcp4))),
        "vlan thrice": ether(0x8100, vlan(9, 0x8100, vlan(7, 0x8100, vlan(5, 0x0800, tcp4)))),
        "vlan stp": THEIRS.join([bytes.fromhex("0180c2000000"), b""]) + struct.pack("!H", 0x8100) +
                    vlan(7, 38, b"\x42\x42\x03" + b"\0" * 35),
        "unknown ethertype": ether(0x9999, b"u" * 46),
        "only a header": ether(0x9998, b""),
        "for another host": ether(0x0800, tcp4, bytes.fromhex("020000000099")),
    }
    return list(mixed.items())
