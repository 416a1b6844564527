"""Which kernels, what runs in each, and what is expected of it."""
import os
from concurrent.futures import ThreadPoolExecutor

from hostile import takeover
from kernels import debian13, programs
from kernels.image import GUEST, job_image, join, kernel_image, root_image
from kernels.machine import BASIC, boot, tests_in

AMD64, ARM64, ARM64_16K = "cloud-amd64", "cloud-arm64", "arm64-16k"
# The first releases with the fix of CVE-2026-46333; all later series have it from their start.
FIXED = {(5, 10): 256, (5, 15): 207, (6, 1): 173, (6, 6): 139, (6, 12): 89, (6, 18): 31, (7, 0): 8}

# What runs in a machine, and where other than everywhere. "denied" is a part of confined.
JOBS = ["basic", "theft", "starved", "confined", "unit", "takeover", "package"]
ON_ARM64 = {"unit", "takeover"}
ON_DEBIAN_13 = {"package"}
CHOSEN = (GUEST / "chosen").read_text().split()
DENIED = tests_in("apparmor")
CONFINED = [f"confined_{name}" for name in CHOSEN] + DENIED
PACKAGE = ["package_is_installed"] + [f"package_{name}" for name in CHOSEN]

LIFE_MS = 1000
JOB_S, START_S = 450, 2.5  # at most, emulated: a job, and each capture of a theft besides
STARVED_MS = 100  # of 250 that hogs run for
CONFINED_STARTS = 50
STOLEN_AT_LEAST = 0.1  # of 0.1.0's captures without the fix; 0.3 to 0.6 were measured


def has_fix(kernel):
    major, minor, patch = (int(word) for word in kernel.version.partition("-")[0].split("."))
    return (major, minor) > max(FIXED) or patch >= FIXED.get((major, minor), patch + 1)


def jobs_for(kernel, wanted):
    """Of the jobs that are wanted, those that say something about this kernel."""
    return [job for job in wanted
            if (job not in ON_ARM64 or kernel.architecture == "arm64")
            and (job not in ON_DEBIAN_13 or debian13.ROOT_SUITE in kernel.suites)]


class Suite:
    """Everything that machines need, made when it is first asked for."""

    def __init__(self, apt, starts, old_starts, jobs=("basic", "theft"), starved=0):
        """How many captures are killed: of this version, of 0.1.0, and of each that starve as they die."""
        self.apt, self.starts, self.old_starts, self.jobs, self.starved = apt, starts, old_starts, jobs, starved
        self.roots, self.folders, self.files = {}, {}, {}

    def prepare(self, kernels):
        """Before any machine runs: these use both processors themselves. What is fetched comes while others are built."""
        words = {architecture: programs.cross_words(self.apt, architecture)
                 for architecture in sorted({kernel.architecture for kernel in kernels})}
        with ThreadPoolExecutor(1) as fetcher:
            images = fetcher.submit(self._fetch, words, kernels)
            for architecture in words:
                jobs = {job for kernel in kernels if kernel.architecture == architecture
                        for job in jobs_for(kernel, self.jobs)}
                self._build(architecture, words[architecture], jobs)
            images.result()

    def _fetch(self, architectures, kernels):
        for architecture in architectures:
            self.roots[architecture] = root_image(self.apt, architecture)
        for kernel in kernels:
            kernel_image(self.apt, kernel)

    def _build(self, architecture, words, jobs):
        folders = {"": programs.attackers(architecture, words), "present/": programs.present(architecture, words),
                   "old/": programs.old(architecture, words)}
        if "unit" in jobs:
            folders["unit/"] = programs.unit_tests(architecture, words)
        if "takeover" in jobs:
            for process in takeover.PROGRAMS:
                folders[f"taken_{process}/"] = programs.taken_over(architecture, words, process)
        self.folders[architecture] = folders
        if "package" in jobs:
            debian13.prepare()
            self.files[architecture] = {"job/programs/cf-pcap.deb": debian13.package(architecture)}

    def run(self, kernel):
        architecture, jobs = kernel.architecture, jobs_for(kernel, self.jobs)
        image, modules = kernel_image(self.apt, kernel)
        files = {f"job/programs/{folder}{path.name}": path
                 for folder, source in self.folders[architecture].items() if folder != "old/" or not has_fix(kernel)
                 for path in source.iterdir()}
        job = job_image({**files, **self.files.get(architecture, {})}, probe_lines(architecture),
                        image.parent / "job.cpio")
        initrd = join([self.roots[architecture], modules, job], image.parent / "initrd")
        return boot(kernel, image, initrd, image.parent / "console.txt", self.bound_s(jobs), JOBS=",".join(jobs),
                    STARTS=self.starts, OLD_STARTS=self.old_starts, STARVED=self.starved,
                    CONFINED_STARTS=CONFINED_STARTS, LIFE_MS=LIFE_MS)

    def bound_s(self, jobs):
        """What runs longer hangs."""
        return JOB_S * len(jobs) + START_S * (self.starts + self.old_starts + 2 * self.starved)

    def run_all(self, kernels):
        """[(kernel, result)], as many at once as there are processors, each as soon as it is there."""
        self.prepare(kernels)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from zip(kernels, pool.map(self.run, kernels))


def probe_lines(architecture):
    """"PROGRAM MODE PROBE" each."""
    names = takeover.probes(programs.compiler(architecture))
    lines = [(process, mode, name) for process in takeover.PROGRAMS
             for mode, chosen in (("weak", takeover.works(process, names)), ("probe", names)) for name in chosen]
    return "".join(f"{' '.join(line)}\n" for line in lines)


def assert_unprotected_is_robbed(result, prey="unprotected"):
    """The attack works in this machine, whatever its kernel: half of them had their socket when it began."""
    score = result.stolen(prey)
    assert score["lost"] >= score["starts"] / 2 > 0, score


def assert_old_is_robbed(result, prey="old"):
    score = result.stolen(prey)
    assert score["lost"] >= STOLEN_AT_LEAST * score["starts"] > 0, score


def assert_present_is_not_robbed(result, prey="present"):
    """Of captures that were under way, too: they have printed something."""
    score = result.stolen(prey)
    assert score["lost"] == 0 and score["ready"] > 0, score


def assert_starved_old_is_robbed(result):
    assert_old_is_robbed(result, "old_starved")


def assert_starved_present_is_not_robbed(result):
    """And they did starve."""
    assert_present_is_not_robbed(result, "present_starved")
    assert result.stolen("present_starved")["dying_ms"] >= STARVED_MS


def assert_confined_unprotected_is_robbed(result):
    assert_unprotected_is_robbed(result, "unprotected_confined")


def assert_confined_present_is_not_robbed(result):
    assert_present_is_not_robbed(result, "confined")


def assert_the_probes_work_without_a_sandbox(result):
    for process in takeover.PROGRAMS:
        found, frames = result.probed(process, "weak")
        assert found and {probe: what for probe, what in found.items() if what != "WORKED"} == {}, process
        assert frames >= len(takeover.SENDING & set(found)) > 0, process


def assert_whoever_takes_a_process_over_dies(result):
    for process in takeover.PROGRAMS:
        found, frames = result.probed(process, "probe")
        assert len(found) > 60 and takeover.surprises(process, found, {}) == {}, process
        assert frames == 0, process


def tests_of(job):
    """The names of a job's tests, which pass or fail."""
    return {"basic": BASIC, "confined": CONFINED, "denied": DENIED, "package": PACKAGE,
            "unit": [f"unit_{path.stem}" for path in sorted((programs.ROOT / "tests/unit").glob("test_*.c"))]}.get(job, [])


def assertions_of(job, kernel):
    """What else is asked of its result."""
    if job == "theft":
        return [assert_unprotected_is_robbed, assert_present_is_not_robbed,
                *([] if has_fix(kernel) else [assert_old_is_robbed])]
    if job == "starved":
        return [assert_starved_present_is_not_robbed, *([] if has_fix(kernel) else [assert_starved_old_is_robbed])]
    if job == "confined":
        return [assert_confined_unprotected_is_robbed, assert_confined_present_is_not_robbed]
    if job == "takeover":
        return [assert_the_probes_work_without_a_sandbox, assert_whoever_takes_a_process_over_dies]
    return []


def checks(kernel, result, wanted):
    """{job: [(name, None or what is wrong)]}"""
    found = {}
    for job in jobs_for(kernel, wanted):
        found[job] = [(name, result.failure(name)) for name in tests_of(job)]
        for check in assertions_of(job, kernel):
            try:
                check(result)
                found[job].append((check.__name__, None))
            except AssertionError as error:
                found[job].append((check.__name__, str(error)))
    return found
