"""make, make install and their words where something is missing, from a folder whose name has a blank."""
import os
import re
import subprocess

import pytest

from support import USER


def make(folder, *words, path=os.environ["PATH"], **options):
    return subprocess.run(["make", "--no-print-directory", "-C", folder, *words], env={"PATH": path},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def path_without(scratch, *commands):
    """A folder with every command of this machine but these."""
    folder = scratch / "path"
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for name in os.listdir(place) if os.path.isdir(place) else []:
            if name not in commands and not (folder / name).is_symlink():
                (folder / name).symlink_to(os.path.join(place, name))
    return str(folder)


def test_a_missing_compiler_is_named_with_its_package(source):
    done = make(source, "CC=no-such-cc", "BUILD=elsewhere")
    assert done.returncode != 0 and "a C compiler: no-such-cc  (gcc)" in done.stdout


def test_missing_libraries_are_named_with_their_packages(source):
    done = make(source, "CPPFLAGS=-nostdinc", "BUILD=elsewhere")
    assert done.returncode != 0
    assert re.findall(r"^  (\S+)  \((\S+)\)$", done.stdout, re.M) == [
        ("stdlib.h", "libc6-dev"), ("pcap/pcap.h", "libpcap-dev"), ("sys/capability.h", "libcap-dev"),
        ("jansson.h", "libjansson-dev"), ("seccomp.h", "libseccomp-dev")]


def test_a_static_library_that_is_missing_is_named(source, scratch):
    pkg_config = scratch / "pkg-config"
    pkg_config.write_text("#!/bin/sh\necho -lno-such-library\n")
    pkg_config.chmod(0o755)
    done = make(source, f"PKG_CONFIG={pkg_config}", "BUILD=missing")
    assert done.returncode != 0
    assert "static libraries: -lno-such-library" in done.stdout and "libjansson-dev" in done.stdout


def test_without_pkg_config_the_libraries_have_their_usual_names(source):
    done = make(source, "PKG_CONFIG=no-such-command", "BUILD=elsewhere", "elsewhere/probed.mk")
    assert done.returncode == 0, done.stdout
    probed = (source / "elsewhere/probed.mk").read_text()
    assert re.findall(r"_LIBS := (.*?) *$", probed, re.M) == ["-lpcap", "-lcap", "-ljansson"]


def hardening(source, **settings):
    return subprocess.run([source / "packaging/hardening-flags"], env={"PATH": os.environ["PATH"], **settings}, check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split()


def test_fortify_is_raised_and_never_lowered(source):
    assert "-D_FORTIFY_SOURCE=2" in hardening(source, CFLAGS="-O2")
    assert "-D_FORTIFY_SOURCE=2" in hardening(source, CFLAGS="-O2", CPPFLAGS="-D_FORTIFY_SOURCE=1")
    assert not re.search("FORTIFY", " ".join(hardening(source, CFLAGS="-O2", CPPFLAGS="-D_FORTIFY_SOURCE=3")))


def test_linker_flags_that_a_linker_lacks_are_left_out(source):
    """LLVM's has no --no-warnings."""
    done = make(source, "CC=clang", "LDFLAGS=-fuse-ld=lld", "BUILD=lld", "lld/probed-clang.mk")
    assert done.returncode == 0, done.stdout
    probed = (source / "lld/probed-clang.mk").read_text()
    assert re.search(r"^NO_WARNINGS := *$", probed, re.M) and "-Wl,-z,relro -Wl,-z,now" in probed


def test_plain_make_asks_for_no_date(built, scratch):
    done = make(built, "-n", path=path_without(scratch, "date"))
    assert done.returncode == 0 and "date" not in done.stdout


def test_a_package_s_install_sets_no_capability(built, scratch):
    done = make(built, "install", f"DESTDIR={scratch}/a root", "prefix=/usr")
    assert done.returncode == 0 and "setcap" not in done.stdout
    assert "security.capability" not in os.listxattr(scratch / "a root/usr/bin/cf-pcap")


def test_root_s_install_sets_it_or_fails(built, scratch):
    done = make(built, "install", f"prefix={scratch}/a place")
    assert done.returncode == 0, done.stdout
    assert "security.capability" in os.listxattr(scratch / "a place/bin/cf-pcap")
    done = make(built, "install", f"prefix={scratch}/other", path=path_without(scratch, "setcap"))
    assert done.returncode != 0 and "libcap2-bin" in done.stdout
    assert "security.capability" not in os.listxattr(scratch / "other/bin/cf-pcap")


def test_an_ordinary_user_is_told_who_sets_it(built, scratch):
    scratch.chmod(0o777)
    done = make(built, "install", f"prefix={scratch}/mine", user=USER, group=USER, extra_groups=[])
    assert done.returncode == 0 and "make install-cap" in done.stdout


@pytest.mark.parametrize("target, command, package", [("lifecycle", "setcap", "libcap2-bin"),
                                                      ("deb", "dpkg-buildpackage", "dpkg-dev")])
def test_a_target_names_the_package_it_lacks(built, scratch, target, command, package):
    done = make(built, target, path=path_without(scratch, command))
    assert done.returncode != 0 and package in done.stdout
