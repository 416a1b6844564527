"""A mix of protocols through many filters: what we print is what tcpdump prints."""
import pytest

from links.frames import traffic
from links.sidebyside import SideBySide, packet_socket

# Grouped so that one replay serves a group; the groups fit the limit of captures per namespace.
FILTERS = [
    ["", "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp"],
    ["icmp6", "igmp", "sctp", "esp", "ah", "ip proto 47", "ip proto ospf", "pim"],
    ["vrrp", "tcp port 80", "port 8080", "udp port 53", "portrange 60-70", "dst portrange 80-443", "src port 40001",
     "tcp dst port 2222"],
    ["host 10.9.0.1", "src host 10.9.0.2", "net 10.9.0.0/24", "dst net 224.0.0.0/4", "ip6 host fd09::1",
     "host 10.9.0.1 or host fd09::2", "ether host 02:00:00:00:00:01", "ether src 02:00:00:00:00:02"],
    ["ether dst 01:80:c2:00:00:0e", "ether proto 0x88cc", "ether broadcast", "ether multicast", "multicast",
     "ip multicast", "ip6 multicast", "ip broadcast"],
    ["vlan", "vlan 7", "vlan and tcp port 8080", "vlan and ip6", "vlan and vlan", "vlan 9 and vlan 7",
     "vlan 9 and vlan 7 and tcp", "not vlan"],
    ["tcp[tcpflags] & tcp-syn != 0", "tcp[tcpflags] == tcp-syn|tcp-ack", "tcp[13] & 7 != 0", "ip[6:2] & 0x1fff != 0",
     "ip[0] & 0xf > 5", "ip[8] = 255", "udp[4:2] > 100", "icmp[icmptype] = icmp-echo"],
    ["greater 500", "less 60", "len > 100 and len < 200", "mpls", "mpls 100", "mpls 100 and mpls 200",
     "mpls and tcp port 8080", "pppoes"],
    ["pppoed", "pppoes 5 and tcp", "stp", "llc", "ether proto 0x9999", "inbound", "outbound",
     "ether[12:2] = 0x8809"],
    ["ip6 proto 17", "ip6 proto 44", "ip6[6] = 0", "tcp and not port 8080", "(udp or tcp) and src host 10.9.0.2",
     "geneve", "udp port 4789 and udp[8] = 8", "iso"],
]


@pytest.mark.parametrize("group", range(len(FILTERS)))
def test_every_filter_prints_what_tcpdump_prints(tools, ns, tmp_path, group):
    with SideBySide(tools, ns, "cap0", tmp_path) as both:
        for expression in FILTERS[group]:
            both.add(["-no-ssh-guard", "-snaplen", "2048", "-buffer-size", "1M", "-filter", expression],
                     ["-s", "2048", *expression.split()])
        both.begin(lambda: send_traffic(ns))
        send_traffic(ns)
        both.end()
        for number, expression in enumerate(FILTERS[group]):
            printed = len(both.compare(number).records)
            assert printed > 0, f"no packet shows that {expression!r} works"


def send_traffic(ns):
    with packet_socket(ns.peer, "gen0") as peer, packet_socket(ns.name, "cap0") as own:
        for _, frame in traffic():
            peer.send(frame)
        for name, frame in traffic():  # sent from here, the tags are still in the frame
            if "vlan" in name or "qinq" in name or name == "tcp data":
                own.send(frame)


def test_the_mix_has_twenty_protocols_and_fifty_filters():
    assert len({frame[12:14] for _, frame in traffic()}) >= 15
    assert len(traffic()) >= 60
    assert sum(len(group) for group in FILTERS) >= 50
