"""The program as Wireshark calls it; the real Wireshark and tshark: tests/wireshark."""
import os
import re
import select
import signal
import subprocess
import time

import pytest
from collected import read_collected
from running import HERE

APP = ("--extcap-interface", "cf-pcap-app")
SSH = ("--extcap-interface", "cf-pcap-ssh")
# Sends a packet, and another one with its statistics when it is asked to end.
LIVE = f"""#!/usr/bin/python3
import os, sys, time
sys.path.insert(0, {str(HERE)!r})
from collected import *
out = sys.stdout.buffer
name = os.environ["CF_INSTANCE_INDEX"].encode()
out.write(section() + interface() + packet(time.time_ns(), b"from " + name)); out.flush()
sys.stdin.buffer.read()
out.write(packet(time.time_ns(), b"tail " + name) + statistics(time.time_ns(), True)); out.flush()
"""


@pytest.fixture
def fifo(place):
    path = place / "fifo"
    os.mkfifo(path, 0o666)
    os.chmod(path, 0o666)
    return path


@pytest.fixture
def live(place):
    (place / "live").write_text(LIVE)
    (place / "live").chmod(0o755)
    return place / "live"


def tell_space(place):
    (place / ".cf").mkdir()
    (place / ".cf/config.json").write_text('{"SpaceFields": {"GUID": "5face-1", "Name": "dev"}}')


def sentences(result, kind):
    """Of one kind, each as what stands between its braces."""
    return [dict(part.split("=", 1) for part in re.findall(r"\{(.*?)\}", line))
            for line in result.out.decode().splitlines() if line.startswith(kind + " ")]


class Reader:
    """Wireshark's end of the FIFO."""

    def __init__(self, path):
        self.out, self.fd = bytearray(), os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self.fd, True)

    def read_until(self, *words):
        """Or to the end."""
        while not (words and all(word in self.out for word in words)) and (data := os.read(self.fd, 65536)):
            self.out += data
        return self

    def close(self):
        os.close(self.fd)


def capture(collector, fifo, env, *words):
    """The process and the end of the FIFO, which is open first, as Wireshark has it."""
    reader = Reader(fifo)
    process = collector.spawn("--capture", *APP, "--fifo", fifo, *words, env=env)
    assert select.select([reader.fd], [], [], 60)[0]
    return process, reader


def test_interfaces_are_listed_whatever_version_asks(collector):
    result = collector.run("--extcap-interfaces", "--extcap-version=4.6", "--extcap-new")
    assert result.status == 0 and result.messages == ""
    assert [one["value"] for one in sentences(result, "interface")] == ["cf-pcap-app", "cf-pcap-ssh"]
    assert len(sentences(result, "extcap")) == 1
    assert len(sentences(collector.run(*APP, "--extcap-dlts"), "dlt")) == 1


@pytest.mark.parametrize("interface, own", [(APP, ["--app", "--process", "--instances", "--instance-list"]), (SSH, ["--hosts"])])
def test_the_dialog_has_what_a_capture_needs(collector, interface, own):
    result = collector.run(*interface, "--extcap-config")
    arguments = sentences(result, "arg")
    assert [one["call"] for one in arguments] == [*own, "--interface", "--headers-only", "--snaplen", "--window", "--remote",
                                                  "--via"]
    assert len({one["number"] for one in arguments}) == len(arguments)
    selectors = {one["number"] for one in arguments if one["type"] == "selector"}
    assert {one["arg"] for one in sentences(result, "value")} <= selectors
    assert [one["value"] for one in sentences(result, "value") if one.get("default")] == (["all", "lo"] if interface == APP else [])


@pytest.mark.parametrize("words", [("--extcap-interfaces",), (*APP, "--extcap-config"), (*SSH, "--extcap-config"),
                                   (*APP, "--extcap-dlts"),
                                   (*APP, "--extcap-capture-filter", "host web.example and port http and net there")])
def test_answers_ask_nobody(collector_program, tmp_path, words):
    """So they come at once: no process is started, no socket opened."""
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=%process,%network", collector_program, *words], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    calls = re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M)
    assert set(calls) <= {"execve", "exit_group", "arch_prctl"} and calls.count("execve") == 1


@pytest.mark.parametrize("text, valid", [("tcp port 8080", True), ("tcp prot 8080", False), ("host web.internal", True), ("", True),
                                         ("ip broadcast", True), ("ether host 00:11:22:33:44:55", True), ("inbound", True),
                                         ("port 99999999", False), ("and", False), ("ip6 host fd00::1", True)])
def test_a_filter_is_checked(collector, text, valid):
    result = collector.run("--extcap-capture-filter", text, *APP)
    assert result.status == 0 and (result.out == b"") == valid


def test_apps_and_instances_are_loaded_when_asked_for(collector, cf, place):
    tell_space(place)
    env = {**cf, "HOME": str(place)}
    apps = collector.run(*APP, "--extcap-config", "--extcap-reload-option", "app", env=env)
    assert [one["value"] for one in sentences(apps, "value")] == ["api", "shop"], apps.messages
    instances = collector.run(*APP, "--extcap-config", "--extcap-reload-option", "instances", "--app", "shop", env=env)
    found = sentences(instances, "value")
    assert [one["value"] for one in found] == ["all", "0", "1", "2", "10"] and {one["arg"] for one in found} == {"2"}
    assert "RUNNING" in found[1]["display"] and "10.255.0.10" in found[1]["display"] and "DOWN" in found[2]["display"]


def test_what_cannot_be_loaded_is_said_where_the_user_looks(collector, cf, place):
    env = {**cf, "HOME": str(place)}
    nowhere = collector.run(*APP, "--extcap-config", "--extcap-reload-option", "app", env=env)
    assert "cf target" in sentences(nowhere, "value")[0]["display"] and "configuration was not found" in nowhere.messages
    unknown = collector.run(*APP, "--extcap-config", "--extcap-reload-option", "instances", "--app", "none", env=env)
    assert "cf apps" in sentences(unknown, "value")[0]["display"] and "App 'none' not found." in unknown.messages


def test_wiresharks_way_of_ending_keeps_the_tail(collector, cf, live, fifo):
    """SIGTERM, and the pipe is read on."""
    process, reader = capture(collector, fifo, cf, "--app", "shop", "--remote", live, "--extcap-capture-filter", "tcp")
    reader.read_until(b"from 0", b"from 2", b"from 10")
    process.send_signal(signal.SIGTERM)
    found = read_collected(bytes(reader.read_until().out))
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    assert {one["name"] for one in found.interfaces} == {"shop/0 lo", "shop/2 lo", "shop/10 lo"}
    tails = [data for _, _, data, _ in found.packets if data.startswith(b"tail")]
    assert sorted(tails) == [b"tail 0", b"tail 10", b"tail 2"] and len(found.statistics) == 3


def test_a_reader_that_goes_first_is_no_error(collector, cf, live, fifo):
    """tshark's way: what comes then is lost, and not worth a window."""
    process, reader = capture(collector, fifo, cf, "--app", "shop", "--instances", "0", "--remote", live)
    reader.read_until(b"from 0")
    reader.close()
    assert process.wait(60) in (0, 3) and process.stderr.read() == b""


def test_the_reader_may_come_late(collector, cf, live, fifo):
    process = collector.spawn("--capture", *APP, "--fifo", fifo, "--app", "shop", "--instances", "0", "--remote", live, env=cf)
    time.sleep(0.5)
    reader = Reader(fifo)
    assert select.select([reader.fd], [], [], 60)[0]
    reader.read_until(b"from 0")
    process.send_signal(signal.SIGINT)
    reader.read_until()
    assert process.wait(60) == 0


FAILURES = {
    "not logged in": ("logged-out", [], "a command failed: cf, FAILED Not logged in. Use 'cf login' or 'cf login --sso' to log in.\n"),
    "no such app": (None, ["--app", "none"], "a command failed: cf, FAILED App 'none' not found.\n"),
    "ssh disabled": ("ssh-disabled", [], "cannot capture: shop/0 lo, it is neither pcap nor pcapng: FAILED Error opening SSH connection: SSH support is disabled"),
    "no app": (None, ["--app", ""], "no app was chosen: see the interface's options: --app\n"),
    "wrong window": (None, ["--window", "soon"], "expected a duration from 30ms to 60s, such as 500ms or 10s: -window, soon\n"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_is_told_once_and_in_words(collector, cf, live, fifo, place, failure):
    """Wireshark shows all of stderr in a window."""
    file, words, message = FAILURES[failure]
    if file:
        (place / "standin" / file).touch()
    reader = Reader(fifo)
    process = collector.spawn("--capture", *APP, "--fifo", fifo, "--app", "shop", "--remote", live, *words, env=cf)
    told = process.stderr.read().decode()
    reader.close()
    assert process.wait(60) in (1, 2, 3)
    assert message in told and told.count("\n") == 1 and "level=" not in told


def test_what_the_program_there_says_is_told(collector, cf, fifo, place):
    """A missing capability is the operator's to mend: its own words say so."""
    script = place / "refuses"
    script.write_text("#!/bin/sh\necho 'time=x level=INFO msg=hello' >&2\n"
                      "echo 'time=x level=ERROR msg=\"no capability\" hint=\"ask the operator\"' >&2\nexit 1\n")
    script.chmod(0o755)
    reader = Reader(fifo)
    process = collector.spawn("--capture", *APP, "--fifo", fifo, "--app", "shop", "--remote", script, env=cf)
    told = process.stderr.read().decode()
    reader.close()
    assert told == 'cannot capture: shop/0 lo, "no capability" hint="ask the operator"\n' and process.wait(60) == 3


def test_an_instance_that_fails_is_told_while_the_others_are_captured(collector, cf, live, fifo, place):
    """tshark shows only what is said before its own end."""
    script = place / "one-fails"
    script.write_text(f'#!/bin/sh\n[ "$CF_INSTANCE_INDEX" != 2 ] || exit 1\nexec {live}\n')
    script.chmod(0o755)
    process, reader = capture(collector, fifo, cf, "--app", "shop", "--remote", script)
    assert select.select([process.stderr], [], [], 60)[0], "nothing is told"
    assert process.stderr.readline() == b"cannot capture: shop/2 lo, it sent nothing\n"
    reader.read_until(b"from 0", b"from 10")
    process.send_signal(signal.SIGTERM)
    reader.read_until()
    assert process.wait(60) == 3 and process.stderr.read() == b""
    reader.close()


def test_the_link_is_put_where_each_version_looks(collector, place):
    home = place / "home"
    home.mkdir()
    os.chown(home, 2000, 2000)
    for _ in range(2):
        result = collector.run("-install-extcap", env={"HOME": str(home)})
        assert result.status == 0, result.messages
        links = [home / ".config/wireshark/extcap/cf-pcap-collect", home / ".local/lib/wireshark/extcap/cf-pcap-collect"]
        assert [os.readlink(link) for link in links] == [str(collector.program)] * 2
        assert all(str(link) in result.out.decode() for link in links)
    listed = subprocess.run([links[0], "--extcap-interfaces"], stdout=subprocess.PIPE, check=True).stdout
    assert b"cf-pcap-app" in listed


def test_a_file_that_is_no_link_is_left_alone(collector, place):
    home = place / "home"
    folder = home / ".local/lib/wireshark/extcap"
    folder.mkdir(parents=True)
    (folder / "cf-pcap-collect").write_text("mine")
    for path in (home, *home.rglob("*")):
        os.chown(path, 2000, 2000)
    result = collector.run("-install-extcap", env={"HOME": str(home)})
    assert result.status == 1 and "something else is there" in result.messages
    assert (folder / "cf-pcap-collect").read_text() == "mine"
