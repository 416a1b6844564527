"""Fixtures of all tests, and the rule that in CI a skipped test is a failed one."""
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from support import Namespace, ROOT, Tools

# Whoever runs the tests in the background has these ignored, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)

# The tests once more, on a build with AddressSanitizer and UndefinedBehaviorSanitizer.
SANITIZED = os.environ.get("CFPCAP_SANITIZE") == "1"


def pytest_collection_modifyitems(config, items):
    """Deselected and not skipped: these promises are about the build that is installed."""
    if SANITIZED:
        excluded = [item for item in items if item.get_closest_marker("plain_build")]
        config.hook.pytest_deselected(items=excluded)
        items[:] = [item for item in items if item not in excluded]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


def pytest_terminal_summary(terminalreporter):
    """The closing line, in a form that any reader of logs understands; run-checks adds several up."""
    passed = len(terminalreporter.stats.get("passed", []))
    failed = len(terminalreporter.stats.get("failed", [])) + len(terminalreporter.stats.get("error", []))
    if "CFPCAP_COUNTS" in os.environ:
        with open(os.environ["CFPCAP_COUNTS"], "a", encoding="ascii") as counts:
            counts.write(f"{passed} {failed}\n")
    else:
        terminalreporter.write_line(f"{passed} passed, {failed} failed")


@pytest.fixture(scope="session")
def stage():
    """A root-owned folder with cf-pcap installed as an operator would install it."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-stage."))
    folder.chmod(0o755)
    build = ["SANITIZE=1"] if SANITIZED else []
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, *build, "install", f"prefix={folder}"],
                   check=True, stdout=subprocess.DEVNULL)
    yield folder / "bin"
    shutil.rmtree(folder)


@pytest.fixture
def tools(stage):
    """The installed binaries; whatever was started with them ends with the test."""
    tools = Tools(stage)
    yield tools
    tools.end_all()
    if SANITIZED:
        tools.assert_none_aborted()


@pytest.fixture
def ns():
    """A network namespace with lo up and a veth pair cap0 (10.9.0.1) <-> gen0 in a second one."""
    with Namespace() as namespace:
        yield namespace
