"""The next Debian's tshark, in a root of its own, with what the collector starts there."""
import shutil
import subprocess

from kernels.packages import ROOT_SUITE, Apt, named_after, unpack
from support import ROOT

PACKAGES = ["tshark", "python3", "openssh-client", "dash"]  # cf here is written in Python, and runs ssh


def newer_root():
    """Debian's packages, unpacked and not configured; kept for the next time."""
    root = ROOT / "build/wireshark" / named_after(ROOT_SUITE, PACKAGES)
    if not root.exists():
        partial = root.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (partial / "usr" / name).mkdir(parents=True)
            (partial / name).symlink_to(f"usr/{name}")
        for name in ("proc", "dev", "tmp", "etc"):
            (partial / name).mkdir()
        architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        apt = Apt("tshark", [ROOT_SUITE], [architecture])
        unpack(apt.download_with_dependencies(architecture, *PACKAGES), partial)
        (partial / "etc/passwd").touch()
        if not (partial / "bin/sh").exists():
            (partial / "bin/sh").symlink_to("dash")
        partial.rename(root)
    return root
