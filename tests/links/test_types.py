"""Every link type: the file is what tcpdump -w writes, with filters, cut packets and the guard."""
import socket

import pytest

from links.devices import link, send_datagram
from links.frames import V4_PEER
from links.sidebyside import SideBySide, inside
from support import read_pcap

LINK_TYPE = {"cap0": 1, "lo": 1, "bridge": 1, "macvlan": 1, "tap": 1,
             "tun": 101, "ipip": 101, "sit": 101,
             "ppp": 113, "rawip": 113, "ip6tnl": 113, "gre": 113, "void": 113, "any": 276}
COOKED_V1 = ("any", "sll1")
FILTERS = ["", "ip6", "tcp[tcpflags] & tcp-syn != 0", "portrange 8000-9000", "greater 120", "inbound",
           "host localhost or host " + V4_PEER]


@pytest.mark.parametrize("kind", LINK_TYPE)
def test_a_link_is_captured_as_tcpdump_captures_it(tools, ns, tmp_path, kind):
    check_link(tools, ns, tmp_path, kind, LINK_TYPE[kind], [], [])


def test_any_in_the_older_cooked_form_is_captured_as_tcpdump_captures_it(tools, ns, tmp_path):
    check_link(tools, ns, tmp_path, "any", 113, ["-sll1"], ["-y", "LINUX_SLL"])


def check_link(tools, ns, tmp_path, kind, link_type, flags, arguments):
    with (link(ns, kind) as device, SideBySide(tools, ns, device.name, tmp_path, device.send_mark,
                                               multicast_apart=kind == "macvlan") as both):
        for expression in FILTERS:
            both.add([*flags, "-no-ssh-guard", "-snaplen", "8192", "-buffer-size", "1M", "-filter", expression],
                     [*arguments, "-s", "8192", *expression.split()])
        guarded = both.add([*flags, "-snaplen", "8192", "-buffer-size", "1M", "-filter", "tcp or udp"],
                           [*arguments, "-s", "8192", "(not tcp port 2222) and (tcp or udp)"],
                           env={"CF_INSTANCE_PORTS": "[]"})
        both.begin(device.send_all)
        device.send_all()
        both.end()
        for number, expression in enumerate(FILTERS):
            file = both.compare(number, kind in ("lo", "any"))
            assert file.link_type == link_type
            assert file.records, f"no packet shows that {expression!r} works"
        check_guard(both, guarded)


def check_guard(both, guarded):
    assert 'filter="(not tcp port 2222) and (tcp or udp)"' in guarded.messages()
    assert both.compare(len(FILTERS), True).records
    assert not [record for record in read_pcap(guarded.path).records if b"SSH-2.0" in record.data]
    assert [record for record in both.compare(0, True).records if (2222).to_bytes(2, "big") in record.data]


@pytest.mark.parametrize("kind, flags, arguments, least", [
    ("cap0", [], [], 1), ("ppp", [], [], 21), ("any", [], [], 21),
    ("any", ["-sll1"], ["-y", "LINUX_SLL"], 21)])
def test_packets_longer_than_snaplen_are_cut_as_tcpdump_cuts_them(tools, ns, tmp_path, kind, flags, arguments,
                                                                  least):
    """A snaplen below `least` is raised by libpcap, to print at least a byte behind a cooked header."""
    with link(ns, kind) as device, SideBySide(tools, ns, device.name, tmp_path, device.send_mark) as both:
        lengths = [str(least + more) for more in (0, 1, 12, 13, 16, 17, 63)] + ["262144"]
        for length in lengths:
            both.add([*flags, "-no-ssh-guard", "-snaplen", length, "-buffer-size", "4M"],
                     [*arguments, "-s", length, "-B", "65536" if length == "262144" else "2048"])
        both.begin(device.send_all)
        device.send_all()
        both.end()
        for number, length in enumerate(lengths):
            records = both.compare(number, kind == "any").records
            assert [len(record.data) for record in records] == \
                [min(int(length), record.original) for record in records]


@pytest.mark.parametrize("kind, link_type", [("tun", 101), ("ppp", 113), ("any", 276)])
def test_a_snaplen_of_one_byte_is_kept_everywhere(tools, ns, tmp_path, kind, link_type):
    with link(ns, kind) as device:
        capture = tools.capture(ns, "-interface", kind, "-no-ssh-guard", "-snaplen", "1", "-count", "20",
                                path=tmp_path / "out.pcap")
        device.send_all()
        capture.process.wait(20)
    file = read_pcap(capture.path)
    assert (file.link_type, file.snaplen) == (link_type, 1)
    assert {len(record.data) for record in file.records} == {1}
    assert min(record.original for record in file.records) >= 20


@pytest.mark.parametrize("flags, arguments", [([], []), (["-sll1"], ["-y", "LINUX_SLL"])])
def test_filters_that_only_any_knows_print_what_tcpdump_prints(tools, ns, tmp_path, flags, arguments):
    with inside(ns.name):
        index = socket.if_nametoindex("cap0")
    expressions = ["ifindex 1", f"ifindex {index} and udp", f"not ifindex {index}", "outbound",
                   "outbound and tcp", "inbound and ip6"]
    with link(ns, "any") as device, SideBySide(tools, ns, "any", tmp_path, device.send_mark) as both:
        for expression in expressions:
            both.add([*flags, "-no-ssh-guard", "-snaplen", "8192", "-filter", expression],
                     [*arguments, "-s", "8192", *expression.split()])
        both.begin(device.send_all)
        device.send_all()
        both.end()
        for number, expression in enumerate(expressions):
            assert both.compare(number, True).records, f"no packet shows that {expression!r} works"


@pytest.mark.parametrize("flags, length_at, address_at", [([], 11, 12), (["-sll1"], 5, 6)])
def test_a_cooked_header_holds_nothing_of_other_packets(tools, ns, tmp_path, flags, length_at, address_at):
    """The kernel reuses its ring and writes no more of an address than there is."""
    capture = tools.capture(ns, "-interface", "any", *flags, "-buffer-size", "256k", "-filter", "udp port 9",
                            path=tmp_path / "out.pcap")
    with link(ns, "lo"):
        for number in range(1000):
            send_datagram(ns, b"\xff" * (900 + number))
    assert capture.stop()[0] == 0
    records = read_pcap(capture.path).records
    assert len(records) > 100
    for record in records:
        assert record.data[length_at] == 6 and record.data[address_at + 6:address_at + 8] == b"\0\0"


@pytest.mark.parametrize("kind", ["netlink", "radiotap", "can"])
def test_a_link_type_that_is_not_supported_is_refused(tools, ns, kind):
    with link(ns, kind):
        run = tools.run(ns, "-interface", kind)
        listed = tools.run(ns, "-list-interfaces").stdout.decode()
    assert (run.returncode, run.stdout, run.stderr.count(b"\n")) == (1, b"", 1)
    assert f'level=ERROR msg="cannot capture on this kind of interface" interface={kind} ' in run.stderr.decode()
    assert [line for line in listed.splitlines() if line.startswith(kind) and "(cannot be captured)" in line]


def test_the_list_of_interfaces_names_the_link_type_of_each(tools, ns):
    names = {1: "EN10MB", 101: "RAW", 113: "LINUX_SLL", 276: "LINUX_SLL2"}
    for kind, link_type in LINK_TYPE.items() - {("bridge", 1), ("macvlan", 1)}:
        with link(ns, kind):
            listed = tools.run(ns, "-list-interfaces").stdout.decode().splitlines()
            assert names[link_type] in [line.split() for line in listed if line.startswith(kind + " ")][0]
