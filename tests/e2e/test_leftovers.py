"""No process is left behind, also where PID 1 reaps nobody's orphans: a zombie counts against pids.max."""
import contextlib
import os
import subprocess
import time

import pytest

from e2e.traffic import Datagrams
from support import USER, children_of, read_pcap, state_of, wait_until


class Container:
    """A PID namespace inside the network namespace, whose init takes no notice of its children."""

    def __init__(self, namespace):
        self.unshare = subprocess.Popen(
            ["ip", "netns", "exec", namespace.name, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", "echo up; exec sleep infinity"], stdout=subprocess.PIPE)
        assert self.unshare.stdout.readline() == b"up\n"
        self.init, = children_of(self.unshare.pid)
        wait_until(lambda: self.comm(self.init) == "sleep")

    @staticmethod
    def comm(pid):
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().rstrip("\n")

    def end(self):
        self.unshare.kill()
        self.unshare.communicate()

    def command(self, *words):
        """To run as an ordinary user inside: its parent stays outside, so its orphans are the init's."""
        return ["nsenter", "-t", str(self.init), "-p", "-m", "-n", "setpriv", f"--reuid={USER}", f"--regid={USER}",
                "--clear-groups", *[str(word) for word in words]]

    def zombies(self):
        """Those that its commands have left, once none of them is alive."""
        wait_until(lambda: all(state_of(pid) == "Z" for pid in children_of(self.init)))
        return [self.comm(pid) for pid in children_of(self.init)]


@pytest.fixture
def container(ns):
    inside = Container(ns)
    yield inside
    inside.end()


def test_the_container_keeps_zombies(container):
    """What the other tests here rest upon."""
    subprocess.run(container.command("sh", "-c", "sh -c 'exit 0' & exec sleep 0.2"), check=True)
    assert container.zombies() == ["sh"]


@pytest.mark.parametrize("words, status", [
    ("-version", 0), ("-help", 0), ("-list-interfaces", 0), ("-nosuch", 2), ("", 2), ("-interface nosuch", 1),
    ("-interface lo >&-", 1), ("-interface lo -filter nonsense", 1), ("-interface lo host nosuch.invalid", 1),
    ("-interface lo -duration 1ms", 0), ("-interface lo -duration 300ms", 0)])
def test_an_end_of_its_own_leaves_no_process(tools, container, words, status):
    done = subprocess.run(container.command("sh", "-c", f"exec {tools.helper} {words}"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=90, check=False)
    assert done.returncode == status, done.stderr
    assert container.zombies() == []


@pytest.mark.parametrize("number", ["INT", "TERM", "HUP"])
def test_a_signal_at_any_time_of_the_start_leaves_no_process(tools, container, number):
    for delay in range(40):
        subprocess.run(container.command("timeout", "--preserve-status", "--foreground", "-s", number,
                                                f"{(1 + delay) / 1000}", tools.helper, "-interface", "lo"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False)
    assert container.zombies() == []


def test_children_that_it_was_executed_with_do_not_hold_it_up(tools, container):
    begun = time.monotonic()
    subprocess.run(container.command("sh", "-c", f"sleep 60 & exec {tools.helper} -version"), check=True,
                   stdout=subprocess.DEVNULL)
    assert time.monotonic() - begun < 0.9  # it waits a second for a helper that does not end
    sleeping, = children_of(container.init)
    os.kill(sleeping, 9)
    assert container.zombies() == ["sleep"]


@pytest.mark.parametrize("words", ["-interface lo -count 3 udp port 9999",
                                   "-interface lo -count 3 udp port 9999 and host localhost"])
def test_a_parent_outside_of_the_pid_namespace(tools, ns, words):
    """unshare --pid without a fork: what it executes has its children in another namespace, where getppid() is 0."""
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            ["ip", "netns", "exec", ns.name, "unshare", "--pid", "setpriv", f"--reuid={USER}", f"--regid={USER}",
             "--clear-groups", tools.helper, *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.kill)
        head = process.stdout.read(24)
        assert len(head) == 24, process.stderr.read()
        with Datagrams(ns) as datagrams:
            datagrams.send(3)
        content, messages = process.communicate(timeout=20)
    assert process.returncode == 0, messages
    assert len(read_pcap(head + content).records) == 3
