"""The operator's policy on a cell: beside each of our programs in the cache, before it has the capability."""
import contextlib
import itertools
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import time

import pytest

from diego_cell import POLICY_PROPERTY, PROPERTY, VCAP, own
from file_capabilities import NET_RAW, capable_files, give
from support import USER, become_user

POLICY = "cf-pcap.policy"
TEXT = "headers-only\nmax-snaplen 100\n"
OTHER = "max-snaplen 50\nfilter not port 5432"


def assert_policy(folder, text=TEXT):
    """Root's, whole, and nobody else's."""
    status = os.lstat(folder / POLICY)
    assert (status.st_uid, status.st_gid, status.st_mode, status.st_nlink) == (0, 0, 0o100644, 1)
    assert (folder / POLICY).read_text() == text.rstrip("\n") + "\n"


def capture_in_container(folder, ns, mounted="/mnt"):
    """A capture of uid 2000, with the folder mounted read-only as Garden does it."""
    script = f"""mount --bind {folder} {mounted} && mount -o remount,bind,ro {mounted} &&
        exec setpriv --reuid={USER} --regid={USER} --clear-groups \
            {mounted}/cf-pcap -interface lo -duration 100ms -snaplen 9000"""
    return ns.run("unshare", "--mount", "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def assert_limited(done):
    assert done.returncode == 0 and b"limited by the operator's policy" in done.stderr, done.stderr
    assert int.from_bytes(done.stdout[16:20], "little") == 100


def test_policy_lies_beside_each_of_our_programs_and_limits_what_runs_there(cell, archive, ns):
    folders = [cell.unpack(archive, key) for key in ("one", "two")]
    log = cell.pre_start(True, TEXT)
    for folder in folders:
        assert f"{folder.name}/{POLICY}: written, from {POLICY_PROPERTY}" in log
        assert_policy(folder)
        assert_limited(capture_in_container(folder, ns))
    assert cell.capable() == {"one.d/cf-pcap": NET_RAW, "two.d/cf-pcap": NET_RAW}


def test_policy_comes_before_the_capability_and_goes_after_it(cell, archive):
    cell.unpack(archive, "key")
    trace = cell.folder / "trace"

    def traced(enabled, policy):
        script = cell.render("cf_pcap_pre_start.erb", f"{PROPERTY}={str(enabled).lower()}",
                             f"{POLICY_PROPERTY}={json.dumps(policy)}")
        (cell.folder / "policy").write_text(policy)
        cell.run(script.replace("exec ", f"exec strace -o {trace} -e trace=renameat,unlinkat,removexattr "))
        return re.findall(r'^(\w+)\(.*?(cf-pcap\.policy|cf-pcap|security\.capability)"[^"]*\) += 0$', trace.read_text(), re.MULTILINE)

    assert traced(True, TEXT) == [("renameat", POLICY), ("renameat", "cf-pcap")]
    assert traced(False, TEXT) == [("removexattr", "security.capability"), ("unlinkat", POLICY)]


def test_a_policy_that_changes_goes_to_a_warm_cache(cell, archive):
    folder = cell.unpack(archive, "key")
    cell.pre_start(True, TEXT)
    program = os.stat(folder / "cf-pcap").st_ino
    cell.pre_start(True, OTHER)
    assert_policy(folder, OTHER)
    assert os.stat(folder / "cf-pcap").st_ino == program and cell.capable() == {"key.d/cf-pcap": NET_RAW}


@pytest.mark.parametrize("enabled, policy", [(True, ""), (True, " \n"), (False, TEXT), (False, "")])
def test_a_policy_goes_where_there_is_to_be_none(cell, archive, enabled, policy):
    folder = cell.unpack(archive, "key")
    cell.pre_start(True, TEXT)
    log = cell.pre_start(enabled, policy)
    assert f"key.d/{POLICY}: removed" in log
    assert [path.name for path in folder.iterdir()] == ["cf-pcap"]
    assert not (cell.package / POLICY).exists() or not enabled
    assert bool(cell.capable()) == enabled


def test_second_run_changes_nothing(cell, archive):
    folder = cell.unpack(archive, "key")
    cell.pre_start(True, TEXT)
    states = lambda: {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in folder.iterdir()}
    before = states()
    assert cell.pre_start(True, TEXT).count("cf-pcap-cache:") == 1
    assert states() == before


def test_only_beside_our_program(cell, archive):
    cell.unpack(archive, "key")
    (cell.cache / "other.d").mkdir()
    own(cell.cache / "other.d" / "server")
    (cell.cache / "changed.d").mkdir()
    own(cell.cache / "changed.d" / "cf-pcap", b"0.1.0")
    cell.pre_start(True, TEXT)
    assert [path.relative_to(cell.cache) for path in cell.cache.rglob(POLICY)] == [(cell.cache / "key.d" / POLICY).relative_to(cell.cache)]
    own(cell.cache / "other.d" / POLICY)
    cell.pre_start(True)
    assert (cell.cache / "other.d" / POLICY).exists()  # nobody's business


def test_a_policy_that_vcap_has_owned_is_replaced(cell, archive):
    """Before each start diego-release gives all of the cache to vcap."""
    folder = cell.unpack(archive, "key")
    cell.pre_start(True, TEXT)
    cell.change_owners()
    with open(folder / POLICY, "r+b") as held:
        cell.pre_start(True, TEXT)
        assert os.fstat(held.fileno()).st_nlink == 0
    assert_policy(folder)


IN_ITS_PLACE = {
    "a loose one": lambda path, outside: own(path, b"max-snaplen 262144\n"),
    "one that says the same": lambda path, outside: own(path, TEXT.encode()),
    "a link": lambda path, outside: os.symlink(outside, path),
    "a hard link": lambda path, outside: os.link(outside, path),
    "a fifo": lambda path, outside: os.mkfifo(path),
}


@pytest.mark.parametrize("what", IN_ITS_PLACE)
@pytest.mark.parametrize("policy", [TEXT, ""], ids=["a policy", "none"])
def test_what_vcap_puts_in_its_place_goes_and_nothing_else_is_touched(cell, archive, what, policy):
    folder = cell.unpack(archive, "key")
    outside = own(cell.data / "outside", TEXT.encode())
    before = outside.stat()
    IN_ITS_PLACE[what](folder / POLICY, outside)
    cell.pre_start(True, policy)
    after = outside.stat()
    assert (after.st_uid, after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_uid, before.st_ino, before.st_mtime_ns, before.st_mode)
    if policy:
        assert_policy(folder)
    else:
        assert not os.path.lexists(folder / POLICY)
    assert cell.capable() == {"key.d/cf-pcap": NET_RAW}


@pytest.mark.parametrize("warm", [False, True])
def test_where_it_cannot_be_written_nothing_has_the_capability(cell, archive, warm):
    folder = cell.unpack(archive, "key", capabilities=["setfcap"])
    if warm:
        cell.pre_start(True, TEXT)
        (folder / POLICY).unlink()
    (folder / POLICY).mkdir()
    own(folder / POLICY / "x")
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        cell.pre_start(True, OTHER)
    assert f"key.d/{POLICY}: FAILED writing it" in refusal.value.stdout
    assert cell.capable() == {}


@pytest.mark.parametrize("policy, words", [("max-snapln 5", 'reason="unknown word" text=max-snapln'), ("headers-only\x07", "control character"),
                                           ("# nothing", "it limits nothing"), ("filter " + "x" * 4100, "longer than 4096 bytes")])
def test_a_mistake_in_it_ends_the_start_and_leaves_the_cache_as_it_is(cell, archive, policy, words):
    folder = cell.unpack(archive, "key")
    cell.pre_start(True, TEXT)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        cell.pre_start(True, policy)
    assert words in refusal.value.stdout
    assert_policy(folder)
    assert cell.capable() == {"key.d/cf-pcap": NET_RAW}


def test_a_policy_of_the_package_that_others_could_change_is_refused(cell, archive):
    cell.unpack(archive, "key")
    own(cell.package / POLICY, TEXT.encode())
    run = f"/var/vcap/packages/cf-pcap/cf-pcap-cache on /var/vcap/data/rep {cell.cache} /var/vcap/packages/cf-pcap"
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        cell.run(run)
    assert "not a policy that only root can change" in refusal.value.stdout and cell.capable() == {}


def keep_swapping(folder, outside, stop):
    """Vcap at work: the policy and its folder become something else all the time."""
    become_user(VCAP)
    policy, spare = f"{folder}/{POLICY}", f"{folder}/spare"
    for number in itertools.count():
        if stop.is_set():
            return
        if number % 100 == 0:
            time.sleep(0.02)  # else it is never written where this has a processor of its own
        for make in (lambda: os.symlink(f"{outside}/target", spare), lambda: os.mkfifo(spare),
                     lambda: os.link(policy, spare), lambda: os.symlink(outside, spare)):
            for step in (lambda: os.unlink(spare), make, lambda: os.rename(spare, policy)):
                with contextlib.suppress(OSError):
                    step()
        for name in list(os.scandir(folder)) if os.path.isdir(folder) else []:
            if name.name.startswith(".cf-pcap.new."):
                for step in (lambda: os.unlink(name.path), lambda: os.symlink(f"{outside}/target", name.path)):
                    with contextlib.suppress(OSError):
                        step()


def test_vcap_swapping_it_all_the_time_gets_nothing_written_elsewhere(cell, archive):
    folder = cell.unpack(archive, "key")
    outside = cell.data / "outside"
    outside.mkdir()
    own(outside / "target", b"as it was")
    before = (outside / "target").stat()
    stop = multiprocessing.Event()
    vcap = multiprocessing.Process(target=keep_swapping, args=(str(folder), str(outside), stop))
    vcap.start()
    written = 0
    try:
        for log in cell.pre_start_under_attack(3, "written", TEXT):
            written += "written" in log
    finally:
        stop.set()
        vcap.join(20)
        vcap.kill()
    after = (outside / "target").stat()
    assert (after.st_mtime_ns, after.st_uid, after.st_mode) == (before.st_mtime_ns, VCAP, before.st_mode)
    assert sorted(os.listdir(outside)) == ["target"] and written > 0
    cell.pre_start(True, TEXT)
    assert_policy(folder)


def test_without_setfcap_it_lies_in_roots_folder(cell, archive, ns):
    asset = lambda enabled, policy: cell.run_template("cf_pcap_asset.erb", enabled, policy)
    assets = cell.folder / "healthcheck"
    folder = cell.unpack(archive, "key")
    for _ in range(2):
        asset(True, TEXT)
        assert_policy(assets)
        assert capable_files(cell.folder) == {"healthcheck/cf-pcap": NET_RAW}
        assert_limited(capture_in_container(assets, ns))
    assert sorted(path.name for path in assets.iterdir()) == ["cf-pcap", POLICY]
    assert [path.name for path in folder.iterdir()] == ["cf-pcap"]
    asset(True, "")
    assert [path.name for path in assets.iterdir()] == ["cf-pcap"]
    asset(True, OTHER)
    assert_policy(assets, OTHER)
    with pytest.raises(subprocess.CalledProcessError):
        asset(True, "max-snapln 5")
    assert capture_in_container(assets, ns).returncode == 1
    asset(False, TEXT)
    assert list(assets.iterdir()) == []
