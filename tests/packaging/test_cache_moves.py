"""What vcap moved elsewhere, or moves meanwhile, does not keep its capability."""
import contextlib
import ctypes
import multiprocessing
import os
import random
import select
import shutil
import struct
import subprocess
import time

import pytest

from diego_cell import CACHE, GARDEN, OF_VCAP, VCAP, as_vcap, own
from file_capabilities import NET_BIND_SERVICE, NET_RAW, NET_RAW_EP, capable_files, give
from support import become_user

RENAME_EXCHANGE = 2
IN_CLOSE_NOWRITE = 0x10
AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)


def do_as_vcap(call, *arguments):
    """Calls it in a child that is vcap, with no capability. Returns the error's number, or 0."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            become_user(VCAP)
            call(*arguments)
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# Each takes KEY.d and one of vcap's folders, and leaves the capability there.
def move(folder, place):
    os.rename(folder / "cf-pcap", place / "cf-pcap")


def move_under_another_name(folder, place):
    os.rename(folder / "cf-pcap", place / ".hidden")


def move_into_a_new_subfolder(folder, place):
    (place / "a" / "b").mkdir(parents=True)
    os.rename(folder / "cf-pcap", place / "a" / "b" / "c")


def move_the_archive(folder, place):
    os.rename(folder, place / "moved")


def link(folder, place):
    os.link(folder / "cf-pcap", place / "linked")


def link_and_forget(folder, place):
    os.link(folder / "cf-pcap", place / "linked")
    os.link(folder / "cf-pcap", place / "cf-pcap")
    os.unlink(folder / "cf-pcap")


def swap_with_another_archive(folder, place):
    (place / "other.d").mkdir()
    os.rename(folder / "cf-pcap", place / "other.d" / "cf-pcap")
    if _libc.renameat2(AT_FDCWD, os.fsencode(folder), AT_FDCWD, os.fsencode(place / "other.d"), RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


MOVES = [move, move_under_another_name, move_into_a_new_subfolder, move_the_archive, link, link_and_forget,
         swap_with_another_archive]


@pytest.mark.parametrize("place", OF_VCAP)
@pytest.mark.parametrize("way", MOVES)
def test_off_finds_what_vcap_moved_within_the_reps_folder(cell, archive, way, place):
    folder = cell.unpack(archive, "key", capabilities=["setfcap"])
    assert do_as_vcap(way, folder, cell.data / place) == 0
    assert set(capable_files(cell.data).values()) == {NET_RAW}
    cell.pre_start(False)
    assert capable_files(cell.data) == {}


@pytest.mark.parametrize("way", [move, move_under_another_name, move_the_archive])
def test_off_finds_what_root_gave_and_vcap_moved(cell, archive, way):
    folder = cell.unpack(archive, "key")
    cell.pre_start(True)
    assert do_as_vcap(way, folder, cell.data / "rep") == 0
    assert list(capable_files(cell.data).values()) == [NET_RAW]
    cell.pre_start(False)
    assert capable_files(cell.data) == {}


def test_on_leaves_the_capability_to_archives_in_the_cache_only(cell, archive):
    for name, place in enumerate(OF_VCAP):
        folder = cell.unpack(archive, "key", capabilities=["setfcap"])
        assert do_as_vcap(os.rename, folder, cell.data / place / f"{name}.d") == 0
    cell.unpack(archive, "key")
    cell.pre_start(True)
    in_cache = [f"{CACHE}/{OF_VCAP.index(CACHE)}.d/cf-pcap", f"{CACHE}/key.d/cf-pcap"]
    assert capable_files(cell.data) == dict.fromkeys(in_cache, NET_RAW)


def test_other_capabilities_and_other_folders_are_left_alone(cell):
    """The rep's folder is walked through, not the disk: there is more on it than vcap's."""
    give(own(cell.data / "rep/tmp/server"), NET_BIND_SERVICE)
    (cell.data / "other-job").mkdir()
    give(own(cell.data / "other-job/ping"), NET_RAW_EP)
    cell.pre_start(False)
    assert capable_files(cell.data) == {"rep/tmp/server": NET_BIND_SERVICE, "other-job/ping": NET_RAW_EP}


def test_vcap_cannot_move_a_file_out_of_the_mount_that_the_cache_is_in(cell, archive):
    """As it is on a cell: GARDEN is a mount, and but for the cache and its like no folder in it is vcap's."""
    cell.unpack(archive, "key", capabilities=["setfcap"])
    (cell.data / "tmp").mkdir()
    (cell.data / "tmp").chmod(0o777)
    places = ["rep", "rep/tmp", "rep/shared", "tmp", GARDEN]
    (cell.folder / "attempt").write_text(f"""
import errno, os
for call in (os.rename, os.link):
    for place in {places}:
        try:
            call("/var/vcap/data/{CACHE}/key.d/cf-pcap", f"/var/vcap/data/{{place}}/moved")
            print("moved to", place)
        except OSError as error:
            print(errno.errorcode[error.errno])
""")
    log = cell.run(f"""exec setpriv --reuid={VCAP} --regid={VCAP} --clear-groups \
        /usr/bin/python3 {cell.folder}/attempt""")
    assert log.split() == ["EXDEV", "EXDEV", "EXDEV", "EXDEV", "EACCES"] * 2


def test_cache_on_a_file_system_of_its_own_is_treated_too(cell, archive):
    """Not diego-release's way, but an operator's perhaps."""
    cell.unpack(archive, "key", capabilities=["setfcap"])
    inner = f"""
        mount -t tmpfs tmpfs /var/vcap/data/{CACHE}
        cp -a {cell.cache}/key.d /var/vcap/data/{CACHE}/
        setcap cap_net_raw=ep /var/vcap/data/{CACHE}/key.d/cf-pcap
        /var/vcap/packages/cf-pcap/cf-pcap-cache %s /var/vcap/data/rep /var/vcap/data/{CACHE} /var/vcap/packages/cf-pcap
        getcap /var/vcap/data/{CACHE}/key.d/cf-pcap"""
    assert cell.run(inner % "off").splitlines()[-1].startswith("cf-pcap-cache: ")  # and nothing of getcap
    assert cell.run(inner % "on").splitlines()[-1].endswith("cf-pcap cap_net_raw=p")


def off_slowly(cell, milliseconds):
    """So slowly that vcap gets to run during each pass, on any machine."""
    return cell.run(f"""exec strace -f -qq -o /dev/null -e inject=getdents64:delay_enter={milliseconds * 1000} \
        /var/vcap/packages/cf-pcap/cf-pcap-cache off /var/vcap/data/rep /var/vcap/data/{CACHE} \
        /var/vcap/packages/cf-pcap""")


def places_to_hop(cell, count):
    """So many folders in each of the rep's that are vcap's."""
    places = [cell.data / base / f"hop{number:03}" for base in OF_VCAP for number in range(count)]
    for place in places:
        (place / "slot").mkdir(parents=True)
        for path in (place, place / "slot"):
            os.chown(path, VCAP, VCAP)
    return [os.fspath(place) for place in places]


def hop(way, here, there):
    """The capability in here/slot comes to there/slot."""
    if way == "file":
        os.rename(f"{here}/slot/x", f"{there}/slot/x")
    elif way == "link":
        os.link(f"{here}/slot/x", f"{there}/slot/x")
        os.unlink(f"{here}/slot/x")
    elif way == "folder":
        os.rename(f"{there}/slot", f"{there}/spare")
        os.rename(f"{here}/slot", f"{there}/slot")
        os.rename(f"{there}/spare", f"{here}/slot")
    else:
        _libc.renameat2(AT_FDCWD, f"{here}/slot".encode(), AT_FDCWD, f"{there}/slot".encode(), RENAME_EXCHANGE)


def keep_hopping(way, places, seed, started, stop):
    """Vcap at work, in bursts: between two of them a pass may well be undisturbed."""
    become_user(VCAP)
    chance = random.Random(seed)
    here = places[0]
    while not stop.is_set():
        for _ in range(chance.randrange(1, 3000)):
            there = chance.choice(places)
            if there == here:
                continue
            with contextlib.suppress(OSError):
                hop(way, here, there)
                here = there
        started.set()
        time.sleep(chance.random() / 50)


@contextlib.contextmanager
def vcap_at_work(task, *arguments):
    """Its last arguments are two events: it has started, and it has to stop."""
    *_, started, stop = arguments
    vcap = multiprocessing.Process(target=task, args=arguments)
    vcap.start()
    try:
        assert started.wait(120)
        yield
    finally:
        stop.set()
        vcap.join(120)
        vcap.kill()


def gather(places):
    """The capability, if it is still one, is in places[0] again."""
    for place in places:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(f"{place}/spare")
        shutil.rmtree(f"{place}/slot", ignore_errors=True)
        os.mkdir(f"{place}/slot")
        os.chown(f"{place}/slot", VCAP, VCAP)


@pytest.mark.parametrize("way", ["file", "link", "folder", "exchange"])
def test_off_that_says_it_agrees_has_missed_nothing_that_vcap_kept_moving(cell, way):
    places = places_to_hop(cell, 16)
    for seed in range(5):
        gather(places)
        path = cell.data / places[0] / "slot" / "x"
        own(path)
        give(path, NET_RAW)
        started, stop = multiprocessing.Event(), multiprocessing.Event()
        with vcap_at_work(keep_hopping, way, places, seed, started, stop):
            try:
                cell.pre_start(False)
                agreed = True
            except subprocess.CalledProcessError as failure:
                assert "FAILED" in failure.stdout
                agreed = False
        assert not agreed or capable_files(cell.data) == {}
    gather(places)
    give(own(cell.data / places[0] / "slot" / "x"), NET_RAW)
    assert "agrees with off" in cell.pre_start(False)
    assert capable_files(cell.data) == {}


def keep_dodging(way, places, started, stop):
    """Vcap sees which folder was just listed, and moves there what has not been seen yet."""
    become_user(VCAP)
    inotify = _libc.inotify_init1(os.O_NONBLOCK)
    folders = {_libc.inotify_add_watch(inotify, os.fsencode(place), IN_CLOSE_NOWRITE): place for place in places}
    assert len(folders) == len(places)
    started.set()
    here = places[0]
    while not stop.is_set():
        select.select([inotify], [], [], 0.1)
        with contextlib.suppress(BlockingIOError):
            events = os.read(inotify, 65536)
            while events:
                watch, _, _, length = struct.unpack_from("iIII", events)
                events = events[16 + length:]
                if length == 0 and folders[watch] != here:  # the folder itself, none in it
                    with contextlib.suppress(OSError):
                        hop(way, here, folders[watch])
                        here = folders[watch]


@pytest.mark.parametrize("way", ["file", "link", "exchange"])
def test_off_is_not_content_with_a_pass_in_which_a_file_dodged_it(cell, way):
    places = places_to_hop(cell, 3)
    for _ in range(2):
        gather(places)
        give(own(cell.data / places[0] / "slot" / "x"), NET_RAW)
        started, stop = multiprocessing.Event(), multiprocessing.Event()
        with vcap_at_work(keep_dodging, way, places, started, stop):
            try:
                off_slowly(cell, 2)
                agreed = True
            except subprocess.CalledProcessError as failure:
                assert "FAILED" in failure.stdout
                agreed = False
        assert not agreed or capable_files(cell.data) == {}


def never_rest(folder, started, stop):
    become_user(VCAP)
    while not stop.is_set():
        os.mkdir(folder)
        os.rmdir(folder)
        started.set()


def test_folder_that_never_comes_to_rest_is_told_of(cell):
    with vcap_at_work(never_rest, cell.data / "rep" / "new", multiprocessing.Event(), multiprocessing.Event()):
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            off_slowly(cell, 40)
    assert refusal.value.returncode == 1
    log = refusal.value.stdout
    assert "FAILED /var/vcap/data/rep changed during each of 20 passes: end what vcap runs there" in log
    assert "agrees" not in log
    assert "agrees with off" in cell.pre_start(False)
