"""Nothing but the installed writer is ever executed with a channel to the packet socket."""
import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from hostile.arena import Witness, bind, compile_c, install, mount, packet_sockets, run, spawn
from support import _libc, wait_until

CAPTURE = ["-interface", "lo", "-duration", "300ms"]
USER = 2000
PR_SET_NO_NEW_PRIVS = 38


@pytest.fixture(scope="module")
def imposter(attackers):
    compile_c(attackers, "swapper", "swapper.c")
    return compile_c(attackers, "imposter", "imposter.c", "../../common/channel.c", flags=["-I."])


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


def test_the_imposter_sends_frames_where_an_operator_installs_it(stage, imposter, ns, place):
    """What all the tests below are about: it would work, if it were executed."""
    folder = install(stage, place / "bin")
    put(imposter, folder)
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns)
    assert done.stdout == b"IMPOSTER" and len(frames) >= 1


@pytest.mark.parametrize("program", ["imposter", "/bin/sh"])
def test_no_writer_is_taken_from_a_folder_of_the_users(stage, imposter, ns, place, program):
    """A hard link of the helper (fs.protected_hardlinks=0) beside a writer that is root's, as /bin/sh is."""
    folder = place / "his"
    folder.mkdir()
    os.chown(folder, USER, USER)
    install(stage, place / "bin")
    os.link(place / "bin" / "cf-pcap", folder / "cf-pcap")
    put(imposter if program == "imposter" else program, folder)
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns)
    assert_refused(done, "could have been changed by this user")
    assert frames == []


@pytest.mark.parametrize("make", ["owned by him", "writable for all", "in his group", "a symlink", "a folder",
                                  "a fifo", "absent"])
def test_no_writer_is_taken_that_the_user_could_have_changed(stage, imposter, ns, place, make):
    folder = install(stage, place / "bin")
    writer = folder / "cf-pcap-writer"
    if make == "owned by him":
        os.chown(writer, USER, 0)
    elif make == "writable for all":
        os.chmod(writer, 0o757)
    elif make == "in his group":
        os.chown(writer, 0, USER)
        os.chmod(writer, 0o775)
    else:
        writer.unlink()
        if make == "a symlink":
            put(imposter, place, "elsewhere")
            writer.symlink_to(place / "elsewhere")
        elif make == "a folder":
            writer.mkdir()
        elif make == "a fifo":
            os.mkfifo(writer, 0o644)
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns)
    assert_refused(done, "could have been changed by this user", "not a regular file", "cannot open cf-pcap-writer",
                   "cannot examine cf-pcap-writer")
    assert frames == []


def test_a_symlink_to_the_helper_beside_an_imposter_runs_the_installed_writer(stage, imposter, ns, place):
    folder = place / "his"
    folder.mkdir()
    put(imposter, folder)
    (folder / "cf-pcap").symlink_to(stage / "cf-pcap")
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns)
    assert (done.returncode, len(done.stdout), frames) == (0, 24, [])


def test_a_copy_of_the_helper_beside_an_imposter_has_nothing_to_give(stage, imposter, ns, place):
    folder = place / "his"
    folder.mkdir()
    put(imposter, folder, owner=USER)
    put(stage / "cf-pcap", folder, "cf-pcap", owner=USER)
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns)
    assert frames == []
    wait_until(lambda: packet_sockets(ns) == 0)
    assert done.returncode != 0 or done.stdout == b"IMPOSTER"


def test_a_bind_mount_of_the_helper_in_a_folder_of_the_users_is_refused(stage, imposter, ns, place):
    folder = place / "his"
    folder.mkdir()
    put(imposter, folder)
    (folder / "cf-pcap").touch()
    os.chown(folder, USER, USER)
    done, frames = run_watched([folder / "cf-pcap", *CAPTURE], ns,
                               root_prepare=lambda: bind(stage / "cf-pcap", folder / "cf-pcap"))
    assert_refused(done, "could have been changed by this user")
    assert frames == []


def test_mounts_that_the_user_makes_in_a_user_namespace_give_him_nothing(stage, imposter, ns, place):
    """There he can lay the imposter over the writer, but the capability is not worth anything."""
    folder = install(stage, place / "bin")
    script = f"mount --bind {imposter} {folder}/cf-pcap-writer && exec {folder}/cf-pcap -interface lo"
    done, frames = run_watched(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], ns)
    assert done.stdout == b"IMPOSTER"  # it is executed indeed
    assert frames == []
    wait_until(lambda: packet_sockets(ns) == 0)


def test_swapping_a_folder_on_the_way_does_not_bring_in_another_writer(stage, imposter, ns, place):
    """The user owns a folder above; below it there are two installations, one of an image of his."""
    install(stage, place / "top" / "a" / "bin")
    (place / "top" / "b" / "bin").mkdir(parents=True)
    put(stage / "cf-pcap", place / "top" / "b" / "bin", "cf-pcap")
    put(imposter, place / "top" / "b" / "bin")
    top = place / "top"
    os.chown(top, USER, USER)
    swapper = spawn([imposter.parent / "swapper", top / "a", top / "b", 6000], ns)
    try:
        with Witness(ns) as witness:
            outputs = []
            while swapper.poll() is None:
                outputs.append(run([top / "a" / "bin" / "cf-pcap", "-version"], ns).stdout)
            frames = [frame for frame in witness.frames() if b"INJECTED" in frame]
    finally:
        if swapper.poll() is None:
            swapper.kill()
        swapper.wait()
    assert len(outputs) > 100
    assert any(output.startswith(b"cf-pcap ") for output in outputs)  # ours was there at times
    # The imposter may run, where the helper beside it, without the capability, was executed.
    assert frames == []


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


def test_the_writer_started_by_hand_says_what_to_do(stage, ns):
    assert_refused(run([stage / "cf-pcap-writer", *CAPTURE], ns), "cannot be used by itself")


@pytest.mark.parametrize("mode, words", [(0o755, "cannot be used by itself"),
                                         (0o711, "the capture helper ended unexpectedly")])
def test_the_writer_started_by_hand_as_the_helper_would_gives_nothing(stage, ns, place, mode, words):
    """With no_new_privs, and sockets of the user's where the helper's would be, from which nothing comes."""
    folder = install(stage, place / "bin", writer_mode=mode)
    with contextlib.ExitStack() as ends:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
        for end in [end for pair in pairs for end in pair]:
            ends.enter_context(end)
        for _, theirs in pairs:
            theirs.shutdown(socket.SHUT_RDWR)

        def prepare():
            for pair, number in zip(pairs, (60, 61, 62)):
                os.dup2(pair[0].fileno(), number)
            for number, descriptor in ((60, 3), (61, 4), (62, 6)):
                os.dup2(number, descriptor)
            assert _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0

        done = run([folder / "cf-pcap-writer", *CAPTURE], ns, user_prepare=prepare, close_fds=False)
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
