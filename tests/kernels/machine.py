"""Boots a kernel in an emulated machine, and reads from its console what happened there."""
import re
import subprocess
import time
from dataclasses import dataclass, field

from hostile.takeover import outcome
from kernels.image import GUEST

BOOTS = 3
MEMORY_MIB = 1536
# Without cmpxchg16b: after it, qemu 7.2's flags are wrong. The slab allocator of 6.12.95 runs on them, and the kernel panics.
QEMU = {
    "amd64": ["qemu-system-x86_64", "-cpu", "max,la57=off,cx16=off", "-machine", "pc"],
    "arm64": ["qemu-system-aarch64", "-cpu", "max,pauth-impdef=on", "-machine", "virt"],
}
ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
CONSOLE = {"amd64": "console=ttyS0 tsc=reliable", "arm64": "console=ttyAMA0"}
MARK = re.compile(r"^=== (\w+) ?(.*)$")


def tests_in(file):
    """Of one of the guest's files."""
    return re.findall(r"^test_(\w+)\(\)", (GUEST / file).read_text(), re.M)


BASIC = tests_in("basic")


@dataclass
class Result:
    """What came home: {test: its output, or None for passed}, {prey: {word: number}}."""

    console: str
    seconds: float
    started: bool = False
    finished: bool = False
    tests: dict = field(default_factory=dict)
    theft: dict = field(default_factory=dict)
    probes: dict = field(default_factory=dict)
    frames: dict = field(default_factory=dict)

    def failure(self, test):
        """The output of a test that did not pass, or None."""
        if test in self.tests:
            return self.tests[test]
        return "did not run: the machine " + ("ended early" if self.finished else "hung or died") \
            + "\n" + self.console[-3000:]

    def stolen(self, prey):
        """{starts, ready, lost, seen}, or an error that says how far the machine came."""
        if prey not in self.theft:
            raise AssertionError(f"the theft from {prey} was not counted\n{self.console[-3000:]}")
        return self.theft[prey]

    def probed(self, process, mode):
        """({probe: its outcome}, how many frames were seen of them)"""
        if (process, mode) not in self.frames:
            raise AssertionError(f"the probes in the {process} did not come to an end\n{self.console[-3000:]}")
        return self.probes.get((process, mode), {}), self.frames[process, mode]


def patched_itself_to_death(result):
    """
    A kernel patches its own code. qemu 7.2 may still run what was there: then it panics while it starts, or later
    at a breakpoint that it has taken away again.
    """
    return not result.started or "int3: 0000" in result.console


def boot(kernel, image, initrd, log, bound_s, **settings):
    """Runs the jobs in it, to the end or to the bound. `settings` are its init's environment."""
    for _ in range(BOOTS):
        result = boot_once(kernel, image, initrd, log, bound_s, settings)
        if not patched_itself_to_death(result):
            break
    return result


def boot_once(kernel, image, initrd, log, bound_s, settings):
    words = ["panic=-1", "quiet", "mitigations=off", CONSOLE[kernel.architecture],
             *(f"{name}={value}" for name, value in settings.items())]
    argv = [*ENDS_WITH_US, *QEMU[kernel.architecture], "-accel", "tcg,thread=multi", "-smp", "2",
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-reboot", "-display", "none", "-serial", f"file:{log}",
            "-kernel", image, "-initrd", initrd, "-append", " ".join(words)]
    started = time.monotonic()
    with subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL) as process:
        try:
            process.wait(bound_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
    return read_console(log.read_text(errors="replace"), time.monotonic() - started)


def read_console(console, seconds):
    result, output = Result(console, seconds), []
    for line in console.splitlines():
        mark = MARK.match(line)
        if not mark:
            output.append(line)
            continue
        kind, rest = mark.groups()
        if kind in ("passed", "failed"):
            result.tests[rest] = "\n".join(output) if kind == "failed" else None
        elif kind == "theft":
            prey, *words = rest.split()
            result.theft[prey] = {name: int(value) for name, value in (word.split("=") for word in words)}
        elif kind == "probe":
            process, mode, probe, status, *words = rest.split(" ")
            signal_or_status = 128 - int(status) if int(status) > 128 else int(status)  # as Popen has it
            result.probes.setdefault((process, mode), {})[probe] = outcome(signal_or_status, " ".join(words), mode, probe)
        elif kind == "frames":
            process, mode, count = rest.split()
            result.frames[process, mode] = int(count)
        elif kind == "started":
            result.started = True
        elif kind == "finished":
            result.finished = True
        output = []
    return result
