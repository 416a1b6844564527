"""make check-kernels: every kernel that Debian's suites hold. Ends with "N passed, N failed"."""
import os
import sys
import time

from kernels import debian13
from kernels.packages import Apt
from kernels.suite import AMD64, ARM64, ARM64_16K, JOBS, Suite, checks

OLDEST, NEWEST = 0, -1
# (suite, series or "", which, flavour)
CHOICES = [
    ("bullseye", "5.10.", OLDEST, AMD64),
    ("bullseye-security", "5.10.", NEWEST, AMD64),
    ("bookworm", "6.1.", NEWEST, AMD64),
    ("bookworm-security", "6.1.", NEWEST, AMD64),
    ("bookworm-backports", "", OLDEST, AMD64),
    ("bookworm-backports", "", NEWEST, AMD64),
    ("trixie", "", NEWEST, AMD64),
    ("trixie-security", "", NEWEST, AMD64),
    ("trixie-backports", "", NEWEST, AMD64),
    ("sid", "", NEWEST, AMD64),
    ("bookworm-security", "6.1.", NEWEST, ARM64),
    ("trixie", "", NEWEST, ARM64_16K),
]
NOT_IN_DEBIAN = "Ubuntu's kernels (5.15, 6.8: those of stemcells)"
STARTS, OLD_STARTS, STARVED = 300, 300, 100


def choose(apt):
    """(kernels, what could not be had)"""
    known = {flavour: apt.kernels(flavour) for flavour in (AMD64, ARM64, ARM64_16K)}
    chosen, missing = {}, [NOT_IN_DEBIAN]
    for suite, series, which, flavour in CHOICES:
        there = [kernel for kernel in known[flavour] if suite in kernel.suites and kernel.version.startswith(series)]
        if there:
            chosen[there[which]] = True
        else:
            missing.append(f"{flavour} {series}* of {suite}: not in the suites that the mirror serves")
    return list(chosen), missing


def report(kernel, result, jobs):
    """Prints what was found in one machine, failures first, as a row of KERNELS.md. Returns (passed, failed)."""
    found = checks(kernel, result, jobs)
    failures = {job: [(name, problem) for name, problem in tests if problem is not None]
                for job, tests in found.items()}
    for job, failed in failures.items():
        for name, problem in failed:
            print(f"--- {kernel}: {job}: {name}\n{problem}")
    counts = "; ".join(f"{job} {len(tests) - len(failures[job])} of {len(tests)}" for job, tests in found.items())
    theft = "; ".join(f"{prey} {score['lost']} of {score['starts']}" for prey, score in result.theft.items())
    print(f"| {time.strftime('%Y-%m-%d')} | {kernel} | {counts} | {theft or '-'} | {result.seconds:.0f} s |", flush=True)
    failed = sum(len(names) for names in failures.values())
    return sum(len(tests) for tests in found.values()) - failed, failed


def report_debian13():
    """The same of what is built there, on this machine's kernel."""
    debian13.prepare()
    try:
        passed, failed = debian13.run_unit_tests(), 0
    except AssertionError as error:
        print(f"--- Debian 13: unit: {error}")
        passed, failed = 0, 1
    print(f"| {time.strftime('%Y-%m-%d')} | built in Debian 13: {debian13.versions()} | unit {passed} of {passed + failed} | - | |",
          flush=True)
    return passed, failed


def main():
    jobs = os.environ.get("JOBS", "").split() or JOBS
    if not set(jobs) <= {*JOBS, "denied"}:
        sys.exit(f"JOBS: of {' '.join(JOBS)} denied")
    apt = Apt("all", list(dict.fromkeys(suite for suite, *_ in CHOICES)), ["amd64", "arm64"])
    kernels, missing = choose(apt)
    if sys.argv[1:]:
        kernels = [kernel for kernel in kernels if any(word in str(kernel) for word in sys.argv[1:])]
    for what in missing:
        print(f"not to be had here: {what}", flush=True)
    if not kernels:
        sys.exit("no kernel to run")
    suite = Suite(apt, STARTS, OLD_STARTS, jobs, STARVED)
    counts = [report(kernel, result, jobs) for kernel, result in suite.run_all(kernels)]
    if "package" in jobs:
        counts.append(report_debian13())
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
