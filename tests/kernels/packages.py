"""Debian's packages for the machines, by an apt of their own: the host's lists stay as they are."""
import hashlib
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from support import ROOT

CACHE = ROOT / "build/kernels"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FALLBACK = "http://deb.debian.org/debian"
ROOT_SUITE = "trixie"  # its packages have everything in /usr: they can be unpacked without a script
RELEASE = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.M)[1]
LISTS_LAST_S = 24 * 3600


def run(*argv, **options):
    return subprocess.run([str(word) for word in argv], check=True, text=True, stdout=subprocess.PIPE,
                          **options).stdout


def named_after(name, packages):
    """For what is kept: made of other packages, it is another."""
    return f"{name}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}"


def version_key(version):
    """Of Debian's kernels: 6.12.43-1~bpo12+1."""
    return [int(number) for number in re.findall(r"\d+", version)]


@dataclass(frozen=True)
class Kernel:
    package: str  # with :ARCHITECTURE
    version: str
    suites: tuple

    @property
    def architecture(self):
        return self.package.rpartition(":")[2]

    def __str__(self):
        pages = " 16k" if "16k" in self.package else ""
        return f"{self.version.partition('-')[0]} {self.architecture}{pages} ({', '.join(self.suites)})"


def mirrors():
    """(URL of Debian's archive, of its security archive), from what this machine installs from."""
    lines = run("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    found = {}
    for name, component, url in (line.split() for line in lines.splitlines()):
        if component == "main":
            found.setdefault(name, url.rstrip("/"))
    names = [name for name in (RELEASE, "stable", "oldstable") if name in found]
    main = found[names[0]] if names else FALLBACK
    return main, next((found[f"{name}-security"] for name in names if f"{name}-security" in found),
                      f"{main}-security")


class Apt:
    """The suites' packages for some architectures."""

    def __init__(self, name, suites, architectures):
        self.suites, self.architectures = suites, architectures
        self.folder = CACHE / f"apt-{name}"
        self.archives = CACHE / "archives"
        for folder in (self.folder / "lists/partial", self.folder / "partial", self.archives / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        self._write_sources()
        self._update()

    def _write_sources(self):
        main, security = mirrors()
        words = f"[arch={','.join(self.architectures)} signed-by={KEYRING}]"
        (self.folder / "sources.list").write_text("".join(
            f"deb {words} {security if suite.endswith('-security') else main} {suite} main\n"
            for suite in self.suites))

    def _apt(self, program, *words, native=None):
        architectures = [native] if native else self.architectures
        settings = {
            "Dir::Etc::sourcelist": self.folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self.folder, "Dir::State::Lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status", "Dir::Cache": self.folder,
            "Dir::Cache::archives": self.archives, "Dir::Cache::pkgcache": f"{'-'.join(architectures)}.bin",
            "APT::Architecture": architectures[0], "APT::Architectures": ",".join(architectures),
            "APT::Default-Release": ROOT_SUITE, "APT::Sandbox::User": "root", "Acquire::Retries": 3,
            "Acquire::Languages": "none",
        }
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return [program, *options, *words]

    def _update(self):
        stamp = self.folder / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_LAST_S:
            return
        # A suite that the mirror does not have fails it: what is there is told by madison.
        done = subprocess.run(self._apt("apt-get", "-qq", "update"), check=False, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            stamp.touch()

    def kernels(self, flavour):
        """Every kernel image of cloud-amd64, say, oldest first."""
        pattern = rf"linux-image-\d+\.\d+\.\d+\S*-{flavour}"
        names = [name for name in run(*self._apt("apt-cache", "pkgnames", "linux-image-")).split()
                 if re.fullmatch(pattern, name)]
        wanted = [f"{name}:{architecture}" for name in names for architecture in self.architectures
                  if architecture in flavour]
        suites = {}
        for line in run(*self._apt("apt-cache", "madison", *wanted)).splitlines() if wanted else ():
            name, version, where = (part.strip() for part in line.split("|"))
            suite, architecture = where.split()[1].partition("/")[0], where.split()[2]
            package = f"{name.partition(':')[0]}:{architecture}"
            suites.setdefault((package, version), []).append(suite)
        return sorted((Kernel(package, version, tuple(sorted(set(where))))
                       for (package, version), where in suites.items()),
                      key=lambda kernel: version_key(kernel.version))

    def download_kernel(self, kernel):
        """Its packages: since 7.2 the image and the modules are packages of their own."""
        wanted = f"{kernel.package}={kernel.version}"
        depends = run(*self._apt("apt-cache", "depends", "--no-recommends", "--no-suggests", wanted))
        parts = re.findall(r"Depends: (linux-(?:binary|modules)-\S+)", depends)
        parts = [part if ":" in part else f"{part}:{kernel.architecture}" for part in parts]
        return self.download(wanted, *(f"{part}={kernel.version}" for part in parts))

    def download(self, *packages):
        names = self._file_names("download", *packages)
        subprocess.run(self._apt("apt-get", "-qq", "download", *packages), check=True, cwd=self.archives)
        return [self.archives / name for name in names]

    def download_with_dependencies(self, architecture, *packages):
        """What an installation onto an empty disk of that architecture would need, from ROOT_SUITE."""
        words = ["install", "--yes", "--no-install-recommends", *packages]
        names = self._file_names(*words, native=architecture)
        subprocess.run(self._apt("apt-get", "-qq", "--download-only", *words, native=architecture), check=True)
        return [self.archives / name for name in names]

    def _file_names(self, *words, native=None):
        """Asked with an empty cache: what is there already is not printed."""
        empty = ["-o", f"Dir::Cache::archives={self.folder}"]
        uris = run(*self._apt("apt-get", "-qq", *empty, "--print-uris", *words, native=native))
        return re.findall(r"^'\S+' (\S+)", uris, re.M)


def unpack(archives, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        run("dpkg-deb", "--extract", archive, folder)
    return folder
