"""Another process of the same uid gets neither the packet fd nor into the processes that have it."""
import contextlib
import os
import pathlib
import resource
import signal
import subprocess

import pytest

from hostile.arena import HERE, bind, install, packet_sockets, run, spawn
from support import USER, wait_until

STARTS = 750  # for each of the three installations
HELD = {"mem_opened_before_exec", "maps_opened_before_exec", "environ_opened_before_exec"}
CAPTURE = ["-interface", "lo", "-duration", "10ms"]


def steal(attackers, ns, *argv, starts=STARTS, prefix=(), **options):
    """{attack: (tried, worked)}"""
    done = run([*prefix, attackers / "thief", starts, 2, 25, *argv], ns, timeout=180, **options)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {name: (int(tried), int(worked)) for name, tried, worked in lines}


def assert_nothing_stolen(scores, starts=STARTS):
    assert {name: worked for name, (_, worked) in scores.items() if worked} == {}
    assert min(tried for tried, _ in scores.values()) > starts  # on the running program, not on thin air


def perf_is_roots_alone():
    """As Debian has it, where the other attacks have to do."""
    return int(pathlib.Path("/proc/sys/kernel/perf_event_paranoid").read_text()) > 2


def test_every_attack_works_on_a_capture_that_is_not_protected(attackers, ns):
    weak = steal(attackers, ns, attackers / "weak_capture", starts=20)
    same = steal(attackers, ns, "-", starts=20)
    refused = HELD | ({"perf_event_open"} if perf_is_roots_alone() else set())
    assert [name for name, (_, worked) in weak.items() if not worked and name not in refused] == []
    assert [name for name in HELD if not same[name][1]] == []


def test_nothing_is_stolen_from_start_to_end(stage, attackers, ns):
    assert_nothing_stolen(steal(attackers, ns, stage / "cf-pcap", *CAPTURE))


def test_nothing_is_stolen_by_the_owner_of_the_file_on_a_read_only_mount(stage, attackers, ns, place):
    folder = install(stage, place / "bin", owner=2000)
    scores = steal(attackers, ns, folder / "cf-pcap", *CAPTURE, starts=STARTS,
                   root_prepare=lambda: bind(folder, folder, read_only=True))
    assert_nothing_stolen(scores)


# It takes neighbouring pids for its prey's: here nobody else is.
ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "setpriv", f"--reuid={USER}", f"--regid={USER}",
         "--clear-groups"]
STARVED_MS = 100  # of 250 that hogs run for


def rob_the_starved(attackers, ns, starts, *argv):
    """{what was counted} of captures whose last moments are stretched: others take the processor from them."""
    done = run([*ALONE, attackers / "mourner", "-s", starts, 100, 500, *argv], ns, timeout=120, uid=0)
    assert done.returncode == 0, done.stderr
    score = {name: int(value) for name, value in (word.split("=") for word in done.stdout.decode().split())}
    assert score["starts"] == starts and score["ready"] > 0 and score["dying_ms"] >= STARVED_MS
    return score


def test_nothing_is_stolen_from_a_capture_that_starves_while_it_dies(stage, attackers, ns):
    assert rob_the_starved(attackers, ns, 3, attackers / "weak_capture", 60000)["lost"] > 0
    assert rob_the_starved(attackers, ns, 16, stage / "cf-pcap", "-interface", "lo")["lost"] == 0


CONTAINER = ["/usr/bin/python3", HERE / "container.py", USER]


def test_nothing_is_stolen_from_start_to_end_in_a_container(stage, attackers, ns):
    """Whose user namespace owns the network namespace, and where uid 0 is nobody."""
    done = run([*CONTAINER, stage / "cf-pcap", "-interface", "lo", "-duration", "300ms"], ns, uid=0)
    assert (done.returncode, len(done.stdout)) == (0, 24), done.stderr
    weak = steal(attackers, ns, attackers / "weak_capture", starts=20, prefix=CONTAINER, uid=0)
    assert weak["pidfd_getfd"][1] > 0
    assert_nothing_stolen(steal(attackers, ns, stage / "cf-pcap", *CAPTURE, prefix=CONTAINER, uid=0))


def test_a_capture_of_the_owner_works_on_a_read_only_mount_and_is_refused_elsewhere(stage, ns, place):
    folder = install(stage, place / "bin", owner=2000)
    argv = [folder / "cf-pcap", "-interface", "lo", "-duration", "300ms"]
    read_only = run(argv, ns, root_prepare=lambda: bind(folder, folder, read_only=True))
    assert (read_only.returncode, len(read_only.stdout)) == (0, 24), read_only.stderr
    writable = run(argv, ns)
    assert (writable.returncode, writable.stdout) == (1, b"")
    assert b"could have been changed by this user" in writable.stderr


# Asks to be traced, executes its arguments, and lets itself go on at each stop, as strace does.
TRACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
pid = os.fork()
if pid == 0:
    libc.ptrace(0, 0, 0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
stops = 0
while True:
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        break
    stops += 1
    libc.ptrace(7, pid, 0, 0 if os.WSTOPSIG(status) == 5 else os.WSTOPSIG(status))
print(stops, os.waitstatus_to_exitcode(status))
"""


def test_a_capture_that_was_traced_before_exec_has_no_packet_socket(stage, ns):
    argv = ["/usr/bin/python3", "-c", TRACE, stage / "cf-pcap", "-interface", "lo", "-duration", "2s"]
    done = run(argv, ns)
    stops, status = done.stdout.split()
    assert int(stops) >= 1 and int(status) == 1  # it was stopped at its exec, so it was traced
    assert b"traced" in done.stderr
    wait_until(lambda: packet_sockets(ns) == 0)


def crash(ns, place, *argv):
    """Ends it with SIGSEGV where cores may be dumped. Returns what is in the folder afterwards."""
    place.chmod(0o777)
    process = spawn(argv, ns, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    user_prepare=lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)))
    try:
        wait_until(lambda: packet_sockets(ns) >= 1)
        process.send_signal(signal.SIGSEGV)
    finally:
        if process.poll() is None and packet_sockets(ns) == 0:
            process.kill()
    assert process.wait(10) == -signal.SIGSEGV
    return os.listdir(place)


def test_a_crash_leaves_no_core(stage, attackers, ns, place):
    assert any(name.startswith("core") for name in crash(ns, place, attackers / "weak_capture", 20000))
    for name in os.listdir(place):
        os.unlink(place / name)
    assert crash(ns, place, stage / "cf-pcap", "-interface", "lo") == []


@contextlib.contextmanager
def suid_dumpable(value):
    """One setting for the whole machine: not for longer than a start takes."""
    setting = pathlib.Path("/proc/sys/fs/suid_dumpable")
    before = setting.read_text()
    setting.write_text(str(value))
    try:
        yield
    finally:
        setting.write_text(before)


def test_it_refuses_to_start_where_privileged_programs_may_be_traced(stage, ns):
    with suid_dumpable(1):
        done = run([stage / "cf-pcap", "-interface", "lo", "-duration", "300ms"], ns)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"fs.suid_dumpable is 1" in done.stderr


def test_it_captures_out_of_reach_where_core_dumps_go_to_root(stage, ns, place):
    """fs.suid_dumpable=2, as many distributions set it."""
    with open(place / "out.pcap", "wb") as out:
        with suid_dumpable(2):
            capture = spawn([stage / "cf-pcap", "-interface", "lo"], ns, stdout=out, stderr=subprocess.DEVNULL)
            wait_until(lambda: (place / "out.pcap").stat().st_size == 24 or capture.poll() is not None)
    try:
        assert capture.poll() is None
        assert not can_look_into(capture.pid, ns)
    finally:
        capture.kill()
        capture.wait()


def test_a_user_namespace_of_his_own_lets_the_user_capture_nothing(stage, ns):
    """As uid 0 there he has every capability, but not over the network namespace he came from."""
    done = run(["unshare", "--user", "--map-root-user", stage / "cf-pcap", "-interface", "lo"], ns)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"user namespace" in done.stderr


def can_look_into(pid, ns, *prefix):
    return run([*prefix, "ls", f"/proc/{pid}/fd"], ns).returncode == 0


def test_uid_0_of_a_user_namespace_cannot_look_into_a_capture_outside(stage, attackers, ns):
    for argv, protected in (([attackers / "weak_capture", 20000], False),
                            ([stage / "cf-pcap", "-interface", "lo"], True)):
        victim = spawn(argv, ns, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: packet_sockets(ns) >= 1)
            wait_until(lambda: protected or can_look_into(victim.pid, ns))
            assert can_look_into(victim.pid, ns) != protected
            assert can_look_into(victim.pid, ns, "unshare", "--user", "--map-root-user") != protected
        finally:
            victim.kill()
            victim.wait()
        wait_until(lambda: packet_sockets(ns) == 0)
