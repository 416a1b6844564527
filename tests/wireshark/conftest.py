"""Fixtures: an app, and the desk of its user with Wireshark."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from app import App  # noqa: E402
from screen import Screen  # noqa: E402
from support import ROOT, USER  # noqa: E402

PICTURES = ROOT / "build/wireshark"
RECENT = "gui.geometry_main_x: 0\ngui.geometry_main_y: 0\ngui.geometry_main_width: 1280\ngui.geometry_main_height: 800\n"


@pytest.fixture(scope="session")
def app():
    with App() as app:
        yield app


@pytest.fixture(scope="session")
def desk(app, stage):
    """The app, with the collector where its user's Wireshark looks, and with the profile."""
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "collector"], check=True, stdout=subprocess.DEVNULL)
    settings = app.home / ".config/wireshark"
    (settings / "extcap").mkdir(parents=True)
    shutil.copy(ROOT / "build/cf-pcap-collect", settings / "extcap")
    shutil.copytree(ROOT / "packaging/wireshark/cf-pcap", settings / "profiles/cf-pcap")
    (settings / "recent_common").write_text(RECENT)
    newer = app.home / ".local/lib/wireshark/extcap"
    newer.mkdir(parents=True)
    shutil.copy(ROOT / "build/cf-pcap-collect", newer)
    for path in app.home.glob(".*"):
        for inner in (path, *path.rglob("*")):
            os.chown(inner, USER, USER)
    app.remote = stage / "cf-pcap"
    return app


@pytest.fixture
def screen(desk):
    with Screen(desk, PICTURES) as screen:
        yield screen
