"""What is captured on, the commands that get there, and what is at the other end."""
import re
import shutil
import subprocess

import pytest
from collected import interface, packet, pcap_header, pcap_record, section, statistics
from running import HERE, Running
from support import enter_namespace, wait_until

# A program at the other end that takes no flag but these, says so as they do, and notes how it was called.
OTHER = """#!/usr/bin/python3
import os, sys
sys.path.insert(0, {folder!r})
from collected import *
open({log!r}, "a").write(repr(sys.argv[1:]) + "\\n")
for word in sys.argv[1:]:
    if word.startswith("-") and word not in {known!r}:
        sys.stderr.write({refusal!r} % word)
        sys.exit(2)
out = sys.stdout.buffer
{body}
out.flush()
"""
KINDS = {
    "ours": (["-interface", "-format", "-heartbeat", "-stop-at-eof", "-filter"], "",
             "out.write(section() + interface() + packet(10**18, b'x') + statistics(10**18, True))", 0, 1),
    "0.1.0": (["-interface", "-format", "-filter"], 'time=x level=ERROR msg="unknown flag, see -help" flag=%s\n',
              "out.write(section() + interface() + packet(10**18, b'x') + statistics(10**18, True))", 0, 2),
    "the platform's tool": (["-interface", "-snaplen", "-filter", "-v"], "flag provided but not defined: %s\nUsage of cf-pcap:\n",
                            "out.write(pcap_header(113) + pcap_record(10**18, b'x'))", 3, 3),
    "something else": (["-x"], "flag provided but not defined: %s\n", "", 3, 3),
}


def streams_in(result):
    return re.findall(r'msg="stream ended" stream="([^"]*) lo"', result.messages)


def test_all_instances_of_an_app_that_run_are_captured_and_named(collector, cf):
    make_sender(collector.folder)
    result = collector.run("shop", "-via", "cf", "-remote", "./send", "-interface", "lo", env=cf)
    assert result.status == 0, result.messages
    assert streams_in(result) == ["shop/0", "shop/2", "shop/10"]
    assert "an instance is not running" in result.messages and "instance=shop/1 state=DOWN" in result.messages
    found = result.file()
    assert sorted(name for _, name in found.names) == ["shop/0", "shop/10", "shop/2"]
    assert (bytes([10, 255, 0, 10]), "shop/0") in found.names
    assert {"web, 10.255.0.10", "web, fd00::10"} <= {one["description"] for one in found.interfaces}


def make_sender(folder):
    (folder / "send").write_text("#!/bin/sh\nexec cat stream\n")
    (folder / "send").chmod(0o755)


@pytest.mark.parametrize("words, streams, status", [
    (["shop", "api"], ["shop/0", "shop/2", "shop/10", "api/0"], 0),
    (["shop", "-i", "0,2-4"], ["shop/0", "shop/2"], 3),  # 3 and 4 are not there
    (["shop", "-i", "10"], ["shop/10"], 0),
    (["shop", "-process", "worker"], ["shop/worker/0"], 0),
])
def test_instances_and_processes_can_be_chosen(collector, cf, words, streams, status):
    make_sender(collector.folder)
    result = collector.run(*words, "-remote", "./send", "-interface", "lo", env=cf)
    assert (sorted(streams_in(result)), result.status) == (sorted(streams), status), result.messages


@pytest.mark.parametrize("words, message, status", [
    (["none"], "App 'none' not found.", 1), (["shop", "-i", "1"], "no instance to capture on is running", 1),
    (["shop", "-i", "1-"], "expected numbers of instances", 2), (["shop", "-i", "0,1500"], "expected numbers of instances", 2),
    (["shop", "-process", "x/../y"], "a process type has letters", 2), (["a b"], "a name with blanks", 2),
    (["shop", "shop"], "given twice", 2),
])
def test_what_cannot_be_captured_on_is_said_before_anything_is_started(collector, cf, words, message, status):
    result = collector.run(*words, "-remote", "./send", "-interface", "lo", env=cf)
    assert result.status == status and message in result.messages and "\nFAILED" not in result.messages


def test_an_instance_that_goes_away_is_a_stream_that_broke_and_the_others_are_whole(collector, cf, place):
    """Scaled down while it runs: its start fails, twice."""
    make_sender(place)
    (place / "send").write_text('#!/bin/sh\n[ "$CF_INSTANCE_INDEX" != 2 ] || exit 1\nexec cat stream\n')
    result = collector.run("shop", "-remote", "./send", "-interface", "lo", env=cf)
    assert result.status == 3 and result.messages.count('started again" stream="shop/2 lo"') == 1
    assert re.search(r'stream="shop/2 lo" packets=0 .* whole=no', result.messages)
    assert re.search(r'stream="shop/10 lo" packets=1 .* whole=yes', result.messages)


@pytest.mark.parametrize("way", [["-via", "{words}"], []], ids=["as words", "by ssh"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_at_the_other_end_is_told_apart_by_its_answer(collector, place, kind, way):
    known, refusal, body, status, starts = KINDS[kind]
    program, log = place / "program", place / "log"
    program.write_text(OTHER.format(folder=str(HERE), log=str(log), known=known, refusal=refusal, body=body))
    program.chmod(0o755)
    (place / "ssh").write_text('#!/bin/sh\nfor word; do :; done\nexec sh -c "$word"\n')
    (place / "ssh").chmod(0o755)
    result = collector.run(*way, "-remote", program, "-host", "x", "-interface", "lo", "udp port 53",
                           env={"PATH": f"{place}:/usr/bin:/bin"})
    assert result.status == status, result.messages
    calls = log.read_text().splitlines()
    assert len(calls) == starts
    found = result.file()
    if kind == "something else":
        assert "does not know a flag" in result.messages and found.packets == []
    else:
        assert found.of("x lo") == [b"x"] and len(found.interfaces) == 1
        assert "'-filter', 'udp port 53'" in calls[-1] and "unknown flag" not in result.messages


def test_a_flag_that_the_program_there_does_not_know_is_not_left_out_in_silence(collector, place):
    known, refusal, body, _, _ = KINDS["the platform's tool"]
    program = place / "program"
    program.write_text(OTHER.format(folder=str(HERE), log=str(place / "log"), known=known, refusal=refusal, body=body))
    program.chmod(0o755)
    result = collector.run("-via", "{words}", "-remote", program, "-host", "x", "-interface", "lo", "-headers-only")
    assert result.status == 3 and result.file().packets == [] and "reason=-headers-only" in result.messages


def test_a_pcap_stream_is_whole_if_the_program_wrote_as_many_packets_as_came(collector, place):
    for came, told, whole in ((2, "2 packets", "yes"), (2, "3 packets", "unknown"), (1, "1 packet", "yes")):
        (place / "pcap").write_bytes(pcap_header() + pcap_record(10**18, b"x") * came)
        (place / "s.sh").write_text(f"cat pcap; echo '{told} captured\n60 packets received by filter\n50 packets dropped by kernel' >&2\n")
        result = collector.run("-via", "/bin/sh {}", "-interface", "lo", "-host", "s.sh")
        assert f"whole={whole}" in result.messages and result.status == (0 if whole == "yes" else 3)
        assert f"packets={came} bytes={came} dropped=50" in result.messages


def test_words_reach_the_remote_shell_as_they_are(collector, place):
    (place / "words.sh").write_text('#!/bin/sh\nfor word; do echo "<$word>" >&2; done\n')
    (place / "words.sh").chmod(0o755)
    hostile = "host $(touch pwned) and `touch pwned` ' \" \\ ; touch pwned"
    result = collector.run("-via", "sh -c {command}", "-remote", "./words.sh", "-host", "x", "-interface", "lo",
                           "-filter", hostile)
    assert not (place / "pwned").exists()
    said = [text.replace('\\"', '"').replace("\\\\", "\\") for text in re.findall(r'text="?<(.*)>"?$', result.messages, re.M)]
    assert hostile in said and "-interface" in said


@pytest.mark.parametrize("words", [["-host", "-oProxyCommand=x"], ["-host", "a b"], ["-host", "a\x1b[1A"],
                                   ["-host", "x", "-interface", "-x"], ["-host", "x" * 300]])
def test_names_that_could_be_options_or_more_than_a_word_are_refused(collector, words):
    if "-interface" not in words:
        words = [*words, "-interface", "lo"]
    result = collector.run("-via", "touch started {}", *words)
    assert result.status == 2 and "a name" in result.messages and "\x1b" not in result.messages
    assert not (collector.folder / "started").exists()


def test_hosts_are_read_from_a_file(collector, place):
    (place / "hosts").write_text("# all of them\none   # the first\n\n two\r\n")
    (place / "one").write_bytes(section() + interface() + statistics(1, True))
    shutil.copy(place / "one", place / "two")
    result = collector.run("-via", "cat {}", "-hosts-file", "hosts", "-interface", "lo,eth0")
    assert result.status == 0
    assert sorted(one["name"] for one in result.file().interfaces) == ["one eth0", "one lo", "two eth0", "two lo"]


@pytest.mark.parametrize("words, message", [
    ([], "-interface is required"), (["-interface", "lo"], "expected apps as the first words, or -host"),
    (["app", "-host", "x", "-interface", "lo"], "expected apps or hosts, not both"),
    (["-host", "x", "-interface", "lo", "-rotate-size", "1M"], "only a file can be rotated"),
    (["-host", "x", "-interface", "lo", "-i", "1"], "only apps have instances"),
    (["-host", "x", "-interface", "lo", "-nonsense"], "unknown flag"),
    (["-host", "x", "-interface", "lo", "-memory", "2M"], "-memory is less than"),
    (["-host", "x", "-interface", "lo", "tcp", "-count", "1"], "flags come before"),
    (["-host", "x", "-interface", "lo", "-window", "1ms"], "expected a duration from 30ms to 60s"),
    (["-host", "x", "-interface", "lo", "-interface", "eth0"], "given twice"),
    (["-host", "x", "-interface", "lo,lo"], "given twice"), (["-host", "x", "-host", "x", "-interface", "lo"], "given twice"),
    (["-host", "x", "-interface", "lo", "-via", "sh -c {comand}"], "a name in braces is unknown"),
    (["-host", "x", "-interface", "lo", "-via", "sh -c '{words}'"], "a name in braces is unknown"),
    (["-host", "x", "-interface", "lo", "-via", "cf"], "cf leads to apps"),
    (["-hosts-file", "/dev/null", "-interface", "lo"], "the file names no host"),
])
def test_a_bad_command_line_is_named(collector, words, message):
    result = collector.run(*words)
    assert result.status == 2 and message in result.messages and result.out == b""


def test_it_is_portable_but_for_one_file(tmp_path):
    """Strict POSIX, and no call that its headers do not have."""
    root = HERE.parent.parent
    sources = [*root.glob("collector/**/*.c"), *root.glob("formats/*reader.c"), root / "formats/pcapng_file.c",
               *(root / f"base/{name}.c" for name in ("clock", "flag", "line", "log", "quantity"))]
    sources = [path for path in sources if path.name not in ("platform.c", "sandbox_rules.c", "filter.c")]  # libpcap's header is not POSIX
    assert len(sources) > 20

    def compile_as_posix(path):
        return subprocess.run(["gcc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Werror=implicit-function-declaration",
                               "-fsyntax-only", f"-I{root}", "-include", tmp_path / "no_linux.h", path],
                              stderr=subprocess.PIPE, text=True).stderr

    (tmp_path / "no_linux.h").write_text("#undef __linux__\n#undef linux\n")
    assert "".join(compile_as_posix(path) for path in sources) == ""
    (tmp_path / "linux.c").write_text("#include <fcntl.h>\nint x(int fd) { return fcntl(fd, F_SETPIPE_SZ, 1); }\n")
    assert "F_SETPIPE_SZ" in compile_as_posix(tmp_path / "linux.c")


def test_over_cf_pcap_itself(collector, tools, ns, place):
    """The installed cf-pcap, on two interfaces."""
    sender = ("import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
              "while True:\n s.sendto(b'through-lo',('127.0.0.1',9999)); time.sleep(0.05)\n")
    traffic = subprocess.Popen(["ip", "netns", "exec", ns.name, "/usr/bin/python3", "-c", sender])
    try:
        run = Running(collector.spawn("-via", "sh -c {command}", "-remote", tools.helper, "-host", "here",
                                      "-interface", "lo,any", "udp", "port", "9999", prepare=lambda: enter_namespace(ns.name)))
        wait_until(lambda: bytes(run.out).count(b"through-lo") >= 10, 30)
        result = run.stop()
    finally:
        traffic.kill()
        traffic.wait()
    found = result.file()
    assert result.status == 0, result.messages
    assert len(found.of("here lo")) >= 3 and len(found.of("here any")) >= 3 and found.is_sorted()
    assert [one["filter"] is not None and b"udp port 9999" in one["filter"] for one in found.interfaces] == [True, True]


@pytest.mark.parametrize("program", ["tcpdump", "dumpcap"])
def test_over_other_capture_programs(collector_program, ns, place, program):
    """As root, who may use them."""
    sender = ("import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
              "while True:\n s.sendto(b'through-lo',('127.0.0.1',9999)); time.sleep(0.05)\n")
    traffic = subprocess.Popen(["ip", "netns", "exec", ns.name, "/usr/bin/python3", "-c", sender])
    try:
        process = subprocess.Popen(["ip", "netns", "exec", ns.name, collector_program, "-via", "{words}", "-remote", program,
                                    "-host", "here", "-interface", "lo", "udp port 9999"], cwd=place,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        run = Running(process)
        wait_until(lambda: bytes(run.out).count(b"through-lo") >= 10, 30)
        subprocess.run(["ip", "netns", "exec", ns.name, "bash", "-c", "echo -n the-last >/dev/udp/127.0.0.1/9999"], check=True)
        result = run.stop()
    finally:
        traffic.kill()
        traffic.wait()
    assert result.status == 0, result.messages
    found = result.file().of("here lo")
    assert len(found) >= 10
    assert program == "dumpcap" or any(b"the-last" in data for data in found)  # dumpcap has no option for it


def test_the_rest_of_a_long_line_is_no_host(collector, place):
    (place / "hosts").write_text("# " + "x" * 600 + "evil\ngood\n")
    result = collector.run("-via", "echo {}", "-hosts-file", "hosts", "-interface", "lo")
    assert result.status == 2 and "a line is too long" in result.messages


def test_cf_in_other_words_is_cf_too(collector, cf, place):
    """So a program that knows only signals is ended by a shell, and -v tells how it is started."""
    (place / "tcpdump").write_text("#!/bin/sh\nexec cat stream\n")
    (place / "tcpdump").chmod(0o755)
    via = "cf ssh {} -i {index} --process {process} -c {command}"
    result = collector.run("shop", "-i", "0,2", "-via", via, "-remote", "./tcpdump", "-interface", "lo", "-v", env=cf)
    commands = re.findall(r'msg="starting a command" stream="shop/\d lo" command="(.*)"$', result.messages, re.M)
    assert len(commands) == 2 and all("exec 3<&0" in command for command in commands) and "level=DEBUG" in result.messages
    assert result.messages.count('msg="a command ended" stream="shop/') == 2 and "status=0" in result.messages


def test_a_dash_is_stdout(collector, place):
    (place / "a").write_bytes(section() + interface() + packet(10**18, b"x") + statistics(10**18, True))
    result = collector.run("-via", "cat {}", "-host", "a", "-interface", "lo", "-o", "-")
    assert result.status == 0 and result.file().of("a lo") == [b"x"] and not (place / "-").exists()


def test_a_remote_error_stands_out_among_remote_messages(collector, place):
    (place / "s.sh").write_text("echo 'time=x level=ERROR msg=\"no such interface\"' >&2; echo '(it continues)' >&2\n")
    result = collector.run("-via", "/bin/sh {}", "-host", "s.sh", "-interface", "lo")
    levels = re.findall(r'level=(\w+) msg="remote message"', result.messages)
    assert levels == ["WARN", "INFO"] and 'reason="\\"no such interface\\""' in result.messages


@pytest.mark.parametrize("words, warned", [
    (["-interface", "eth0"], True), (["-interface", "eth0", "port", "5432"], False), (["-interface", "lo"], False),
    (["-interface", "eth0", "-remote", "cf-pcap"], False), (["-interface", "eth0", "-via", "sh -c {command}"], False)])
def test_tcpdump_over_ssh_without_a_filter_is_warned_of_once(collector, place, words, warned):
    (place / "ssh").write_text("#!/bin/sh\n")
    (place / "ssh").chmod(0o755)
    remote = [] if "-remote" in words else ["-remote", "sudo -n tcpdump"]
    result = collector.run("-host", "a", "-host", "b", *remote, *words, env={"PATH": f"{place}:/usr/bin:/bin"})
    assert result.messages.count("captures its own ssh session") == warned, result.messages
