"""Nothing but the writer inside the program is ever executed with a channel to the packet socket."""
import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from hostile.arena import ROOT, Witness, bind, compile_c, install, mount, packet_sockets, run, spawn
from support import _libc, wait_until

CAPTURE = ["-interface", "lo", "-duration", "300ms"]
USER = 2000
PR_SET_NO_NEW_PRIVS = 38


@pytest.fixture(scope="module")
def imposter(attackers):
    """A program of the user's that says so when it runs."""
    compile_c(attackers, "swapper", "swapper.c")
    script = attackers / "imposter"
    script.write_text("#!/bin/sh\nprintf IMPOSTER\n")
    script.chmod(0o755)
    return script


def put(program, folder, name="cf-pcap-writer", owner=0):
    shutil.copy(program, folder / name)
    os.chmod(folder / name, 0o755)
    os.chown(folder / name, owner, owner)


def assert_refused(done, *words):
    assert done.returncode == 1 and done.stdout == b"", (done.stdout[:50], done.stderr)
    assert any(word.encode() in done.stderr for word in words), done.stderr


def run_watched(argv, ns, **options):
    """A run, and the frames that it sent."""
    with Witness(ns) as witness:
        done = run(argv, ns, **options)
        return done, [frame for frame in witness.frames() if b"INJECTED" in frame]


def test_another_file_beside_it_is_never_executed(stage, imposter, ns, place):
    """0.1.0 executed a file of that name. The writer is inside the program now."""
    folder = install(stage, place / "bin")
    put(imposter, folder)
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns)
    assert (done.returncode, len(done.stdout), frames) == (0, 24, [])


@pytest.mark.parametrize("make", ["owned by him", "writable for all", "in his group"])
def test_it_does_not_start_in_a_folder_that_the_user_could_have_changed(stage, ns, place, make):
    """There a policy of the operator's would lie."""
    folder = install(stage, place / "bin")
    os.chown(folder, USER if make == "owned by him" else 0, USER if make == "in his group" else 0)
    os.chmod(folder, {"owned by him": 0o755, "writable for all": 0o757, "in his group": 0o775}[make])
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), "could have been changed by this user")
    assert packet_sockets(ns) == 0


def test_a_hard_link_in_a_folder_of_the_users_is_refused(stage, ns, place):
    """fs.protected_hardlinks=0"""
    folder = place / "his"
    folder.mkdir()
    os.chown(folder, USER, USER)
    install(stage, place / "bin")
    os.link(place / "bin" / "cf-pcap", folder / "cf-pcap")
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), "could have been changed by this user")


def test_a_symlink_to_it_runs_the_installed_program(stage, ns, place):
    folder = place / "his"
    folder.mkdir()
    (folder / "cf-pcap").symlink_to(stage / "cf-pcap")
    done = run([folder / "cf-pcap", *CAPTURE], ns)
    assert (done.returncode, len(done.stdout)) == (0, 24)


def test_a_copy_of_it_has_nothing_to_give(stage, ns, place):
    folder = place / "his"
    folder.mkdir()
    put(stage / "cf-pcap", folder, "cf-pcap", owner=USER)
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), "has no cap_net_raw")
    wait_until(lambda: packet_sockets(ns) == 0)


def test_a_bind_mount_of_it_in_a_folder_of_the_users_is_refused(stage, ns, place):
    folder = place / "his"
    folder.mkdir()
    (folder / "cf-pcap").touch()
    os.chown(folder, USER, USER)
    done = run([folder / "cf-pcap", *CAPTURE], ns,
               root_prepare=lambda: bind(stage / "cf-pcap", folder / "cf-pcap"))
    assert_refused(done, "could have been changed by this user")


def test_swapping_a_folder_on_the_way_lets_it_start_nowhere_else(stage, imposter, ns, place):
    """The user owns a folder above, and below it a folder with a hard link of the program."""
    install(stage, place / "top" / "a" / "bin")
    (place / "top" / "b" / "bin").mkdir(parents=True)
    os.link(place / "top" / "a" / "bin" / "cf-pcap", place / "top" / "b" / "bin" / "cf-pcap")
    for path in (place / "top", place / "top" / "b" / "bin"):
        os.chown(path, USER, USER)
    swapper = spawn([imposter.parent / "swapper", place / "top" / "a", place / "top" / "b", 6000], ns)
    try:
        ended = []
        while swapper.poll() is None or not {0, 1} <= {status for status, _ in ended}:
            done = run([place / "top" / "a" / "bin" / "cf-pcap", "-version"], ns)
            ended.append((done.returncode, done.stderr))
            assert len(ended) < 10000
    finally:
        if swapper.poll() is None:
            swapper.kill()
        swapper.wait()
    refusals = [words for status, words in ended if status != 0]
    assert [words for words in refusals if b"could have been changed" not in words and b"cannot find" not in words
            and words != b""] == []


def test_the_writer_inside_is_the_builds_own(stage):
    """As SECURITY.md says: whoever builds it can compare."""
    image = (ROOT / "build/cf-pcap-writer.image").read_bytes()
    assert len(image) > 100_000 and (stage / "cf-pcap").read_bytes().count(image) == 1


def hide_proc(fake=None):
    """For root_prepare: no /proc, or one that somebody made up."""
    def prepare():
        if fake is not None:
            bind(fake, "/proc")
        else:
            mount("none", "/proc", 0, "tmpfs")
    return prepare


def test_without_proc_it_says_so(stage, ns):
    assert_refused(run([stage / "cf-pcap", *CAPTURE], ns, root_prepare=hide_proc()), "/proc")


def test_a_proc_of_the_users_making_is_not_believed(stage, imposter, ns, place):
    evil = place / "evil"
    evil.mkdir()
    put(imposter, evil)
    put(stage / "cf-pcap", evil, "cf-pcap")
    (place / "proc" / "self" / "fd").mkdir(parents=True)
    (place / "proc" / "self" / "exe").symlink_to(evil / "cf-pcap")
    done, frames = run_watched([stage / "cf-pcap", *CAPTURE], ns, root_prepare=hide_proc(place / "proc"))
    assert_refused(done, "/proc")
    assert frames == []


@pytest.fixture
def taken_out(place):
    """The writer's image, as anybody can cut it out of the program."""
    shutil.copy(ROOT / "build/cf-pcap-writer.image", place / "cf-pcap-writer")
    return place / "cf-pcap-writer"


def test_the_writer_started_by_hand_says_what_to_do(taken_out, ns):
    assert_refused(run([taken_out, *CAPTURE], ns), "cannot be used by itself")


@pytest.mark.parametrize("mode, words", [(0o755, "cannot be used by itself"),
                                         (0o711, "the capture helper ended unexpectedly")])
def test_the_writer_started_by_hand_as_the_helper_would_gives_nothing(taken_out, ns, mode, words):
    """With no_new_privs, sockets of the user's where the helper's would be, from which nothing comes, and a file."""
    taken_out.chmod(mode)
    with contextlib.ExitStack() as ends:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
        for end in [end for pair in pairs for end in pair]:
            ends.enter_context(end)
        for _, theirs in pairs:
            theirs.shutdown(socket.SHUT_RDWR)

        def prepare():
            for pair, number in zip(pairs, (60, 61, 62)):
                os.dup2(pair[0].fileno(), number)
            os.dup2(os.open(taken_out, os.O_PATH), 63)
            for number, descriptor in ((60, 3), (61, 4), (62, 6), (63, 5)):
                os.dup2(number, descriptor)
            assert _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0

        done = run([taken_out, *CAPTURE], ns, user_prepare=prepare, close_fds=False)
    assert_refused(done, words)
    assert packet_sockets(ns) == 0


def test_channels_of_the_users_own_do_not_reach_the_helper(stage, ns):
    """Whatever number they have, the helper closes them and talks to its own."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def prepare():
        high = os.dup2(theirs.fileno(), 60)
        for number in range(3, 20):
            os.dup2(high, number)

    with ours, theirs:
        ours.send(b"\0" * 8)
        process = spawn([stage / "cf-pcap", "-interface", "lo"], ns, user_prepare=prepare, close_fds=False,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert len(process.stdout.read(24)) == 24
            theirs.close()
            with pytest.raises(ConnectionResetError):  # nobody has the other end any more
                ours.recv(1)
        finally:
            process.kill()
            process.communicate()
