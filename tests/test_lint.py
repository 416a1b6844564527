"""Compilers and checkers have nothing to say about the product's code and the project's scripts."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import GO_ENVIRONMENT, ROOT

CACHE = sorted((ROOT / "packaging/bosh/src/cf-pcap").glob("*.c"))
SOURCES = [*CACHE, *(path for folder in ("base", "collector", "common", "formats", "helper", "sandbox", "tail", "writer")
                    for path in sorted((ROOT / folder).rglob("*.c")))]
LANGUAGE = ["-std=gnu11", "-D_GNU_SOURCE", '-DWRITER_IMAGE="build/cf-pcap-writer.image"',
            *(f"-I{ROOT / folder}" for folder in (".", "writer", "common"))]
# Declarations stand at the head of a function; an empty loop says "continue".
CPPCHECK_OFF = ["variableScope", "redundantContinue"]
CPPCHECK_OFF += ["unusedStructMember:*/formats/pcap_file.c"]  # written as a whole, as bytes
CPPCHECK_OFF += ["nullPointerRedundantCheck:*/writer/setup/guard.c"]  # strsep() makes it NULL: not seen
SHEBANG = re.compile(rb"#!.*\b(?:sh|bash|dash)\b")


def complaints(argv, **options):
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    return "" if done.returncode == 0 else re.sub(r"(?m)^  (?:CC|LD) .*\n", "", done.stdout) or str(done)


def complaints_by_file(argv_for):
    """Runs a tool on each source file, as many at once as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return "".join(pool.map(lambda path: complaints(argv_for(path)), SOURCES))


def shell_scripts():
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in (".git", "build")]
        for name in names:
            path = os.path.join(folder, name)
            # templates are checked as rendered: tests/packaging
            if not name.endswith(".erb") and os.path.isfile(path):
                with open(path, "rb") as file:
                    if SHEBANG.match(file.readline(200)):
                        yield path


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_builds_without_warnings(compiler, tmp_path):
    build = ["make", "--no-print-directory", f"-j{os.cpu_count()}", f"BUILD={tmp_path}", f"CC={compiler}"]
    assert complaints([*build, "WERROR=1", "all"]) == ""
    # The BOSH package compiles this one by itself.
    assert complaints([compiler, *LANGUAGE, "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-O2", "-Werror",
                       "-Wstrict-prototypes", "-Wmissing-prototypes", "-o", tmp_path / "cache", *CACHE]) == ""


def test_gcc_analyzer_is_quiet():
    assert complaints_by_file(lambda path: ["gcc", *LANGUAGE, "-O2", "-Wall", "-Wextra", "-fanalyzer", "-Werror",
                                            "-c", "-o", "/dev/null", path]) == ""


def test_clang_tidy_is_quiet():
    """With the checks of .clang-tidy, and of helper/.clang-tidy."""
    assert complaints_by_file(lambda path: ["clang-tidy", "--quiet", path, "--", *LANGUAGE]) == ""


def test_scan_build_is_quiet(tmp_path):
    """It puts its own compiler in place of CC."""
    assert complaints(["scan-build", "--status-bugs", "-o", tmp_path / "reports", "make", "--no-print-directory",
                       f"-j{os.cpu_count()}", f"BUILD={tmp_path / 'build'}", "all"]) == ""


def test_cppcheck_is_quiet():
    assert complaints(["cppcheck", "--quiet", "--error-exitcode=1", "--enable=warning,performance,portability,style",
                       *(f"--suppress={what}" for what in CPPCHECK_OFF), *LANGUAGE[1:], "--std=c11", *SOURCES]) == ""


def test_shellcheck_is_quiet():
    scripts = list(shell_scripts())
    assert os.path.join(ROOT, "tests/run-checks") in scripts
    assert complaints(["shellcheck", "--exclude=SC1091", *scripts]) == ""  # debconf's library: not here


def test_gofmt_and_go_vet_are_quiet():
    server = "tests/platform/sshd/main.go"
    formatted = subprocess.run(["gofmt", "-l", server], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    assert formatted.stdout == b""
    assert complaints(["go", "vet", server], env=GO_ENVIRONMENT) == ""
