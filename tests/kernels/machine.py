"""Boots a kernel in an emulated machine, and reads from its console what happened there."""
import re
import subprocess
import time
from dataclasses import dataclass, field

from kernels.image import GUEST

BOUND_S = 900  # what runs longer hangs
MEMORY_MIB = 1536
QEMU = {
    "amd64": ["qemu-system-x86_64", "-cpu", "max,la57=off", "-machine", "pc"],
    "arm64": ["qemu-system-aarch64", "-cpu", "max,pauth-impdef=on", "-machine", "virt"],
}
CONSOLE = {"amd64": "console=ttyS0 tsc=reliable", "arm64": "console=ttyAMA0"}
MARK = re.compile(r"^=== (\w+) ?(.*)$")
BASIC = re.findall(r"^test_(\w+)\(\)", (GUEST / "basic").read_text(), re.M)


@dataclass
class Result:
    """What came home: {test: its output, or None for passed}, {prey: {word: number}}."""

    console: str
    seconds: float
    finished: bool = False
    tests: dict = field(default_factory=dict)
    theft: dict = field(default_factory=dict)

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


def boot(kernel, image, initrd, log, **settings):
    """Runs the jobs in it, to the end or to the bound. `settings` are its init's environment."""
    words = ["panic=-1", "quiet", "mitigations=off", CONSOLE[kernel.architecture],
             *(f"{name}={value}" for name, value in settings.items())]
    argv = [*QEMU[kernel.architecture], "-accel", "tcg,thread=multi", "-smp", "2", "-m", str(MEMORY_MIB),
            "-nodefaults", "-no-reboot", "-display", "none", "-serial", f"file:{log}",
            "-kernel", image, "-initrd", initrd, "-append", " ".join(words)]
    started = time.monotonic()
    with subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL) as process:
        try:
            process.wait(BOUND_S)
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
        elif kind == "finished":
            result.finished = True
        output = []
    return result
