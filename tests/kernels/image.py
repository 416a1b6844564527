"""What a machine boots: a kernel, and a root in memory made of three cpio archives, one behind the other."""
import os
import shutil
import subprocess
from pathlib import Path

from kernels.packages import CACHE, named_after, run, unpack

PACKAGES = ["adduser", "apparmor", "busybox-static", "dash", "debconf", "dpkg", "iproute2", "iputils-ping", "libc-bin", "libcap2-bin",
            "libcmocka0", "libjansson4", "perl-base", "tar", "tcpdump", "util-linux"]
UNNEEDED = ["etc/pam.d", "usr/lib/systemd", "var"]
SHARE_NEEDED = ["adduser", "apparmor-features", "debconf", "dpkg", "perl", "perl5"]
MODULES = ["veth", "dummy"]
GUEST = Path(__file__).resolve().parent / "guest"


def write_cpio(folder, target):
    """Whole or not at all: a run that was ended must leave nothing that the next one takes for done."""
    names = "\0".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
    partial = target.with_suffix(".partial")
    with open(partial, "wb") as out:
        subprocess.run(["cpio", "--create", "--null", "--format=newc", "--owner=+0:+0", "--quiet"], cwd=folder,
                       input=names.encode(), stdout=out, check=True)
    partial.rename(target)
    return target


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def root_image(apt, architecture):
    target = CACHE / f"{named_after(f'root-{architecture}', PACKAGES + SHARE_NEEDED)}.cpio"
    if not target.exists():
        folder = fresh(target.with_suffix(""))
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / "usr" / name).mkdir(parents=True)
            (folder / name).symlink_to(f"usr/{name}")
        unpack(apt.download_with_dependencies(architecture, *PACKAGES), folder)
        for path in [*(folder / name for name in UNNEEDED), *(folder / "usr/share").iterdir()]:
            if path.name not in SHARE_NEEDED:
                shutil.rmtree(path, ignore_errors=True)
        for name in ("proc", "sys", "dev", "run", "tmp", "stage", "root"):
            (folder / name).mkdir(exist_ok=True)
        write_cpio(folder, target)
        shutil.rmtree(folder)
    return target


def kernel_image(apt, kernel):
    """(the kernel, an archive of the modules that the tests need)."""
    folder = CACHE / f"linux-{kernel.version}-{kernel.package.partition(':')[0]}"
    modules = folder / "modules.cpio"
    if not modules.exists():
        parts = unpack(apt.download_kernel(kernel), fresh(folder) / "unpacked")
        [image] = [*parts.glob("boot/vmlinuz-*"), *parts.glob("usr/lib/modules/*/vmlinuz")]
        shutil.copy(image, folder / "vmlinuz")
        write_cpio(collect_modules(parts, folder / "chosen"), modules)
        shutil.rmtree(parts)
    return folder / "vmlinuz", modules


def collect_modules(parts, chosen):
    """In the order in which insmod wants them, uncompressed."""
    tree = next(path for path in (parts / "usr/lib/modules", parts / "lib/modules") if path.exists())
    version = next(tree.iterdir()).name
    base = tree.parent.parent  # what depmod and modprobe put /lib/modules behind
    run("depmod", "--basedir", base, version)
    found = []
    for name in MODULES:
        lines = run("modprobe", "--dirname", base, "--set-version", version, "--show-depends", name)
        found += [line.split()[1] for line in lines.splitlines() if line.startswith("insmod")]
    (chosen / "modules").mkdir(parents=True)
    for number, path in enumerate(dict.fromkeys(found)):
        target = chosen / "modules" / f"{number:02}-{os.path.basename(path)}"
        shutil.copy(path, target)
        if target.suffix == ".xz":
            run("xz", "--decompress", target)
    return chosen


def job_image(programs, probes, target):
    """The guest's scripts, programs as {path in the machine: file here}, and the text of probes."""
    folder = fresh(target.with_suffix(""))
    shutil.copytree(GUEST, folder / "job")
    shutil.move(folder / "job/init", folder / "init")
    (folder / "job/probes").write_text(probes)
    (folder / "init").chmod(0o755)
    for path, source in programs.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / path)
    write_cpio(folder, target)
    shutil.rmtree(folder)
    return target


def join(images, target):
    """The kernel unpacks archives that follow one another, each padded as cpio does it."""
    with open(target, "wb") as out:
        for image in images:
            with open(image, "rb") as part:
                shutil.copyfileobj(part, out)
    return target
