"""Fixtures of the collector's tests."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from collected import interface, packet, section, statistics  # noqa: E402
from running import HERE, Collector  # noqa: E402
from support import ROOT  # noqa: E402

BUILD = ROOT / ("build/sanitized" if os.environ.get("CFPCAP_SANITIZE") == "1" else "build")

APPS = {
    "shop": {"guid": "0af3-11", "web": [
        {"index": 0, "state": "RUNNING", "host": "10.0.1.1", "instance_internal_ip": "10.255.0.10"},
        {"index": 1, "state": "DOWN"},
        {"index": 2, "state": "RUNNING", "host": "10.0.1.2", "instance_internal_ip": "10.255.0.12"},
        {"index": 10, "state": "RUNNING", "host": "10.0.1.2", "instance_internal_ip": "fd00::10"}],
        "worker": [{"index": 0, "state": "RUNNING", "host": "10.0.1.1"}, {"index": 1, "state": "CRASHED"}]},
    "api": {"guid": "0af3-12", "web": [{"index": 0, "state": "RUNNING", "host": "h"}]},
}


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


@pytest.fixture
def cf(place):
    """Its environment; apps can be changed while it is used."""
    home, bin_folder = place / "standin", place / "bin"
    for folder in (home, bin_folder):
        folder.mkdir()
        os.chown(folder, 2000, 2000)
    shutil.copy(HERE / "cf", bin_folder / "cf")
    for name, app in APPS.items():
        (home / f"{name}.json").write_text(json.dumps(app))
    (place / "stream").write_bytes(section() + interface() + packet(10**18, b"x") + statistics(10**18, True))
    return {"CF_STANDIN": str(home), "PATH": f"{bin_folder}:/usr/bin:/bin"}
