"""Fixtures of the collector's tests."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from running import Collector  # noqa: E402
from support import ROOT  # noqa: E402

BUILD = ROOT / ("build/sanitized" if os.environ.get("CFPCAP_SANITIZE") == "1" else "build")


@pytest.fixture(scope="session")
def collector_program():
    build = ["SANITIZE=1"] if BUILD.name == "sanitized" else []
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, *build, "collector"], check=True, stdout=subprocess.DEVNULL)
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-collect."))
    folder.chmod(0o755)
    shutil.copy(BUILD / "cf-pcap-collect", folder)
    yield folder / "cf-pcap-collect"
    shutil.rmtree(folder)


@pytest.fixture
def place():
    """A folder of the user's."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-collected."))
    os.chown(folder, 2000, 2000)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def collector(collector_program, place):
    collector = Collector(collector_program, place)
    yield collector
    collector.end()
