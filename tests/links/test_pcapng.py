"""pcapng: what is in the file, and that strict readers take it."""
import os
import re
import signal
import subprocess
import time

import pytest

from links.devices import link
from links.pcapng import read_pcapng
from links.sidebyside import SideBySide
from support import read_pcap, summary

FILTER = "udp port 8080"


def run(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          encoding="utf-8").stdout


def capture_datagrams(tools, ns, tmp_path, *flags, filter=FILTER):
    before = time.time_ns()
    capture = tools.capture(ns, "-interface", "lo", "-format", "pcapng", *flags, "-filter", filter,
                            path=tmp_path / "out.pcapng")
    with link(ns, "lo") as device:
        device.send_all()
    status, messages = capture.stop(signal.SIGTERM)
    assert status == 0
    return capture.path, messages, before


@pytest.mark.parametrize("flags", [[], ["-nano"]])
def test_a_pcapng_file_says_where_and_how_it_was_made(tools, ns, tmp_path, flags):
    path, messages, before = capture_datagrams(tools, ns, tmp_path, "-snaplen", "1001", *flags)
    file = read_pcapng(path)
    version = tools.run(ns, "-version").stdout.decode().strip()
    assert file.section == {"os": f"Linux {os.uname().release}", "application": version}
    assert file.interface["name"] == "lo"
    assert file.interface["filter"] == f"\0(not tcp port 2222) and ({FILTER})"
    assert (file.link_type, file.snaplen, file.nano) == (1, 1001, bool(flags))
    packets, size, dropped = summary(messages)
    assert (packets, size, dropped) == (len(file.records), path.stat().st_size, 0) and packets == 12
    assert file.statistics["comment"] == "received signal"
    assert before - 1_000 <= file.statistics["start"] <= file.records[0].nanoseconds
    assert file.records[-1].nanoseconds <= file.statistics["end"] <= time.time_ns()
    counts = {name: file.statistics[name] for name in ("ifrecv", "ifdrop", "filteraccept", "osdrop", "usrdeliv")}
    assert counts == {"ifrecv": packets, "ifdrop": 0, "filteraccept": packets, "osdrop": 0, "usrdeliv": packets}


def test_other_tools_read_our_pcapng(tools, ns, tmp_path):
    path, _, _ = capture_datagrams(tools, ns, tmp_path)
    file = read_pcapng(path)
    assert len(run("tcpdump", "-tnr", path).splitlines()) == len(file.records)
    lengths = run("tshark", "-r", path, "-T", "fields", "-e", "frame.len", "-e", "frame.interface_name").split()
    assert lengths[0::2] == [str(record.original) for record in file.records]
    assert set(lengths[1::2]) == {"lo"}
    about = run("capinfos", path)
    for fact in ("Wireshark/... - pcapng\n", "Capture oper-sys:    Linux ", "Capture application: cf-pcap ",
                 "Name = lo\n", f"Filter string = (not tcp port 2222) and ({FILTER})\n",
                 "Time precision = microseconds (6)", "Number of stat entries = 1",
                 f"Number of packets = {len(file.records)}", "Strict time order:   True"):
        assert fact in about, about


def test_other_tools_read_our_pcap(tools, ns, tmp_path):
    for flags, precision in (([], "microseconds (6)"), (["-nano"], "nanoseconds (9)")):
        capture = tools.capture(ns, "-interface", "lo", *flags, path=tmp_path / "out.pcap")
        with link(ns, "lo") as device:
            device.send_all()
        assert capture.stop()[0] == 0
        count = len(read_pcap(capture.path).records)
        assert len(run("tcpdump", "-tnr", capture.path).splitlines()) == count
        assert len(run("tshark", "-r", capture.path).splitlines()) == count
        about = run("capinfos", capture.path)
        assert f"Time precision = {precision}" in about and re.search(rf"Number of packets = {count}\n", about)


@pytest.mark.parametrize("kind", ["cap0", "any", "tun", "lo"])
def test_pcapng_holds_the_records_of_pcap(tools, ns, tmp_path, kind):
    with link(ns, kind) as device, SideBySide(tools, ns, device.name, tmp_path, device.send_mark) as both:
        both.add(["-no-ssh-guard", "-nano", "-format", "pcapng"], ["-B", "65536", "--nano"])
        both.begin()
        device.send_all()
        both.end()
        ours, theirs = both.pairs[0]
        file, other = read_pcapng(ours.path), read_pcap(theirs.path)
        both.compare_files(file, other, 0, kind in ("any", "lo"))
        assert len(file.records) > 10


@pytest.mark.parametrize("flags, comment", [
    (["-count", "3"], "reached packet count"), (["-max-size", "2k"], "reached maximum size"),
    (["-duration", "300ms"], "reached duration")])
def test_the_comment_says_why_the_capture_stopped(tools, ns, tmp_path, flags, comment):
    capture = tools.capture(ns, "-interface", "lo", "-format", "pcapng", *flags, path=tmp_path / "out.pcapng")
    with link(ns, "lo") as device:
        device.send_all()
    assert capture.process.wait(20) == 0
    assert read_pcapng(capture.path).statistics["comment"] == comment
