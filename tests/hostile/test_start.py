"""However it is started, nothing is written to a packet socket, and it captures or says why not."""
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import time

import pytest

from hostile.arena import Witness, compile_c, frame, give_capability, install, packet_sockets, run, spawn
from support import children_of, processes_in, wait_until

CAPTURE = ["-interface", "lo", "-duration", "300ms"]
LIMITS = ["as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
          "rtprio", "rttime", "sigpending", "stack"]


def captured(done):
    return done.returncode == 0 and len(done.stdout) == 24


def refused(done):
    """Nothing came out, and it did not pretend to have worked."""
    return done.returncode != 0 and done.stdout in (b"", None)


def close_fds(numbers):
    for number in numbers:
        os.close(number)


@pytest.mark.parametrize("closed", [numbers for count in range(4)
                                    for numbers in itertools.combinations(range(3), count)])
def test_no_packet_socket_lands_on_a_closed_standard_fd(stage, ns, place, closed):
    with Witness(ns) as witness, open(place / "out.pcap", "wb") as out, open(place / "err", "wb") as err:
        process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, stdin=subprocess.DEVNULL, stdout=out,
                        stderr=err, user_prepare=lambda: close_fds(closed))
        try:
            wait_until(lambda: os.path.getsize(place / "out.pcap") == 24 or process.poll() is not None)
            assert (process.poll() is not None) == (1 in closed)
            if process.poll() is None:
                links = {int(fd): os.readlink(f"/proc/{process.pid}/fd/{fd}")
                         for fd in os.listdir(f"/proc/{process.pid}/fd")}
                sockets = [fd for fd, target in links.items() if target.startswith("socket:")]
                assert sockets and min(sockets) > 2
                assert all(links[fd] in ("/dev/null", "/dev/full") for fd in closed)  # libc's or ours
                process.send_signal(signal.SIGINT)
            assert process.wait(10) == (1 if 1 in closed else 0)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert witness.frames() == []


def test_the_trap_is_real_a_packet_socket_on_a_closed_stdout_sends_what_is_printed(ns):
    script = ("import os,socket,sys\n"
              "os.close(1)\n"
              "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,0)\n"
              "s.bind(('lo',0))\n"
              f"assert s.fileno()==1; os.write(1,{frame(b'INJECTED')!r})\n")
    with Witness(ns) as witness:
        done = run(["/usr/bin/python3", "-c", script], ns, uid=0)
        assert done.returncode == 0, done.stderr
        assert any(b"INJECTED" in seen for seen in witness.frames())


def test_a_full_descriptor_table_is_no_hindrance(stage, ns):
    def fill():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        try:
            while True:
                os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)
        except OSError:
            pass

    done = run([stage / "cf-pcap", *CAPTURE], ns, user_prepare=fill, close_fds=False)
    assert captured(done), done.stderr


@pytest.mark.parametrize("limit", LIMITS)
def test_a_resource_limit_of_0_or_1_makes_it_capture_or_refuse(stage, ns, limit):
    with Witness(ns) as witness:
        for value in (0, 1):
            done = run(["prlimit", f"--{limit}={value}:{value}", stage / "cf-pcap", *CAPTURE], ns, timeout=30)
            assert captured(done) or refused(done), (value, done)
        assert witness.frames() == []
    wait_until(lambda: packet_sockets(ns) == 0)


def test_whatever_number_of_descriptors_it_may_have_it_captures_or_refuses(stage, ns):
    outcomes = []
    with Witness(ns) as witness:
        for count in range(2, 14):
            done = run(["prlimit", f"--nofile={count}:{count}", stage / "cf-pcap", *CAPTURE], ns)
            assert captured(done) or refused(done), (count, done)
            outcomes.append(captured(done))
        assert witness.frames() == []
    assert outcomes == sorted(outcomes) and outcomes[-1] and not outcomes[0]


def test_whatever_memory_it_may_have_it_captures_or_refuses(stage, ns):
    outcomes = []
    with Witness(ns) as witness:
        for kib in [64 << step for step in range(14)]:
            done = run(["prlimit", f"--as={kib << 10}:{kib << 10}", stage / "cf-pcap", *CAPTURE], ns)
            assert captured(done) or refused(done), (kib, done)
            outcomes.append(captured(done))
        assert witness.frames() == []
    assert outcomes[-1] and not outcomes[0]


def test_signals_ignored_and_blocked_at_start_do_not_keep_it_from_stopping(stage, ns, place):
    def deafen():
        for number in range(1, 65):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with open(place / "out.pcap", "wb") as out:
            process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, user_prepare=deafen, stdout=out,
                            stderr=subprocess.DEVNULL, restore_signals=False)
            try:
                wait_until(lambda: os.path.getsize(place / "out.pcap") == 24)
                process.send_signal(number)
                assert process.wait(10) == 0
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()


def test_timers_set_before_exec_do_not_go_off(stage, ns):
    def arm():
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.2, 0.2)
        signal.setitimer(signal.ITIMER_PROF, 0.2, 0.2)

    process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, user_prepare=arm, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL)
    try:
        assert len(process.stdout.read(24)) == 24
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_signal_that_is_pending_at_start_ends_it_before_it_began(stage, ns):
    def leave_pending():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)

    done = run([stage / "cf-pcap", *CAPTURE], ns, user_prepare=leave_pending)
    assert done.returncode == 0 and done.stdout == b"" and b"stopped before the capture began" in done.stderr


@pytest.mark.parametrize("mask", [0, 0o777])
def test_the_umask_has_no_say(stage, ns, mask):
    assert captured(run([stage / "cf-pcap", *CAPTURE], ns, user_prepare=lambda: os.umask(mask)))


def test_children_that_it_inherits_do_not_hold_it_up(stage, ns):
    process = spawn(["sh", "-c", f"sleep 30 & exec {stage}/cf-pcap -interface lo"], ns, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    wait_until(lambda: children_of(process.pid))
    sleeper = children_of(process.pid)[0]
    try:
        started = time.monotonic()
        assert len(process.stdout.read(24)) == 24
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - started < 20
    finally:
        os.kill(sleeper, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_killing_or_stopping_either_process_at_any_step_leaves_nothing_behind(stage, ns):
    """At 200 moments of its first 20 ms."""
    dice = random.Random(3)
    with Witness(ns) as witness:
        for step in range(200):
            process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
            time.sleep(step * 0.0001)
            everyone = [process.pid, *children_of(process.pid)]
            victim = dice.choice(everyone)
            for number in dice.choice([[signal.SIGKILL], [signal.SIGSTOP, signal.SIGKILL],
                                       [signal.SIGSTOP, signal.SIGCONT]]):
                try:
                    os.kill(victim, number)
                except ProcessLookupError:
                    pass
            if victim == process.pid or dice.random() < 0.5:
                process.kill()
            else:
                process.terminate()
            assert process.wait(15) is not None
        assert witness.frames() == []
    wait_until(lambda: packet_sockets(ns) == 0)
    wait_until(lambda: "cf-pcap" not in processes_in(ns))


def test_it_runs_without_any_argument_not_even_a_name(stage, attackers, ns):
    done = run([compile_c(attackers, "no_argv", "no_argv.c"), stage / "cf-pcap"], ns)
    assert done.returncode == 2 and b"-interface" in done.stderr and done.stdout == b""


@pytest.mark.parametrize("name", ["", "-", "/bin/sh", "x" * 100000, "\n\x1b[2J"])
def test_its_name_has_no_say(stage, ns, name):
    done = run([name, *CAPTURE], ns, executable=stage / "cf-pcap")
    assert captured(done), done.stderr
    assert b"\x1b" not in done.stderr


def test_huge_arguments_are_refused_in_words(stage, ns):
    done = run([stage / "cf-pcap", "-interface", "lo", *["port 1 or"] * 10000, "port 1"], ns)
    assert done.returncode == 2 and done.stdout == b"" and b"filter is too long" in done.stderr


def test_the_environment_loads_nothing_and_changes_nothing(stage, attackers, ns):
    library = compile_c(attackers, "preload.so", "preload.c", flags=["-shared", "-fPIC"])
    env = {"LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(attackers), "LD_AUDIT": str(library), "LD_DEBUG": "all",
           "GLIBC_TUNABLES": "glibc.malloc.mxfast=" * 2000, "GCONV_PATH": str(attackers), "MALLOC_TRACE": "/tmp/x",
           "HOSTALIASES": "/etc/passwd", "RES_OPTIONS": "debug", "LOCPATH": str(attackers), "TMPDIR": str(attackers),
           "PATH": str(attackers), "CF_INSTANCE_PORTS": "[]", "SSH_CONNECTION": "x", "IFS": "/", "HUGE": "x" * 130000}
    assert b"PRELOADED" in run(["/bin/true"], ns, env=env).stderr
    process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, env=env, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    try:
        assert len(process.stdout.read(24)) == 24
        with open(f"/proc/{process.pid}/environ", "rb") as environ:
            kept = environ.read().split(b"\0")
    finally:
        process.kill()
        _, messages = process.communicate()
    assert sorted(kept) == [b"", b"CF_INSTANCE_PORTS=[]", b"SSH_CONNECTION=x"]
    assert b"PRELOADED" not in messages and b"calling init" not in messages


def test_a_deleted_working_directory_is_no_hindrance(stage, ns, place):
    gone = place / "gone"

    def leave():
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    assert captured(run([stage / "cf-pcap", *CAPTURE], ns, root_prepare=leave))


@pytest.mark.parametrize("name", ["a b", "a\nb", "bin (deleted)", "%s%n", "é\x07", "x" * 255])
def test_an_odd_path_is_no_hindrance(stage, ns, place, name):
    folder = install(stage, place / name)
    assert captured(run([folder / "cf-pcap", *CAPTURE], ns))


def test_a_path_too_long_to_be_named_is_refused_in_words(stage, ns, place):
    home = os.open("/", os.O_RDONLY)
    os.chdir(place)
    try:
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        shutil.copy(stage / "cf-pcap", "cf-pcap")
        os.chmod("cf-pcap", 0o755)
        give_capability("cf-pcap")
        deep = os.open(".", os.O_RDONLY)
        done = run(["./cf-pcap", *CAPTURE], ns, cwd=None, user_prepare=lambda: os.fchdir(deep))
        os.close(deep)
    finally:
        os.fchdir(home)
        os.close(home)
    assert refused(done) and b"a path of more than 4095 bytes" in done.stderr


def test_a_helper_that_was_deleted_is_refused_in_words(stage, ns, place):
    folder = install(stage, place / "bin")
    helper = os.open(folder / "cf-pcap", os.O_RDONLY)
    (folder / "cf-pcap").unlink()
    done = run(["cf-pcap", *CAPTURE], ns, executable=f"/proc/self/fd/{helper}", pass_fds=[helper])
    os.close(helper)
    assert refused(done) and b"folder of cf-pcap" in done.stderr
