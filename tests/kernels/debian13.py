"""A root of Debian 13, in which everything is built with its compiler, libc and libpcap."""
import re
import shutil
import subprocess

from kernels.image import fresh
from kernels.packages import CACHE, ROOT, ROOT_SUITE, mirrors, run
from support import SOURCES

FOLDER = CACHE / "debian13"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def inside(*words, folder="/"):
    """A command of root's in it. Returns what it printed."""
    done = subprocess.run(["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={FOLDER}/proc", "chroot", FOLDER,
                           "sh", "-c", 'cd "$0" && exec "$@"', folder, *words], env=ENVIRONMENT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def copy_source():
    target = fresh(FOLDER / "source")
    target.mkdir()
    for name in [*SOURCES, "tests/unit"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name)
        else:
            shutil.copy2(ROOT / name, target / name)
    (target / "debian").symlink_to("packaging/debian")


def prepare():
    """What the package says it needs is what is installed, for both architectures."""
    done = FOLDER / "prepared"
    if not done.exists():
        run("debootstrap", "--variant=minbase", ROOT_SUITE, fresh(FOLDER), mirrors()[0])
        copy_source()
        inside("dpkg", "--add-architecture", "arm64")
        inside("apt-get", "-qq", "update")
        install = ["apt-get", "-qq", "--no-install-recommends"]
        inside(*install, "install", "build-essential", "crossbuild-essential-arm64", "libcmocka-dev")
        for architecture in ("amd64", "arm64"):
            inside(*install, f"--host-architecture={architecture}", "build-dep", "/source")
        inside("apt-get", "clean")
        done.touch()
    copy_source()


def package(architecture):
    """The Debian package for it, built here."""
    target = CACHE / f"cf-pcap_{architecture}.deb"
    inside("make", "deb", f"DEB_HOST_ARCH={architecture}", folder="/source")
    [made] = (FOLDER / "source/build").glob(f"cf-pcap_*_{architecture}.deb")
    shutil.copy(made, target)
    return target


def run_unit_tests():
    """Returns how many passed; a failure is an AssertionError with what they said."""
    output = inside("make", "unit", folder="/source")
    return sum(int(count) for count in re.findall(r"PASSED  \] (?:tests: )?(\d+) test", output))


def versions():
    """Of what a program that is built here has in it."""
    return inside("dpkg-query", "--show", "--showformat=${Package} ${Version}, ", "gcc", "libc6-dev:amd64",
                  "libpcap0.8-dev:amd64").rstrip(", ")
