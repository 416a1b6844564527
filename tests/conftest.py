"""Fixtures of all tests, and the rule that in CI a skipped test is a failed one."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support import Namespace, ROOT, Tools


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


def pytest_terminal_summary(terminalreporter):
    """The closing line, in a form that any reader of logs understands."""
    passed = len(terminalreporter.stats.get("passed", []))
    failed = len(terminalreporter.stats.get("failed", [])) + len(terminalreporter.stats.get("error", []))
    terminalreporter.write_line(f"{passed} passed, {failed} failed")


@pytest.fixture(scope="session")
def stage():
    """A root-owned folder with cf-pcap installed as an operator would install it."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-stage."))
    folder.chmod(0o755)
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "install", f"prefix={folder}"],
                   check=True, stdout=subprocess.DEVNULL)
    yield folder / "bin"
    shutil.rmtree(folder)


@pytest.fixture
def tools(stage):
    """The installed binaries; whatever was started with them ends with the test."""
    tools = Tools(stage)
    yield tools
    tools.end_all()


@pytest.fixture
def ns():
    """A network namespace with lo up and a veth pair cap0 (10.9.0.1) <-> gen0 in a second one."""
    with Namespace() as namespace:
        yield namespace
