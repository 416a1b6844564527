"""Which kernels, what runs in each, and what is expected of it."""
import os
from concurrent.futures import ThreadPoolExecutor

from kernels import programs
from kernels.image import job_image, join, kernel_image, root_image
from kernels.machine import BASIC, boot
from kernels.packages import CACHE

AMD64, ARM64, ARM64_16K = "cloud-amd64", "cloud-arm64", "arm64-16k"
# The first releases with the fix of CVE-2026-46333; all later series have it from their start.
FIXED = {(5, 10): 256, (5, 15): 207, (6, 1): 173, (6, 6): 139, (6, 12): 89, (6, 18): 31, (7, 0): 8}

LIFE_MS = 1000
STOLEN_AT_LEAST = 0.1  # of 0.1.0's captures without the fix; 0.3 to 0.6 were measured


def has_fix(kernel):
    major, minor, patch = (int(word) for word in kernel.version.partition("-")[0].split("."))
    return (major, minor) > max(FIXED) or patch >= FIXED.get((major, minor), patch + 1)


class Suite:
    """Everything that machines need, made when it is first asked for."""

    def __init__(self, apt, starts, old_starts):
        self.apt, self.starts, self.old_starts = apt, starts, old_starts
        self.parts = {}

    def prepare(self, kernels):
        """Before any machine runs: these use both processors themselves."""
        for architecture in sorted({kernel.architecture for kernel in kernels}):
            words = programs.cross_words(self.apt, architecture)
            self.parts[architecture] = {
                "root": root_image(self.apt, architecture),
                "": programs.attackers(architecture, words),
                "present/": programs.present(architecture, words),
                "old/": programs.old(architecture, words),
            }
        for kernel in kernels:
            kernel_image(self.apt, kernel)

    def run(self, kernel):
        parts = self.parts[kernel.architecture]
        image, modules = kernel_image(self.apt, kernel)
        folders = ["", "present/"] if has_fix(kernel) else ["", "present/", "old/"]
        job = job_image({f"job/programs/{folder}{path.name}": path for folder in folders
                         for path in parts[folder].iterdir()}, image.parent / "job.cpio")
        initrd = join([parts["root"], modules, job], image.parent / "initrd")
        return boot(kernel, image, initrd, image.parent / "console.txt", JOBS="basic,theft", STARTS=self.starts,
                    OLD_STARTS=self.old_starts, LIFE_MS=LIFE_MS)

    def run_all(self, kernels):
        """[(kernel, result)], as many at once as there are processors, each as soon as it is there."""
        self.prepare(kernels)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from zip(kernels, pool.map(self.run, kernels))


def assert_unprotected_is_robbed(result):
    """The attack works in this machine, whatever its kernel: half of them had their socket when it began."""
    score = result.stolen("unprotected")
    assert score["lost"] >= score["starts"] / 2 > 0, score


def assert_old_is_robbed(result):
    score = result.stolen("old")
    assert score["lost"] >= STOLEN_AT_LEAST * score["starts"] > 0, score


def assert_present_is_not_robbed(result):
    """Of captures that were under way, too: they have printed something."""
    score = result.stolen("present")
    assert score["lost"] == 0 and score["ready"] > 0, score


def checks(kernel, result):
    """[(name, None or what is wrong)]"""
    found = [(name, result.failure(name)) for name in BASIC]
    theft = [assert_unprotected_is_robbed, assert_present_is_not_robbed]
    theft += [] if has_fix(kernel) else [assert_old_is_robbed]
    for check in theft:
        try:
            check(result)
            found.append((check.__name__, None))
        except AssertionError as error:
            found.append((check.__name__, str(error)))
    return found
