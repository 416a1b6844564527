"""The programs that run in the machines: the present build, its tests, 0.1.0, and the attackers."""
import shutil
import subprocess
from pathlib import Path

from hostile.takeover import build_with_probe
from kernels.image import fresh
from kernels.packages import CACHE, RELEASE, ROOT, named_after, run, unpack

HERE = Path(__file__).resolve().parent
# Version 0.1.0, whose writer keeps the packet socket: where the kernel has a hole, it shows there.
OLD = "05187b1f03b4eca468f8eca2d9974f21b91e908a"
CROSS = {"arm64": "aarch64-linux-gnu"}
STATIC = ["-D_GNU_SOURCE", "-std=gnu11", "-O2", "-Wall", "-static"]
DEVELOPMENT = ["libpcap0.8-dev", "libcap-dev", "libseccomp-dev", "libjansson-dev", "libcmocka-dev", "libcmocka0"]


def compiler(architecture):
    return f"{CROSS[architecture]}-gcc" if architecture in CROSS else "gcc"


def cross_words(apt, architecture):
    """What make is told for another architecture; its libraries are this release's, as its libc is."""
    if architecture not in CROSS:
        return []
    folder = CACHE / named_after(f"libraries-{architecture}", DEVELOPMENT)
    if not folder.exists():
        archives = apt.download(*(f"{name}:{architecture}/{RELEASE}" for name in DEVELOPMENT))
        unpack(archives, fresh(folder.with_suffix(".partial"))).rename(folder)
    triplet = CROSS[architecture]
    return ["HOSTCC=gcc", f"CC={triplet}-gcc", f"AR={triplet}-ar", f"STRIP={triplet}-strip",
            f"CPPFLAGS=-I{folder}/usr/include", f"LDFLAGS=-L{folder}/usr/lib/{triplet}"]


def make(source, *words):
    done = subprocess.run(["make", "--no-print-directory", "-j2", "-C", source, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def objects(architecture, words):
    """Where make puts what it makes: this machine's own lie in build/ itself."""
    return [f"BUILD={CACHE}/objects-{architecture}"] if words else []


def present(architecture, words):
    prefix = fresh(CACHE / f"present-{architecture}")
    make(ROOT, f"prefix={prefix}", *words, *objects(architecture, words), "install")
    return prefix / "bin"


def old(architecture, words):
    """From this repository's history."""
    prefix = CACHE / f"old-{architecture}"
    if not (prefix / "bin/cf-pcap").exists():
        known = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", OLD], stderr=subprocess.DEVNULL, check=False)
        assert known.returncode == 0, f"needs the history: version 0.1.0, {OLD}, is not in this clone"
        source = fresh(CACHE / "old-source")
        source.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", ROOT, "archive", OLD], check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", source], check=True, input=archive.stdout)
        make(source, f"prefix={prefix}", *words, "install")
        shutil.rmtree(source)
    return prefix / "bin"


def attackers(architecture, words):
    folder = CACHE / f"attackers-{architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    flags = [flag for word in words for name, _, flag in [word.partition("=")] if name in ("CPPFLAGS", "LDFLAGS")]
    for source in (HERE / "thief.c", HERE.parent / "hostile/weak_capture.c"):
        run(compiler(architecture), *STATIC, *flags, "-o", folder / source.stem, source, "-lcap")
    return folder


def unit_tests(architecture, words):
    make(ROOT, *words, *objects(architecture, words), "unit-build")
    return (CACHE / f"objects-{architecture}" if words else ROOT / "build") / "tests/unit"


def taken_over(architecture, words, process):
    """A folder with cf-pcap alone: the probe is inside its writer or its helper."""
    folder = fresh(CACHE / f"taken-{process}-{architecture}")
    folder.mkdir()
    build_with_probe(CACHE / f"probed-{architecture}", process, words).rename(folder / "cf-pcap")
    return folder
