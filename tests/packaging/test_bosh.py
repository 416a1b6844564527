"""The BOSH package and the rep job's parts, run as a compile VM and a cell run them."""
import multiprocessing
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from diego_cell import POLICY_PROPERTY, PROPERTY, VCAP, own, spec_of
from file_capabilities import NET_BIND_SERVICE, NET_RAW, NET_RAW_EP, capable_files, give
from support import ROOT, USER, become_user


def test_package_holds_plain_files_of_root(package, build):
    assert sorted(path.name for path in package.iterdir()) == [
        "add-to-archive", "cf-pcap", "cf-pcap-cache"]
    assert capable_files(package) == {}
    for path in package.iterdir():
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o755)
    assert (package / "cf-pcap").read_bytes() == (build / "lifecycle/cf-pcap").read_bytes()


def test_cache_program_is_compiled_with_the_projects_hardening(package, package_of_clang):
    for folder in (package, package_of_clang):
        listed = subprocess.run(["readelf", "-hldsnW", folder / "cf-pcap-cache"], check=True, stdout=subprocess.PIPE,
                                text=True).stdout
        assert re.search(r"Type: +DYN", listed) and re.search(r"FLAGS_1.* NOW.* PIE", listed)
        assert "GNU_RELRO" in listed and re.search(r"GNU_STACK.* RW ", listed)
        assert "__stack_chk_fail" in listed and "__snprintf_chk" in listed
        main = subprocess.run(["objdump", "-d", "--disassemble=main", folder / "cf-pcap-cache"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        assert os.uname().machine != "x86_64" or "endbr64" in main


def test_package_is_linked_as_the_makefile_links():
    probed = re.findall(r"option -Wl,(-z,\w+)", (ROOT / "packaging/probe").read_text())
    linked = (ROOT / "packaging/bosh/packages/cf-pcap/packaging").read_text()
    assert probed and re.search(rf"-pie -Wl,{','.join(probed)} ", linked)


def test_property_is_off_by_default(release):
    properties = spec_of(release / "jobs/rep/spec")["properties"]
    assert properties.keys() == {PROPERTY, POLICY_PROPERTY} and properties[POLICY_PROPERTY]["default"] == ""
    assert properties[PROPERTY] == {
        "description": "Allow app developers to capture tcpdumps within their app containers.", "default": False}


@pytest.mark.parametrize("properties, wanted", [([], None), ([f"{PROPERTY}=false"], None),
                                                ([f"{PROPERTY}=true"], ["SETFCAP"]),
                                                ([f"{PROPERTY}=true", f"{POLICY_PROPERTY}=headers-only"], None)])
def test_rep_has_setfcap_only_while_the_property_is_on_and_there_is_no_policy(render, scratch, properties, wanted):
    """What it unpacked with the capability would have no policy beside it until the next start."""
    (scratch / "bpm.yml").write_text(render("bpm.yml.erb", *properties))
    assert spec_of(scratch / "bpm.yml")["processes"][0].get("capabilities") == wanted


def capture_in_container(folder, ns):
    """A capture of uid 2000, with the folder mounted read-only as Garden does it."""
    script = f"""mount --bind {folder} /mnt && mount -o remount,bind,ro /mnt &&
        exec setpriv --reuid={USER} --regid={USER} --clear-groups \
            /mnt/cf-pcap -interface lo -duration 100ms"""
    return ns.run("unshare", "--mount", "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_warm_cache_gets_the_capability_when_the_property_is_turned_on(cell, archive, ns):
    folder = cell.unpack(archive, "key")
    before = capture_in_container(folder, ns)
    assert before.returncode == 1 and b"enable_cf_pcap" in before.stderr
    log = cell.pre_start(True)
    assert cell.capable() == {"key.d/cf-pcap": NET_RAW}
    assert "key.d/cf-pcap: replaced by the installed version, with cap_net_raw=p" in log
    after = capture_in_container(folder, ns)
    assert after.returncode == 0, after.stderr
    assert after.stdout.startswith(bytes.fromhex("d4c3b2a1"))


def test_warm_cache_loses_the_capability_when_the_property_is_turned_off(cell, archive, ns):
    folder = cell.unpack(archive, "key", capabilities=["setfcap"])
    assert cell.capable() == {"key.d/cf-pcap": NET_RAW}
    cell.pre_start(True)
    other = cell.unpack(archive, "other", capabilities=["setfcap"])
    log = cell.pre_start(False)
    assert cell.capable() == {}
    for key in ("key", "other"):
        assert f"{key}.d/cf-pcap: capability removed" in log
    for place in (folder, other):
        assert capture_in_container(place, ns).returncode == 1


def test_capability_comes_back_after_the_owners_of_the_cache_were_changed(cell, archive):
    cell.unpack(archive, "key", capabilities=["setfcap"])
    cell.pre_start(True)
    cell.change_owners()
    assert cell.capable() == {}
    cell.pre_start(True)
    assert cell.capable() == {"key.d/cf-pcap": NET_RAW}


def test_file_with_the_capability_is_never_one_that_vcap_has_owned(cell, archive):
    folder = cell.unpack(archive, "key", capabilities=["setfcap"])
    held = os.open(folder / "cf-pcap", os.O_RDWR)
    cell.pre_start(True)
    assert os.fstat(held).st_nlink == 0
    status = (folder / "cf-pcap").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o755)
    os.close(held)


@pytest.mark.parametrize("enabled", [True, False])
def test_second_run_changes_nothing(cell, archive, enabled):
    folder = cell.unpack(archive, "key")
    cell.pre_start(enabled)
    states = lambda: {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in folder.iterdir()}
    before = states()
    assert cell.pre_start(enabled).count("\n") == 1
    assert states() == before


@pytest.mark.parametrize("enabled", [True, False])
def test_missing_and_empty_cache_are_fine(cell, enabled):
    cell.pre_start(enabled)
    shutil.rmtree(cell.data / "rep")
    assert "there is no cache yet" in cell.pre_start(enabled)


def test_on_gives_the_capability_to_genuine_helpers_only(cell, archive):
    original = {}
    for key in ("changed", "linked", "more"):
        folder = cell.unpack(archive, key)
        original[key] = folder
    helper = (original["more"] / "cf-pcap").read_bytes()
    own(original["changed"] / "cf-pcap", helper[:-1] + bytes([helper[-1] ^ 1]))
    give(original["changed"] / "cf-pcap", NET_RAW)
    os.unlink(original["linked"] / "cf-pcap")
    os.symlink(original["more"] / "cf-pcap", original["linked"] / "cf-pcap")
    give(original["more"] / "cf-pcap", NET_RAW_EP)
    give(own(original["more"] / "another"), NET_RAW_EP)
    give(own(original["more"] / "server"), NET_BIND_SERVICE)
    deep = original["more"] / "bin"
    elsewhere = cell.cache / "no-archive"
    for folder in (deep, elsewhere):
        folder.mkdir()
        give(Path(shutil.copy(cell.package / "cf-pcap", folder)), NET_RAW)
    log = cell.pre_start(True)
    assert cell.capable() == {"more.d/cf-pcap": NET_RAW, "more.d/server": NET_BIND_SERVICE}
    assert log.count("changed.d/cf-pcap: not the installed version, left without a capability") == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_two_files_of_the_first_version_keep_no_capability(cell, enabled):
    """A warm cache, an upgrade: the old cf-pcap is not the installed one, and its writer never had any."""
    folder = cell.cache / "key.d"
    folder.mkdir()
    give(own(folder / "cf-pcap", b"0.1.0"), NET_RAW)
    own(folder / "cf-pcap-writer", b"0.1.0's writer")
    os.chown(folder, VCAP, VCAP)
    log = cell.pre_start(enabled)
    assert "key.d/cf-pcap: capability removed" in log and "cf-pcap-writer" not in log
    assert cell.capable() == {}
    assert sorted(path.name for path in folder.iterdir()) == ["cf-pcap", "cf-pcap-writer"]


def test_off_takes_every_capability_of_ours(cell, archive):
    folder = cell.unpack(archive, "key", capabilities=["setfcap"])
    give(folder / "cf-pcap", NET_RAW_EP)
    give(own(folder / "copy-of-it"), NET_RAW)
    give(own(folder / "server"), NET_BIND_SERVICE)
    own(folder / "cf-pcap.old")
    (folder / "deep").mkdir()
    give(own(folder / "deep" / "cf-pcap"), NET_RAW)
    give(own(cell.cache / "cf-pcap"), NET_RAW)
    cell.pre_start(False)
    assert cell.capable() == {"key.d/server": NET_BIND_SERVICE}


@pytest.mark.parametrize("enabled", [True, False])
def test_links_and_special_files_are_not_followed(cell, archive, enabled):
    outside = cell.data / "outside"
    outside.mkdir()
    for name in ("cf-pcap", "linked"):
        shutil.copy(cell.package / "cf-pcap", outside / name)
        give(outside / name, NET_RAW_EP)
    os.mkdir(outside / "real.d")
    shutil.copy(cell.package / "cf-pcap", outside / "real.d" / "cf-pcap")
    before = {path: path.stat() for path in outside.rglob("*")}
    os.symlink(outside / "real.d", cell.cache / "link.d")
    for key in ("symlink", "hardlink", "fifo", "folder"):
        os.unlink(cell.unpack(archive, key) / "cf-pcap")
    os.symlink(outside / "cf-pcap", cell.cache / "symlink.d" / "cf-pcap")
    os.link(outside / "linked", cell.cache / "hardlink.d" / "cf-pcap")
    os.mkfifo(cell.cache / "fifo.d" / "cf-pcap")
    (cell.cache / "folder.d" / "cf-pcap").mkdir()
    own(cell.cache / "evil\n\x1b[2J.d")
    cell.pre_start(enabled)
    after = {path: path.stat() for path in outside.rglob("*")}
    assert after.keys() == before.keys()
    for path, status in before.items():
        assert after[path].st_ino == status.st_ino and after[path].st_mtime_ns == status.st_mtime_ns
    assert capable_files(outside) == {name: NET_RAW_EP for name in ("cf-pcap", "linked")}
    assert cell.capable() == ({"hardlink.d/cf-pcap": NET_RAW} if enabled else {})
    assert os.path.islink(cell.cache / "symlink.d" / "cf-pcap")


@pytest.mark.parametrize("enabled", [True, False])
def test_cache_behind_a_symlink_is_refused(cell, archive, enabled):
    cell.unpack(archive, "key")
    moved = cell.data / "elsewhere"
    os.rename(cell.cache, moved)
    give(moved / "key.d" / "cf-pcap", NET_RAW_EP)
    os.symlink("../../../elsewhere", cell.cache)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        cell.pre_start(enabled)
    assert "download_cache" in refusal.value.stdout
    assert capable_files(moved) == {"key.d/cf-pcap": NET_RAW_EP}


def test_names_of_vcap_reach_the_log_without_control_characters(cell):
    folder = cell.cache / "evil\n\x1b[2J.d"
    folder.mkdir()
    give(own(folder / "cf-pcap"), NET_RAW)
    log = cell.pre_start(False)
    assert "evil??[2J.d/cf-pcap: capability removed" in log
    assert log.count("\n") == 2 and "\x1b" not in log


def test_interrupted_run_leaves_nothing_after_the_next(cell, archive):
    folder = cell.unpack(archive, "key")
    left = folder / ".cf-pcap.new.0123456789abcdef"
    before = sorted(folder.iterdir())
    shutil.copy(cell.package / "cf-pcap", left)
    give(left, NET_RAW)
    cell.pre_start(True)
    assert sorted(folder.iterdir()) == before
    assert cell.capable() == {"key.d/cf-pcap": NET_RAW}


def test_package_that_others_could_change_is_refused(cell, package, scratch):
    changed = scratch / "changed"
    shutil.copytree(package, changed)
    os.chown(changed / "cf-pcap", VCAP, VCAP)
    cell.package = changed
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        cell.pre_start(True)
    assert "not a file that only root can change" in refusal.value.stdout


def swap_files(folder, outside, genuine, stop):
    """Vcap at work: the helper and its folder become something else all the time."""
    become_user(VCAP)
    evil = genuine[:-1] + bytes([genuine[-1] ^ 1])
    helper, spare = f"{folder}/cf-pcap", f"{folder}/spare"

    def attempt(call, *arguments):
        try:
            call(*arguments)
        except OSError:
            pass

    def write(path, content):
        with open(path, "wb") as file:
            file.write(content)

    for _ in range(100_000):
        if stop.is_set():
            return
        for make in (lambda: write(spare, genuine), lambda: os.symlink(f"{outside}/target", spare),
                     lambda: os.link(helper, spare), lambda: write(spare, evil), lambda: os.mkfifo(spare)):
            attempt(os.unlink, spare)
            attempt(make)
            attempt(os.rename, spare, helper)
        attempt(write, spare, genuine)
        attempt(os.rename, spare, helper)
        descriptor = None
        try:
            descriptor = os.open(helper, os.O_WRONLY)
            os.pwrite(descriptor, evil[-1:], len(evil) - 1)
        except OSError:
            pass
        finally:
            if descriptor is not None:
                os.close(descriptor)
        attempt(os.rename, folder, f"{folder}.moved")
        attempt(os.symlink, f"{outside}/folder.d", folder)
        attempt(os.unlink, folder)
        attempt(os.rename, f"{folder}.moved", folder)


def assert_genuine_or_gone(path, genuine):
    """What has a capability under this name, if it still does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        value = os.getxattr(file, "security.capability")
        assert (os.fstat(file).st_uid, value) == (0, NET_RAW), path
        assert os.pread(file, len(genuine) + 1, 0) == genuine, path
    except OSError:
        return
    finally:
        os.close(file)


def test_vcap_swapping_files_all_the_time_gains_nothing(cell, archive):
    folder = cell.unpack(archive, "key")
    outside = cell.data / "outside"
    (outside / "folder.d").mkdir(parents=True)
    for path in (outside / "target", outside / "folder.d" / "cf-pcap"):
        shutil.copy(cell.package / "cf-pcap", path)
        give(path, NET_BIND_SERVICE)
    genuine = (cell.package / "cf-pcap").read_bytes()
    stop = multiprocessing.Event()
    attacker = multiprocessing.Process(target=swap_files, args=(str(folder), str(outside), genuine, stop))
    attacker.start()
    replaced = 0
    try:
        for log in cell.pre_start_under_attack(5, "replaced"):
            replaced += "replaced" in log
            for name in cell.capable():
                assert_genuine_or_gone(cell.cache / name, genuine)
    finally:
        stop.set()
        attacker.join(20)
        attacker.kill()
    assert replaced > 0
    assert set(capable_files(outside).values()) == {NET_BIND_SERVICE} and len(capable_files(outside)) == 2
    cell.pre_start(False)
    assert cell.capable() == {}


def test_without_setfcap_the_file_comes_from_a_folder_of_root(cell, archive):
    asset = lambda enabled: cell.run(cell.render("cf_pcap_asset.erb", f"{PROPERTY}={str(enabled).lower()}"))
    cell.unpack(archive, "key", capabilities=["setfcap"])
    assets = cell.folder / "healthcheck"
    own(assets / "healthcheck")
    own(assets / "cf-pcap-writer")  # of 0.1.0
    for _ in range(2):
        asset(True)
        assert capable_files(cell.folder) == {"healthcheck/cf-pcap": NET_RAW}
        assert sorted(path.name for path in assets.iterdir()) == ["cf-pcap", "healthcheck"]
    assert (assets / "cf-pcap").read_bytes() == (cell.package / "cf-pcap").read_bytes()
    for enabled in (True, False):  # a run that was interrupted
        shutil.copy(assets / "cf-pcap", assets / ".cf-pcap.new")
        subprocess.run(["setcap", "cap_net_raw=p", assets / ".cf-pcap.new"], check=True)
        asset(enabled)
        assert capable_files(cell.folder) == ({"healthcheck/cf-pcap": NET_RAW} if enabled else {})
    assert [path.name for path in assets.iterdir()] == ["healthcheck"]
