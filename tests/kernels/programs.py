"""The programs that run in the machines: the present build, 0.1.0, and the attackers."""
import shutil
import subprocess
from pathlib import Path

from kernels.image import fresh
from kernels.packages import CACHE, RELEASE, ROOT, run, unpack

HERE = Path(__file__).resolve().parent
# Version 0.1.0, whose writer keeps the packet socket: where the kernel has a hole, it shows there.
OLD = "05187b1f03b4eca468f8eca2d9974f21b91e908a"
COMPILER = {"amd64": "gcc", "arm64": "aarch64-linux-gnu-gcc"}
STATIC = ["-D_GNU_SOURCE", "-std=gnu11", "-O2", "-Wall", "-static"]


DEVELOPMENT = ["libpcap0.8-dev", "libcap-dev", "libseccomp-dev", "libjansson-dev"]


def cross_words(apt, architecture):
    """What make is told for another architecture; its libraries are this release's, as its libc is."""
    if COMPILER[architecture] == "gcc":
        return []
    folder = CACHE / f"libraries-{architecture}"
    if not folder.exists():
        archives = apt.download(*(f"{name}:{architecture}/{RELEASE}" for name in DEVELOPMENT))
        unpack(archives, fresh(folder.with_suffix(".partial"))).rename(folder)
    return ["HOSTCC=gcc", f"CC={COMPILER[architecture]}", "AR=aarch64-linux-gnu-ar",
            f"CPPFLAGS=-I{folder}/usr/include", f"LDFLAGS=-L{folder}/usr/lib/aarch64-linux-gnu"]


def make_install(source, prefix, *words):
    done = subprocess.run(["make", "--no-print-directory", "-j2", "-C", source, f"prefix={prefix}", *words,
                           "install"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return prefix / "bin"


def present(architecture, words=()):
    objects = [f"BUILD={CACHE}/objects-{architecture}"] if words else []
    return make_install(ROOT, fresh(CACHE / f"present-{architecture}"), *words, *objects)


def old(architecture, words=()):
    """From this repository's history."""
    prefix = CACHE / f"old-{architecture}"
    if not (prefix / "bin/cf-pcap").exists():
        known = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", OLD], stderr=subprocess.DEVNULL, check=False)
        assert known.returncode == 0, f"needs the history: version 0.1.0, {OLD}, is not in this clone"
        source = fresh(CACHE / "old-source")
        source.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", ROOT, "archive", OLD], check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", source], check=True, input=archive.stdout)
        make_install(source, prefix, *words)
        shutil.rmtree(source)
    return prefix / "bin"


def attackers(architecture, words=()):
    folder = CACHE / f"attackers-{architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    flags = [flag for word in words for name, _, flag in [word.partition("=")] if name in ("CPPFLAGS", "LDFLAGS")]
    for source in (HERE / "thief.c", HERE.parent / "hostile/weak_capture.c"):
        run(COMPILER[architecture], *STATIC, *flags, "-o", folder / source.stem, source, "-lcap")
    return folder
