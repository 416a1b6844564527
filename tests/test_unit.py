"""The unit tests: each cmocka test counts as a test of its own, as built for users and sanitized."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = sorted((ROOT / "tests/unit").glob("test_*.c"))
BUILDS = {"plain": ("build", []), "sanitized": ("build/sanitized", ["SANITIZE=1"])}
RESULT = re.compile(r"^(ok|not ok) \d+ - (\w+)$", re.MULTILINE)


def names_in(program):
    """The tests that a program's table lists, read from its source: collecting builds nothing."""
    return re.findall(r"^\t\t\w+_?TEST\w*\((\w+)|^\t\tcmocka_unit_test\w*\((\w+)", program.read_text(), re.MULTILINE)


def all_tests():
    for program in PROGRAMS:
        names = ["".join(pair) for pair in names_in(program)]
        assert names, f"no tests in {program}"
        for build in BUILDS:
            for name in names:
                yield pytest.param(build, program.stem, name, id=f"{build}-{program.stem[5:]}-{name}")


def make(build):
    folder, settings = BUILDS[build]
    made = subprocess.run(["make", "--no-print-directory", "-C", ROOT, *settings, "unit-build"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return ROOT / folder / "tests/unit"


def run(made, program):
    """Runs a program once. Returns its results by name, its exit status, and all that it said."""
    environment = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "UBSAN_OPTIONS": "print_stacktrace=1"}
    process = subprocess.run([made.result() / program], env=environment, capture_output=True, text=True,
                             errors="backslashreplace", timeout=300)
    output = f"{process.stdout}{process.stderr}exit status {process.returncode}"
    return dict((name, verdict) for verdict, name in RESULT.findall(process.stdout)), process.returncode, output


@pytest.fixture(scope="module")
def runs(request):
    """Of all that were asked for: one build's programs run, most of them waiting, while the next is made."""
    asked = [item.callspec.params for item in request.session.items if item.module is request.module]
    wanted = sorted({(params["build"], params["program"]) for params in asked})
    with ThreadPoolExecutor(1) as maker, ThreadPoolExecutor(os.cpu_count()) as pool:
        made = {build: maker.submit(make, build) for build in dict.fromkeys(build for build, _ in wanted)}
        yield {(build, program): pool.submit(run, made[build], program) for build, program in wanted}


@pytest.mark.parametrize("build, program, name", all_tests())
def test_unit(runs, build, program, name):
    results, _, output = runs[build, program].result()
    assert results.get(name) == "ok", output


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("program", [program.stem for program in PROGRAMS])
def test_program_runs_all_its_tests_and_leaks_nothing(runs, build, program):
    results, status, output = runs[build, program].result()
    defined = re.findall(r"^static void (\w+)\(void \*\*state\)$",
                         (ROOT / f"tests/unit/{program}.c").read_text(), re.MULTILINE)
    assert set(results) == set(defined) and len(results) == len(defined), output
    assert status == 0, output
