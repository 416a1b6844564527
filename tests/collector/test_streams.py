"""The merge's guarantees, made to happen: the test itself is at the other end of each stream."""
import os
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest
from collected import (block, interface, option, packet, pcap_header, pcap_record, read_collected, section,
                       statistics)
from running import Running
from support import children_of, state_of, wait_until

S = 10**9
BEGIN = 1_700_000_000 * S


class Streams:
    """A run over fifos, which cat reads: what the test writes into one is what a remote program sends."""

    def __init__(self, collector, place, *flags, names=("a", "b"), **options):
        self.ends = {}
        for name in names:
            os.mkfifo(place / name)
            os.chmod(place / name, 0o644)
        hosts = [word for name in names for word in ("-host", name)]
        self.run = Running(collector.spawn("-via", "cat {}", "-interface", "lo", *hosts, *flags, **options))
        for name in names:
            self.ends[name] = os.open(place / name, os.O_WRONLY)  # waits for cat

    def send(self, name, *pieces):
        for data in (memoryview(b"".join(pieces)),):
            while data:
                data = data[os.write(self.ends[name], data):]

    def begin(self, *names):
        """And waits until the header is seen: from then on the stream counts."""
        for name in names:
            self.send(name, section(), interface())
        wait_until(lambda: all(f"{name} lo".encode() in self.run.out for name in names), 30)

    def close(self, *names):
        for name in names or list(self.ends):
            os.close(self.ends.pop(name))

    def finish(self, *names, at=BEGIN + 1000 * S):
        """They end as they should."""
        for name in names or list(self.ends):
            self.send(name, statistics(at, final=True))
        self.close(*names)

    def end(self):
        return self.run.end()


def test_packets_of_all_streams_come_out_in_time_order_and_each_under_its_name(collector, place):
    streams = Streams(collector, place)
    streams.begin("a", "b")
    for number in range(100):
        name = "ab"[number % 2]
        streams.send(name, packet(BEGIN + number * 1000, b"%s-%03d" % (name.encode(), number)))
    streams.finish()
    result = streams.end()
    found = result.file()
    assert result.status == 0, result.messages
    assert [data[-3:] for _, _, data, _ in found.packets] == [b"%03d" % number for number in range(100)]
    assert len(found.of("a lo")) == len(found.of("b lo")) == 50 and all(data[:1] == b"a" for data in found.of("a lo"))
    assert [3 in options for _, options in found.statistics] == [True, True]
    assert re.search(r'msg="stopped collecting" streams=2 packets=100 .* late=0 whole=yes', result.messages)


def test_a_silent_stream_costs_the_others_the_window_and_no_more(collector, place):
    streams = Streams(collector, place, "-window", "1s")
    streams.begin("a", "b")
    sent = time.monotonic()
    streams.send("a", packet(BEGIN, b"waits-for-b"))
    wait_until(lambda: b"waits-for-b" in streams.run.out, 30)
    assert time.monotonic() - sent >= 0.9
    streams.finish()
    assert streams.end().status == 0


def test_a_heartbeat_lets_packets_up_to_its_time_go_at_once(collector, place):
    streams = Streams(collector, place, "-window", "60s")
    streams.begin("a", "b")
    streams.send("a", packet(BEGIN, b"before-the-beat"), packet(BEGIN + 2 * S, b"behind-the-beat"))
    streams.send("b", statistics(BEGIN + S))
    wait_until(lambda: b"before-the-beat" in streams.run.out, 30)
    assert b"behind-the-beat" not in streams.run.out
    streams.finish("b")  # without it nothing holds the rest
    wait_until(lambda: b"behind-the-beat" in streams.run.out, 30)
    streams.finish("a")
    result = streams.end()
    assert result.status == 0 and len(result.file().statistics) == 2  # heartbeats are not passed on


def test_a_packet_that_comes_too_late_is_written_counted_and_told_of(collector, place):
    streams = Streams(collector, place, "-window", "30ms")
    streams.begin("a", "b")
    streams.send("a", packet(BEGIN + 10 * S, b"in-time"))
    wait_until(lambda: b"in-time" in streams.run.out, 30)
    streams.send("b", packet(BEGIN + 7 * S, b"late-one"), packet(BEGIN + 8 * S, b"late-too"))
    streams.finish()
    result = streams.end()
    assert [data for _, _, data, _ in result.file().packets] == [b"in-time", b"late-one", b"late-too"]
    assert re.search(r'came too late .* stream="b lo" late-ms=3000', result.messages)
    assert re.search(r'stream="b lo" packets=2 .* late=2 late-ms=3000 ', result.messages)
    assert result.status == 0


def test_skew_below_the_window_is_sorted_and_beyond_it_is_told_of(collector, place):
    streams = Streams(collector, place, "-window", "2s")
    streams.begin("a", "b")
    now = time.time_ns()
    streams.send("b", packet(now - 300 * S, b"clock-behind"))
    streams.send("a", packet(now, b"clock-right"))
    streams.finish(at=now)
    result = streams.end()
    assert [data for _, _, data, _ in result.file().packets] == [b"clock-behind", b"clock-right"]
    assert re.search(r"differ by more than the window.* differ-ms=(29|30|31)\d{4}", result.messages)


BROKEN = {
    "in the middle of a record": (packet(BEGIN + S, b"whole") + packet(BEGIN + 2 * S, b"c" * 400)[:-7],
                                  "it ended in the middle of a record", "cut=1"),
    "without statistics": (packet(BEGIN + S, b"whole"), "it ended without its statistics", "cut=0"),
    "in garbage": (packet(BEGIN + S, b"whole") + b"\x1b[2J\x1b]0;owned\x07" * 20, "a block of a length that cannot be", "cut=0"),
    "with an interface that was not described": (packet(BEGIN + S, b"whole") + packet(BEGIN + S, b"x", number=7),
                                                 "a packet of an interface that was not described", "cut=0"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_stream_that_breaks_is_named_and_the_others_go_on(collector, place, case):
    content, reason, cut = BROKEN[case]
    streams = Streams(collector, place)
    streams.begin("a", "b")
    streams.send("a", content)
    streams.close("a")
    wait_until(lambda: b"may lack its end" in streams.run.out, 30)
    streams.run.wait_for("a capture ended, the others go on")
    told = next(line for line in streams.run.messages().splitlines() if "the others go on" in line)
    assert "level=WARN" in told and 'stream="a lo"' in told and reason in told
    streams.send("b", packet(BEGIN + 5 * S, b"goes-on"))
    streams.finish("b")
    result = streams.end()
    assert result.status == 3
    assert result.file().of("a lo") == [b"whole"] and result.file().of("b lo") == [b"goes-on"]
    line = next(line for line in result.messages.splitlines() if '"stream ended" stream="a lo"' in line)
    assert reason in line and cut in line and "whole=no" in line and "\x1b" not in result.messages
    assert re.search(r'stream="b lo" .* whole=yes', result.messages)


def test_text_in_front_of_a_stream_is_quoted_and_moves_no_cursor(collector, place):
    streams = Streams(collector, place, names=("a",))
    streams.send("a", b"FAILED\x1b[1A\nApp not found\n")
    streams.close()
    result = streams.end()
    assert result.status == 3 and 'FAILED?[1A App not found' in result.messages and "\x1b" not in result.messages


def test_text_behind_a_whole_stream_does_no_harm(collector, place):
    streams = Streams(collector, place, names=("a",))
    streams.begin("a")
    streams.send("a", packet(BEGIN, b"one"), statistics(BEGIN + S, final=True), b"Process terminated by signal\n")
    streams.close()
    result = streams.end()
    assert result.status == 0 and result.file().of("a lo") == [b"one"]


def test_the_other_byte_order_link_types_resolutions_and_sections_are_merged(collector, place):
    streams = Streams(collector, place, names=("a", "b", "c"))
    streams.send("a", section(">"), interface(113, b"cooked", ">"), interface(1, b"eth1", ">"),
                 packet(BEGIN + 1, b"big-endian", 0, ">"), packet(BEGIN + 4, b"second-interface", 1, ">"),
                 section("<"), interface(276), packet(BEGIN + 7, b"second-section"), statistics(BEGIN + 9, True))
    streams.send("b", pcap_header(101, ">", 0xA1B2C3D4), pcap_record(BEGIN, b"pcap", ">"))
    streams.send("c", block(0x0A0D0D0A, (b"\x4d\x3c\x2b\x1a\1\0\0\0" + b"\xff" * 8)), interface(),
                 block(6, b"\0" * 20 + b"", "<")[:0], packet(BEGIN + 2, b"c"), block(0xBAD, b"a custom thing  "),
                 statistics(BEGIN + 9, True))
    streams.close()
    result = streams.end()
    found = result.file()
    assert sorted((one["name"], one["link_type"], one["unit"]) for one in found.interfaces) == [
        ("a cooked", 113, 1), ("a eth1", 1, 1), ("a lo", 276, 1), ("b lo", 101, 1000), ("c lo", 1, 1)]
    assert found.of("a cooked") == [b"big-endian"] and found.of("a eth1") == [b"second-interface"]
    assert found.of("a lo") == [b"second-section"] and found.of("b lo") == [b"pcap"] and found.of("c lo") == [b"c"]
    assert set(found.times()) == {BEGIN, BEGIN + 1, BEGIN + 2, BEGIN + 4, BEGIN + 7}
    assert result.status == 3 and 'whole=unknown reason="pcap does not say whether it is whole"' in result.messages
    (place / "out.pcapng").write_bytes(result.out)
    for tool in (["tshark", "-r", place / "out.pcapng"], ["capinfos", place / "out.pcapng"]):
        read = subprocess.run(tool, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert read.returncode == 0, read.stderr


def test_hostile_texts_come_out_plain(collector, place):
    streams = Streams(collector, place, names=("a",))
    streams.send("a", section(), interface(name=b"\x1b[31mred\xff\n"), statistics(BEGIN, True))
    streams.close()
    assert [one["name"] for one in streams.end().file().interfaces] == ["a ?[31mred??"]


def merger_of(process):
    """Of both processes, the one with a sandbox. It is the first child."""
    return next(pid for pid in children_of(process.pid) if "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text())


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) << 10


@pytest.mark.plain_build
def test_while_the_output_stalls_memory_stays_within_its_limit_and_nothing_is_lost(collector, place):
    """24 MB into 8 MB: what does not fit waits in the streams' pipes, and comes when there is room."""
    reader, writer = os.pipe()
    streams = Streams(collector, place, "-memory", "8M", stdout=writer)
    os.close(writer)
    pid = merger_of(streams.run.process)
    data, count, sent = bytes(8000), 1500, {"a": 0, "b": 0}
    for name in sent:
        streams.send(name, section(), interface())
        os.set_blocking(streams.ends[name], False)
    content = b"".join(packet(BEGIN + number, data) for number in range(count)) + statistics(BEGIN + count, True)

    def feed():
        for name in list(streams.ends):
            try:
                while sent[name] < len(content):
                    sent[name] += os.write(streams.ends[name], content[sent[name]:sent[name] + 65536])
                streams.close(name)
            except BlockingIOError:
                pass
        return sum(sent.values())

    before, started = 0, time.monotonic()
    quiet_since = started
    while before <= 4_000_000 or time.monotonic() - quiet_since < 1.5:  # until nobody takes anything any more
        now = feed()
        if now != before:
            before, quiet_since = now, time.monotonic()
        time.sleep(0.01)
        assert resident(pid) < (8 << 20) + (3 << 20) and time.monotonic() - started < 60
    assert before < 2 * len(content)
    out = bytearray()
    os.set_blocking(reader, False)
    while streams.run.process.poll() is None or len(out) == 0:
        feed()
        try:
            while piece := os.read(reader, 1 << 20):
                out += piece
        except BlockingIOError:
            time.sleep(0.001)
    while piece := os.read(reader, 1 << 20):
        out += piece
    os.close(reader)
    found = read_collected(bytes(out))
    assert streams.end().status == 0
    for name in ("a lo", "b lo"):
        times = [time for number, time, _, _ in found.packets if found.interfaces[number]["name"] == name]
        assert times == [BEGIN + number for number in range(count)]


def has_a_child_that_ended(pid):
    return any(state_of(child) == "Z" for child in children_of(pid))


def test_what_a_command_left_in_its_pipe_is_read_however_long_it_has_been_gone(collector, place):
    """The reader takes nothing for longer than a command's stdout may outlive it."""
    count, data = 1500, bytes(1000)
    (place / "f").write_bytes(section() + interface() + b"".join(packet(BEGIN + n, data) for n in range(count)) +
                              statistics(BEGIN + count, True))
    reader, writer = os.pipe()
    run = Running(collector.spawn("-via", "cat {}", "-interface", "lo", "-host", "f", "-memory", "4M", stdout=writer))
    os.close(writer)
    wait_until(lambda: has_a_child_that_ended(run.process.pid), 30)
    time.sleep(2)  # twice as long as it is given; nothing tells that it passed
    out = bytearray()
    while piece := os.read(reader, 65536):
        out += piece
    os.close(reader)
    assert run.end().status == 0 and len(read_collected(bytes(out)).packets) == count


def test_the_merger_has_a_sandbox_and_neither_a_stdin_nor_anybodys(collector, place):
    streams = Streams(collector, place)
    streams.begin("a", "b")
    pid = merger_of(streams.run.process)
    open_for_writing = [link for link in (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))]
    kinds = sorted(re.sub(r"[:\d\[\]]", "", link) for link in open_for_writing)
    # stdout, stderr, control; and of each stream two ends that can be read
    assert kinds == ["pipe"] * 6 + ["socket"]
    readable = [fd for fd in os.listdir(f"/proc/{pid}/fd")
                if re.search(r"flags:\s+0\d*0$", Path(f"/proc/{pid}/fdinfo/{fd}").read_text(), re.M)]
    assert len(readable) == 4
    streams.finish()
    assert streams.end().status == 0


def test_a_command_has_its_three_descriptors_and_no_others(collector, place):
    (place / "look.sh").write_text("ls /proc/self/fd >&2\n")
    result = collector.run("-via", "/bin/sh {}", "-interface", "lo", "-host", "look.sh", "-host", "./look.sh")
    listed = re.findall(r'stream="\S*look.sh lo" text=(\d+)', result.messages)
    assert sorted(listed) == sorted(2 * ["0", "1", "2", "3"])  # 3 is the folder that ls reads
    assert result.status == 3


def test_what_a_remote_program_says_is_relayed_with_its_name_so_much_a_second(collector, place):
    (place / "say.sh").write_text("echo 'hello \033[31m' >&2; for i in $(seq 500); do echo line-$i >&2; done\n")
    result = collector.run("-via", "/bin/sh {}", "-interface", "lo", "-host", "say.sh")
    assert 'stream="say.sh lo" text="hello \\x1b[31m"' in result.messages and "\x1b" not in result.messages
    assert result.messages.count("line-") < 200
    assert int(re.search(r"messages-left-out=(\d+)", result.messages)[1]) > 300


def test_more_interfaces_than_can_be_end_a_stream(collector, place):
    streams = Streams(collector, place, names=("a",))
    streams.send("a", section(), interface() * 65)
    streams.close()
    assert "too many interfaces" in streams.end().messages


def test_options_of_packets_and_names_of_others_are_left_out(collector, place):
    streams = Streams(collector, place, names=("a",))
    head = b"\0\0\0\0" + b"\x17\x97\x9c\xfe"[::-1] + b"\0\0\0\0" + b"\4\0\0\0" * 2
    streams.send("a", section(), interface(), block(6, head + b"data" + option(1, b"a comment of theirs")),
                 block(4, b"\1\0\x08\0\x0a\0\0\1evil\0\0\0\0"), statistics(BEGIN * 2, True))
    streams.close()
    result = streams.end()
    assert result.file().of("a lo") == [b"data"] and b"theirs" not in result.out and b"evil" not in result.out


@pytest.mark.parametrize("kind", ["packet_behind_the_end", "one_of_two_ends_twice", "first_section_without_an_end",
                                  "cut_packet_behind_the_end", "second_section_is_cut", "packet_of_no_interface_of_its_section",
                                  "packets_without_a_time"])
def test_a_stream_whose_end_is_not_that_of_all_its_packets_is_not_whole(collector, place, kind):
    end = statistics(BEGIN + 9, True)
    (place / "a").write_bytes({
        "packet_behind_the_end": section() + interface() + end + packet(BEGIN, b"late"),
        "one_of_two_ends_twice": section() + interface() + interface() + packet(BEGIN, b"one") + end + end,
        "cut_packet_behind_the_end": section() + interface() + end + packet(BEGIN, b"late")[:-9],
        "second_section_is_cut": section() + interface() + end + section() + interface()[:17],
        "packet_of_no_interface_of_its_section": section() + interface() + end + section() + packet(BEGIN, b"lost"),
        "packets_without_a_time": section() + interface() + block(3, struct.pack("<I", 4) + b"lost") + end,
        "first_section_without_an_end": section() + interface() + packet(BEGIN, b"one") + section() + interface() + end,
    }[kind])
    result = collector.run("-via", "cat {}", "-host", "a", "-interface", "lo")
    assert result.status == 3, result.messages


@pytest.mark.parametrize("text", [b"FAILED\n", b"\nProcess terminated by signal: hangup. Exited with 1\n", b"\n"])
def test_text_behind_the_end_is_no_cut_record(collector, place, text):
    (place / "a").write_bytes(section() + interface() + packet(BEGIN, b"one") + statistics(BEGIN + 9, True) + text)
    result = collector.run("-via", "cat {}", "-host", "a", "-interface", "lo")
    assert result.status == 0 and "cut=0" in result.messages and result.file().of("a lo") == [b"one"]


def test_drops_of_all_interfaces_and_sections_are_added_up_and_each_interface_is_ended_once(collector, place):
    part = section() + interface() + interface() + statistics(BEGIN, True, 0, dropped=5)
    (place / "a").write_bytes(part + statistics(BEGIN, True, 1, dropped=7) + part)
    result = collector.run("-via", "cat {}", "-host", "a", "-interface", "lo")
    assert result.status == 3 and "dropped=17" in result.messages
    assert [number for number, _ in result.file().statistics] == [0, 1, 2, 3]


def test_messages_without_end_of_several_streams_hold_no_packet_up(collector, place):
    (place / "head").write_bytes(section() + interface())
    (place / "packet").write_bytes(packet(BEGIN, b"comes-through"))
    (place / "good.sh").write_text("cat head; while sleep 0.02; do cat packet; done\n")
    (place / "flood.py").write_text("import fcntl, os\nfcntl.fcntl(2, fcntl.F_SETPIPE_SZ, 1 << 20)\n"
                                    "while True:\n    os.write(2, b'y\\n' * 100_000)\n")
    hosts = ["-host", "good.sh"]
    for number in range(6):
        (place / f"bad-{number}.sh").write_text("cat head; sleep 1; exec /usr/bin/python3 flood.py\n")
        hosts += ["-host", f"bad-{number}.sh"]
    run = Running(collector.spawn("-via", "/bin/sh {}", "-interface", "lo", *hosts))
    wait_until(lambda: bytes(run.out).count(b"comes-through") > 100, 120)
    assert run.stop_at_once().status == 3


def test_statistics_without_end_fill_no_disk(collector, place):
    (place / "a").write_bytes(section() + interface() + statistics(BEGIN, True) * 10_000)
    result = collector.run("-via", "cat {}", "-host", "a", "-interface", "lo")
    assert result.status == 0 and len(result.out) < 2000


def test_a_stream_with_too_much_to_say_of_itself_harms_no_other(collector, place):
    """Its filters fill the room that there is for texts; what the others say stays as it is, in each file."""
    def described(number):
        texts = option(2, b"n") + option(12, b"o" * 199) + (option(11, b"\0" + b"f" * 24_000) if number < 10 else b"")
        return block(1, struct.pack("<HHI", 1, 0, 262144) + texts + bytes(4))

    (place / "a").write_bytes(b"".join((section() if number % 64 == 0 else b"") + described(number)
                                       for number in range(64 * 64)))
    (place / "b").write_bytes(section() + interface() + b"".join(packet(BEGIN + n * S, bytes(1000)) for n in range(300)) +
                              statistics(BEGIN + 400 * S, True))
    result = collector.run("-via", "cat {}", "-host", "a", "-host", "b", "-interface", "lo", "-rotate-size", "100k",
                           "-o", "all.pcapng")
    assert result.status == 3 and "unexpectedly" not in result.messages, result.messages
    files = [read_collected(path.read_bytes()) for path in sorted(place.glob("all_*"))]
    assert len(files) > 1 and sum(len(file.of("b lo")) for file in files) == 300


def test_a_stream_that_uses_up_its_interfaces_leaves_the_others_theirs(collector, place):
    """A section as short as can be, over and over; the other begins when the first was given up."""
    streams = Streams(collector, place, names=("a", "b"))
    with pytest.raises(BrokenPipeError):
        while True:
            streams.send("a", (section() + interface()) * 100)
    streams.begin("b")
    streams.send("b", packet(BEGIN, b"mine"))
    streams.finish("b")
    os.close(streams.ends.pop("a"))
    result = streams.end()
    assert result.status == 3 and result.file().of("b lo") == [b"mine"]
    assert 'reason="more interfaces than one stream may have"' in result.messages
    assert re.search(r'stream="b lo" .* whole=yes', result.messages)
    assert len(result.file().interfaces) == 4096 // 2 + 1


@pytest.mark.parametrize("limit", [["-count", "5"], ["-max-size", "2k"]], ids=["count", "size"])
@pytest.mark.parametrize("said", [40, 41])
def test_of_pcap_behind_a_limit_all_that_came_is_compared_with_what_the_other_end_wrote(collector, place, limit, said):
    """It goes on until its stdin ends, and what it sends then is left out of the file."""
    (place / "head").write_bytes(pcap_header() + b"".join(pcap_record(BEGIN + n, bytes(100)) for n in range(20)))
    (place / "tail").write_bytes(b"".join(pcap_record(BEGIN + n, bytes(100)) for n in range(20, 40)))
    (place / "go.sh").write_text(f"cat head; cat >/dev/null; cat tail; echo '{said} packets captured' >&2\n")
    result = collector.run("-via", "/bin/sh {}", "-interface", "lo", "-host", "go.sh", *limit)
    assert result.status == (0 if said == 40 else 3), result.messages
    assert 0 < len(result.file().packets) < 20 and "reached the limit" in result.messages


@pytest.mark.parametrize("ahead, told", [("an hour", r"3\d{6}"), ("beyond all years", r"15\d{12}")])
def test_a_clock_far_ahead_leaves_the_others_in_order(collector, place, ahead, told):
    """One packet of it is due at any time; of the others each waits for the third, which beats later than they come."""
    streams = Streams(collector, place, "-window", "2s", names=("a", "b", "c"))
    streams.begin("a", "b", "c")
    began = time.time_ns()
    for _ in range(300):
        streams.send("a", packet(time.time_ns() + 3600 * S if ahead == "an hour" else 0xF << 60, b"ahead"))
        streams.send("b", packet(time.time_ns(), b"right"))
        streams.send("c", packet(time.time_ns(), b"right"))
        time.sleep(0.01)  # the traffic's pace
        streams.send("b", packet(time.time_ns(), b"right"))
    streams.finish(at=began)
    result = streams.end()
    found = result.file()
    others = [time for number, time, data, _ in found.packets if data == b"right"]
    assert len(others) == 900 and others == sorted(others)
    assert re.search(rf'"a clock is far ahead, .* stream="a lo" ahead-ms={told}\n', result.messages)
    assert re.search(r'stream="b lo" .* ahead=0 ', result.messages) and result.status == 0


def test_three_hundred_streams_need_no_flag(collector, place):
    """The default of -memory grows with them."""
    (place / "stream").write_bytes(section() + interface() + packet(BEGIN, b"x") + statistics(BEGIN, True))
    hosts = [word for number in range(300) for word in ("-host", f"h{number}")]
    result = collector.run("-via", "cat stream", "-interface", "lo", *hosts, timeout=300)
    assert result.status == 0 and len(result.file().packets) == 300, result.messages[-1000:]
