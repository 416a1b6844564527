"""What a capture looks like from outside: its name, its privileges, and each system call."""
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from e2e.traffic import Datagrams
from support import Namespace, children_of, full_pipe, read_pcap, spawn_as_user, wait_until

ON_LO = ("-interface", "lo", "-filter", "udp port 9999")
# The bounding set is out of reach without CAP_SETPCAP, and grants nothing.
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


NET_RAW = 1 << 13


def assert_confined(pid, permitted=0):
    now = status(pid)
    assert {name: int(now[name], 16) for name in CAPABILITY_SETS} == {**dict.fromkeys(CAPABILITY_SETS, 0),
                                                                      "CapPrm": permitted}
    assert (now["NoNewPrivs"], now["Seccomp"]) == ("1", "2")
    assert set(now["Uid"].split()) == {"2000"} and now["TracerPid"] == "0"


@pytest.fixture
def links(tools, tmp_path):
    (tmp_path / "another-name").symlink_to(tools.helper)
    (tmp_path / "linked-folder").symlink_to(tools.helper.parent)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("path, name", [
    ("{helper}", "{helper}"), ("{links}/another-name", "another-name"),
    ("{links}/linked-folder/cf-pcap", "cf-pcap"), ("{helper}", "../../bin/sh"), ("{helper}", ""),
    ("{helper}", "-v"), ("{helper}", "x" * 5000)])
def test_the_capture_shows_as_cf_pcap_however_it_was_executed(tools, ns, links, tmp_path, path, name):
    words = {"helper": tools.helper, "links": links}
    with open(tmp_path / "out.pcap", "wb") as out:
        process = spawn_as_user([name.format(**words), *ON_LO], ns, executable=path.format(**words),
                                stdout=out, stderr=subprocess.DEVNULL)
    tools.processes.append(process)
    wait_until(lambda: (tmp_path / "out.pcap").stat().st_size == 24)
    assert Path(f"/proc/{process.pid}/comm").read_text() == "cf-pcap\n"
    assert subprocess.check_output(["ps", "-o", "comm=", "-p", str(process.pid)]) == b"cf-pcap\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def test_the_running_writer_has_no_privilege_and_a_sandbox_and_one_helper(tools, ns, tmp_path):
    capture = tools.capture(ns, *ON_LO, path=tmp_path / "out.pcap")
    assert_confined(capture.process.pid)
    helper, = children_of(capture.process.pid)
    assert_confined(helper, permitted=NET_RAW)
    assert Path(f"/proc/{helper}/comm").read_text() == "cf-pcap-socket\n"
    assert Path(f"/proc/{capture.process.pid}/status").stat().st_uid == 0  # not dumpable
    capture.stop()


def test_inheritable_capabilities_as_garden_gives_them_do_not_stay(tools, ns, tmp_path):
    with open(tmp_path / "out.pcap", "wb") as out:
        process = subprocess.Popen(
            ["ip", "netns", "exec", ns.name, "setpriv", "--reuid=2000", "--regid=2000", "--clear-groups",
             "--inh-caps=+net_raw,+chown,+setuid,+kill", tools.helper, *ON_LO],
            stdout=out, stderr=subprocess.DEVNULL)
    tools.processes.append(process)
    wait_until(lambda: (tmp_path / "out.pcap").stat().st_size == 24)
    assert_confined(process.pid)


def test_the_waiting_helper_has_nothing_effective_and_a_sandbox(tools, ns, tmp_path):
    """For as long as the writer waits for room in its first message, it sends the helper nothing."""
    reader, writer = full_pipe()
    with open(tmp_path / "out.pcap", "wb") as out, open(writer, "wb") as err:
        process = tools.spawn(ns, *ON_LO, "-v", stdout=out, stderr=err)
    wait_until(lambda: children_of(process.pid) != [] and status(process.pid)["State"].startswith("S"), interval=0)
    process.send_signal(signal.SIGSTOP)
    helper, = children_of(process.pid)
    wait_until(lambda: status(helper)["Seccomp"] == "2")
    assert_confined(helper, permitted=NET_RAW)
    assert Path(f"/proc/{helper}/status").stat().st_uid == 0  # not dumpable

    process.send_signal(signal.SIGCONT)
    with open(reader, "rb") as messages:
        messages.read(65536)
        wait_until(lambda: (tmp_path / "out.pcap").stat().st_size == 24)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        wait_until(lambda: not os.path.exists(f"/proc/{helper}"))


CALL = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\w+)")


class Trace:
    """The system calls of a run, by process."""

    def __init__(self, text):
        unfinished, self.calls = {}, {}
        for line in text.splitlines():
            pid = line.split()[0]
            if "<unfinished ...>" in line:
                unfinished[pid] = line.split("<unfinished")[0].rstrip()
                continue
            if "resumed>" in line:
                line = unfinished.pop(pid) + line.split("resumed>", 1)[1]
            call = CALL.match(line)
            if call:
                self.calls.setdefault(pid, []).append((call["name"], call["arguments"], call["result"]))

    def of_helper(self):
        """The calls of the process that opened the packet sockets."""
        found = [calls for calls in self.calls.values()
                 if any(name == "socket" and "AF_PACKET" in arguments for name, arguments, _ in calls)]
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def trace(stage, tmp_path_factory):
    """Of a whole run with a name in the filter. Traced by root, which keeps the capability alive."""
    log = tmp_path_factory.mktemp("trace") / "log"
    with Namespace() as ns:
        process = subprocess.Popen(
            ["ip", "netns", "exec", ns.name, "strace", "-f", "-o", log, "setpriv", "--reuid=2000",
             "--regid=2000", "--clear-groups", stage / "cf-pcap", "-interface", "lo", "-count", "3",
             "udp port 9999 and host localhost"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            head = os.read(process.stdout.fileno(), 24)
            with Datagrams(ns) as datagrams:
                datagrams.send(3)
            content = head + process.communicate(timeout=20)[0]
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0 and len(read_pcap(content).records) == 3
    return Trace(log.read_text())


def is_start(call):
    return call[0] == "execve" and re.match(r'"[^"]*/cf-pcap"', call[1]) is not None


def effective(arguments):
    return re.search(r"effective=([^,]*),", arguments)[1]


@pytest.mark.plain_build
def test_only_two_calls_run_with_a_capability_and_both_open_packet_sockets(trace):
    privileged, raised = [], 0
    for calls in trace.calls.values():
        started = next((i for i, call in enumerate(calls) if is_start(call)), -1)  # of the tracee's own
        holding = False
        for name, arguments, result in calls[started + 1:]:
            if name == "capset" and result == "0":
                holding = effective(arguments) != "0"
                raised += holding
            elif holding and name != "capget":  # libcap asks on its way to the capset that ends it
                privileged.append((name, arguments.split("|")[0]))
    assert raised == 1
    assert privileged == [("socket", "AF_PACKET, SOCK_RAW"), ("socket", "AF_PACKET, SOCK_DGRAM")]


@pytest.mark.plain_build
def test_the_writer_lowers_the_capability_as_its_first_call(trace):
    """Until then there is libc's start, which looks at 0, 1 and 2 as for setuid programs, and libcap's."""
    writer, = (calls for calls in trace.calls.values() if any(name == "execveat" for name, _, _ in calls))
    start = next(i for i, call in enumerate(writer) if call[0] == "execveat") + 1
    lowered = next(i for i, call in enumerate(writer[start:], start) if call[0] == "capset")
    assert "effective=0, permitted=1<<CAP_NET_RAW, inheritable=0" in writer[lowered][1]
    assert {call[0] for call in writer[start:lowered]} <= {
        "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlinkat", "readlink",
        "getrandom", "mprotect", "prctl", "capget", "mmap", "fcntl"}


@pytest.mark.plain_build
def test_resolver_and_writer_drop_everything_for_good(trace):
    """An empty set of each kind; the helper keeps its shield."""
    drops = [calls for calls in trace.calls.values()
             if any(name == "capset" and re.search(r"effective=0, permitted=0, inheritable=0", arguments)
                    and result == "0" for name, arguments, result in calls)]
    assert len(drops) == 2
    for calls in drops:
        names = [(name, arguments.split(",")[0]) for name, arguments, result in calls if result == "0"]
        assert ("prctl", "PR_SET_NO_NEW_PRIVS") in names


def sandboxed_at(calls):
    """The index of the call that closed the sandbox."""
    return max(i for i, (name, arguments, result) in enumerate(calls)
               if name == "prctl" and arguments.startswith("PR_SET_SECCOMP, SECCOMP_MODE_FILTER") and result == "0")


def after_drop(calls):
    dropped = max(i for i, call in enumerate(calls) if call[0] == "capset")
    return calls[dropped + 1:]


@pytest.mark.plain_build
def test_the_helper_opens_no_file_after_the_drop(trace):
    opening = ("open", "openat", "openat2", "creat", "memfd_create", "execve", "execveat", "accept",
               "accept4", "connect", "clone", "clone3", "fork", "vfork", "pidfd_open")
    calls = after_drop(trace.of_helper())
    assert [call for call in calls if call[0] in opening and not call[2].startswith("-")] == []
    assert [arguments.split(",")[0] for name, arguments, _ in calls if name == "socket"] == ["AF_UNIX"]


@pytest.mark.plain_build
def test_the_helper_ends_with_the_writer_before_it_has_a_socket(trace):
    """Also when somebody has stopped it."""
    calls = trace.of_helper()
    tied = next(i for i, call in enumerate(calls) if call[0] == "prctl" and call[1].startswith("PR_SET_PDEATHSIG, SIGKILL"))
    assert tied < next(i for i, call in enumerate(calls) if call[0] == "socket")


@pytest.mark.plain_build
def test_the_helper_reads_nothing_before_its_sandbox_is_closed(trace):
    calls = trace.of_helper()
    assert sandboxed_at(calls) < min(i for i, call in enumerate(calls) if call[0] == "recvfrom")


@pytest.mark.plain_build
def test_the_writer_gets_the_fd_inside_its_sandbox(trace):
    writer, = (calls for calls in trace.calls.values() if any(name == "execveat" for name, _, _ in calls))
    received, = (i for i, call in enumerate(writer) if call[0] == "recvmsg" and "SCM_RIGHTS" in call[1])
    assert sandboxed_at(writer) < received
