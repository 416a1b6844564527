"""On an old kernel without the fix of CVE-2026-46333 and on the newest, side by side in emulated machines.

make check-kernels runs the same on all that Debian has.
"""
from types import SimpleNamespace

import pytest

from kernels.machine import BASIC
from kernels.packages import ROOT_SUITE, Apt
from kernels.suite import (AMD64, DENIED, Suite, assert_old_is_robbed, assert_present_is_not_robbed,
                           assert_unprotected_is_robbed, has_fix)

SUITES = ["bullseye", "bookworm-backports", ROOT_SUITE, "trixie-backports", "sid"]
STARTS, OLD_STARTS = 100, 40


@pytest.fixture(scope="module")
def machines():
    """What came home from an old kernel, the oldest there is, and from the newest."""
    apt = Apt("short", SUITES, ["amd64"])
    known = apt.kernels(AMD64)
    assert known and not has_fix(known[0]), f"no unfixed kernel in {', '.join(SUITES)}: {[*map(str, known)]}"
    results = dict(Suite(apt, STARTS, OLD_STARTS, ["basic", "theft", "denied"]).run_all([known[0], known[-1]]))
    return SimpleNamespace(old=results[known[0]], newest=results[known[-1]])


@pytest.mark.parametrize("test", BASIC)
@pytest.mark.parametrize("age", ["old", "newest"])
def test_captures_and_ends(machines, age, test):
    failure = getattr(machines, age).failure(test)
    assert failure is None, failure


@pytest.mark.parametrize("test", DENIED)
@pytest.mark.parametrize("age", ["old", "newest"])
def test_apparmor(machines, age, test):
    failure = getattr(machines, age).failure(test)
    assert failure is None, failure


@pytest.mark.parametrize("age", ["old", "newest"])
def test_the_theft_works_on_a_program_without_protection(machines, age):
    assert_unprotected_is_robbed(getattr(machines, age))


def test_the_theft_works_on_version_0_1_0_without_the_kernels_fix(machines):
    assert_old_is_robbed(machines.old)


def test_nothing_is_stolen_without_the_kernels_fix(machines):
    assert_present_is_not_robbed(machines.old)


def test_nothing_is_stolen_on_the_newest_kernel(machines):
    assert_present_is_not_robbed(machines.newest)
