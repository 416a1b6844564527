"""-headers-only: records end where tshark says that the payload starts, on every link type."""
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from links.devices import link
from links.frames import traffic
from links.sidebyside import SideBySide, packet_socket, without_stale_address
from support import read_pcap

UNKNOWN = 64  # bytes kept where nothing is known
LINKS = {"eth", "sll", "raw", "vlan", "ieee8021ad"}
NETWORKS = {"ip", "ipv6", "gre", "ah"}
TRANSPORTS = {"tcp", "udp", "icmp", "icmpv6", "sctp"}
FIXED = {"icmp": 8, "icmpv6": 8, "sctp": 12}  # tshark counts what these carry as theirs
PAYLOADS = {"tcp.payload", "udp.payload", "data.data"}
AS_IT_LIES = [word for name in ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams")
              for word in ("-o", f"{name}:FALSE")]


def dissected(path):
    """Each packet as tshark dissects it: PDML."""
    done = subprocess.run(["tshark", "-n", "-r", path, *AS_IT_LIES, "-T", "pdml"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return list(ElementTree.fromstring(done.stdout))


def layers(packet):
    """(name, its end) of the outer layers, as far as they are headers of the kinds that -headers-only keeps."""
    for protocol in packet.findall("proto")[2:]:  # behind geninfo and frame
        name = protocol.get("name")
        if name not in LINKS | NETWORKS | TRANSPORTS:
            return
        size = int(protocol.get("size"))
        yield name, int(protocol.get("pos")) + FIXED.get(name, size)
        if name in TRANSPORTS:
            return


def is_later_fragment(packet):
    offsets = [field.get("show") for field in packet.iter("field") if field.get("name") in ("ip.frag_offset",
                                                                                        "ipv6.fraghdr.offset")]
    return any(int(offset, 0) != 0 for offset in offsets)


def payload_start(packet):
    """Where it starts, or at most UNKNOWN where it cannot be told."""
    found = list(layers(packet))
    last, end = found[-1] if found else ("", 0)
    if last not in TRANSPORTS and not is_later_fragment(packet):
        return max(end, UNKNOWN)
    stated = [int(field.get("pos")) for field in packet.iter("field") if field.get("name") in PAYLOADS]
    assert last in FIXED or not stated or stated[0] == end
    return end


def is_misnamed(packet):
    """On cooked sockets Linux names the protocol behind a second tag, which is still there, since 6.10."""
    return [protocol for protocol in packet.findall("proto") if protocol.get("name") == "ip" and protocol.get("size") == "0"]


def compare(both, number, snaplen):
    """Every record is the head of tcpdump's. Returns how many there are, and how many were cut."""
    ours, theirs = (read_pcap(end.path) for end in both.pairs[number])
    packets = dict(zip(map(id, theirs.records), dissected(both.pairs[number][1].path)))
    ours.records, theirs.records = both.between_marks(ours), both.between_marks(theirs)
    assert len(ours.records) == len(theirs.records)
    for head, whole in zip(ours.records, theirs.records):
        data = without_stale_address(theirs.link_type, whole.data)
        kept = len(head.data) if is_misnamed(packets[id(whole)]) else payload_start(packets[id(whole)])
        assert (head.original, head.data.hex()) == (whole.original, data[:min(kept, snaplen)].hex())
    return len(ours.records), sum(len(record.data) < record.original for record in ours.records)


@pytest.mark.parametrize("kind, flags, arguments", [
    ("cap0", [], []), ("lo", [], []), ("tun", [], []), ("ppp", [], []), ("any", [], []),
    ("any", ["-sll1"], ["-y", "LINUX_SLL"])])
def test_records_end_where_tshark_sees_the_payload(tools, ns, tmp_path, kind, flags, arguments):
    with link(ns, kind) as device, SideBySide(tools, ns, device.name, tmp_path, device.send_mark) as both:
        both.add([*flags, "-no-ssh-guard", "-headers-only"], [*arguments, "-s", "8192"])
        both.add([*flags, "-headers-only", "-snaplen", "50", "-filter", "udp"], [*arguments, "-s", "8192", "udp"])
        both.begin(device.send_all)
        device.send_all()
        if kind == "cap0":
            send_with_tags(ns)
        both.end()
        for number, snaplen in enumerate((8192, 50)):
            count, cut = compare(both, number, snaplen)
            assert count >= 10 and cut >= 5


def send_with_tags(ns):
    """From here, so that the tags are in the frame."""
    with packet_socket(ns.name, "cap0") as own:
        for name, frame in traffic():
            if "vlan" in name or "qinq" in name:
                own.send(frame)
