"""make deb: the package, and its life in a real Debian system."""
import filecmp
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from file_capabilities import NET_RAW, capability
from support import USER

PROGRAM = "usr/bin/cf-pcap"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
# What dpkg, debconf and the account tools keep about the past.
RECORDS = re.compile(r"run/adduser$|var/log/|var/lib/dpkg/|var/cache/debconf/|etc/(group|gshadow|passwd|shadow|subuid|subgid)-$")


@pytest.fixture(scope="session")
def package(build):
    return next(build.glob("cf-pcap_*.deb"))


@pytest.fixture(scope="session")
def debian(workspace):
    """A minimal Debian from the mirror this machine uses, with what the package depends on."""
    sources = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(RELEASE) $(SITE)", "Created-By: Packages"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    release, site = re.search(r"^Debian main (\w+) (\S+)$", sources, re.MULTILINE).groups()
    root = workspace / "debian"
    subprocess.run(["debootstrap", "--variant=minbase", "--include=adduser,libcap2-bin", release, root, site],
                   check=True, stdout=subprocess.DEVNULL)
    return root


class System:
    """A fresh copy of that Debian; gone at the end."""

    def __init__(self, debian, scratch, package, has_attributes):
        self.debian, self.package, self.has_attributes = debian, package, has_attributes
        self.layers, self.root = scratch / "layers", scratch / "root"

    def __enter__(self):
        self.layers.mkdir()
        self.root.mkdir()
        try:
            if self.has_attributes:
                self.mount("-t", "tmpfs", "tmpfs", self.layers)
                for name in ("upper", "work"):
                    (self.layers / name).mkdir()
                self.mount("-t", "overlay", "overlay", self.root, "-o",
                           f"lowerdir={self.debian},upperdir={self.layers}/upper,workdir={self.layers}/work")
            else:
                self.mount("-t", "ramfs", "ramfs", self.root)
                subprocess.run(["cp", "-a", f"{self.debian}/.", self.root], check=True)
            self.mount("-t", "proc", "proc", self.root / "proc")
            (self.root / "cf-pcap.deb").write_bytes(self.package.read_bytes())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for path in (self.root / "proc", self.root, self.layers):
            subprocess.run(["umount", path], stderr=subprocess.DEVNULL)

    @staticmethod
    def mount(*words):
        subprocess.run(["mount", *words], check=True)

    def run(self, *words, **options):
        """A command of root's inside; fails the test if it fails."""
        result = subprocess.run(["chroot", self.root, *words], env=ENVIRONMENT, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, **options)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def install(self):
        return self.run("dpkg", "-i", "/cf-pcap.deb")

    def answer(self, value):
        self.run("debconf-set-selections", input=f"cf-pcap cf-pcap/group boolean {value}\n")

    def program(self):
        """Owner, group and mode of the program, and its capability."""
        status = (self.root / PROGRAM).lstat()
        groups = dict(line.split(":")[:3:2] for line in (self.root / "etc/group").read_text().splitlines())
        group = next(name for name, number in groups.items() if int(number) == status.st_gid)
        return status.st_uid, group, oct(stat.S_IMODE(status.st_mode)), capability(self.root / PROGRAM)

    def files(self):
        """Every path, with what can be compared of it."""
        found = {}
        for base, folders, names in os.walk(self.root):
            if base == str(self.root):
                folders.remove("proc")
            for path in (Path(base, name) for name in folders + names):
                name, status = str(path.relative_to(self.root)), path.lstat()
                if not RECORDS.match(name):
                    content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
                    found[name] = (status.st_mode, status.st_uid, status.st_gid, content)
        return found


@pytest.fixture
def system(debian, scratch, package):
    with System(debian, scratch, package, True) as system:
        yield system


@pytest.fixture
def system_without_attributes(debian, scratch, package):
    with System(debian, scratch, package, False) as system:
        yield system


def test_package_is_the_same_bytes_wherever_it_is_built(build, deep_build):
    for name in ("cf-pcap", "cf-pcap-collect"):
        one, other = (next(folder.glob(f"{name}_*.deb")) for folder in (build, deep_build))
        assert filecmp.cmp(one, other, shallow=False)  # an assertion about the bytes takes minutes to fail


def test_package_is_lintian_clean(build):
    changes = next((build / "deb").glob("*.changes"))
    result = subprocess.run(["lintian", "--allow-root", "--pedantic", "--display-info", "--fail-on",
                             "error,warning,info,pedantic", changes], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    # debhelper copies the field, and a package of symbols has no overrides.
    newer = r"W: cf-pcap(-collect)?-dbgsym: unknown-field Static-Built-Using\n"
    assert re.sub(newer, "", result.stdout) == "" and result.returncode in (0, 2)


def test_package_has_the_version_of_the_program(package, tools):
    version = subprocess.run([tools.helper, "-version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    packaged = subprocess.run(["dpkg-deb", "-f", package, "Version"], check=True, stdout=subprocess.PIPE, text=True)
    assert version.split() == ["cf-pcap", packaged.stdout.strip()]


def test_the_collector_is_a_link_where_wireshark_looks(build):
    package = next(build.glob("cf-pcap-collect_*.deb"))
    listed = subprocess.run(["dpkg-deb", "-c", package], check=True, stdout=subprocess.PIPE, text=True).stdout
    link, target = re.search(r" \./(usr/lib/\S+/wireshark/extcap/cf-pcap-collect) -> (\S+)$", listed, re.M).groups()
    assert os.path.normpath(f"/{os.path.dirname(link)}/{target}") == "/usr/bin/cf-pcap-collect"
    # Debian's own are beside it.
    own = subprocess.run(["dpkg", "-L", "wireshark-common"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert f"/{os.path.dirname(link)}/sshdump" in own.splitlines()


def run_as(system, ns, *groups):
    """A capture of an ordinary user with these groups, inside."""
    return ns.run("chroot", f"--userspec={USER}:{USER}", f"--groups={','.join(groups) or USER}", system.root,
                  f"/{PROGRAM}", "-interface", "lo", "-duration", "100ms", stdout=subprocess.PIPE,
                  stderr=subprocess.PIPE)


def capture_as(system, ns, *groups):
    """Its exit status."""
    return run_as(system, ns, *groups).returncode


def test_members_of_the_group_capture_and_others_do_not(system, ns):
    system.answer("true")
    system.install()
    assert system.program() == (0, "cf-pcap", "0o750", NET_RAW)
    assert re.search(r"^cf-pcap:x:\d+:$", (system.root / "etc/group").read_text(), re.MULTILINE)
    assert capture_as(system, ns, "cf-pcap") == 0
    assert capture_as(system, ns) == 126


def test_refused_in_debconf_there_is_no_capability_and_reconfiguring_works_both_ways(system, ns):
    system.answer("false")
    system.install()
    assert system.program() == (0, "root", "0o755", None)
    refused = run_as(system, ns)
    assert refused.returncode == 1
    assert b"has no cap_net_raw: root can run dpkg-reconfigure cf-pcap" in refused.stderr and b"diego" not in refused.stderr
    for value, wanted in (("true", (0, "cf-pcap", "0o750", NET_RAW)), ("false", (0, "root", "0o755", None))):
        system.answer(value)
        system.run("dpkg-reconfigure", "cf-pcap")
        assert system.program() == wanted


def test_policy_is_a_setting_of_the_administrators(system, ns):
    system.answer("true")
    system.install()
    beside = system.root / f"{PROGRAM}.policy"
    beside.write_text("nonsense\n")  # is nobody's policy here
    assert capture_as(system, ns, "cf-pcap") == 0
    policy = system.root / "etc/cf-pcap.policy"
    policy.write_text("max-snaplen 100\n")
    done = run_as(system, ns, "cf-pcap")
    assert done.returncode == 0 and b"limited by the operator's policy" in done.stderr
    assert int.from_bytes(done.stdout[16:20], "little") == 100
    for mode, words in ((0o666, b"could have been changed by this user"), (0o600, b"it cannot be read")):
        policy.chmod(mode)
        done = run_as(system, ns, "cf-pcap")
        assert done.returncode == 1 and words in done.stderr


def test_installed_without_an_answer_there_is_no_capability(system):
    system.install()
    assert system.program() == (0, "root", "0o755", None)


def test_reinstalling_keeps_what_was_decided(system):
    for value, wanted in (("true", (0, "cf-pcap", "0o750", NET_RAW)), ("false", (0, "root", "0o755", None))):
        system.answer(value)
        for _ in range(2):
            system.install()
            assert system.program() == wanted


def test_owner_and_mode_of_dpkg_statoverride_stay(system):
    system.run("dpkg-statoverride", "--add", "root", "adm", "0710", f"/{PROGRAM}")
    system.answer("true")
    system.install()
    assert system.program() == (0, "adm", "0o710", NET_RAW)
    system.answer("false")
    system.run("dpkg-reconfigure", "cf-pcap")
    assert system.program() == (0, "adm", "0o710", None)


def test_without_extended_attributes_it_says_so_and_is_not_setuid(system_without_attributes):
    system_without_attributes.answer("true")
    log = system_without_attributes.install()
    assert "could not be given the capability cap_net_raw" in log
    assert "does not support extended attributes" in log
    assert "It is not made setuid" in log
    assert system_without_attributes.program() == (0, "cf-pcap", "0o750", None)
    assert "install ok installed" in system_without_attributes.run("dpkg-query", "-W", "-f", "${Status}", "cf-pcap")


def test_purge_leaves_nothing(system):
    before = system.files()
    system.answer("true")
    system.install()
    assert system.files() != before
    (system.root / "etc/cf-pcap.policy").write_text("headers-only\n")
    system.run("dpkg", "--remove", "cf-pcap")
    assert not (system.root / PROGRAM).exists()
    system.run("dpkg", "--purge", "cf-pcap")
    after = system.files()
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == []
    assert "cf-pcap" not in (system.root / "var/cache/debconf/config.dat").read_text()
