"""Fixtures: the lifecycle folder as a cell has it, and containers around it."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from container import Container, copy_lifecycle  # noqa: E402
from remote import SERVERS, Remote, make_keys  # noqa: E402
from support import GO_ENVIRONMENT  # noqa: E402


@pytest.fixture(scope="session")
def cell(stage):
    """A folder of the cell's, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-cell."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def lifecycle(stage, cell):
    return copy_lifecycle(stage, cell / "lifecycle")


@pytest.fixture(scope="session")
def init(cell):
    subprocess.run(["cc", "-static", "-Os", "-o", cell / "init", HERE / "init.c"], check=True)
    return cell / "init"


@pytest.fixture(scope="module", params=["cflinuxfs", "busybox", "scratch"])
def any_container(request, init, lifecycle):
    with Container(init, lifecycle, request.param) as container:
        yield container


@pytest.fixture(scope="module")
def container(init, lifecycle):
    with Container(init, lifecycle) as container:
        yield container


@pytest.fixture(scope="session")
def keys(cell):
    """And the stand-in for diego-sshd."""
    folder = cell / "keys"
    folder.mkdir()
    make_keys(folder)
    subprocess.run(["go", "build", "-o", folder / "diego-sshd", HERE / "sshd/main.go"], check=True,
                   env=GO_ENVIRONMENT)
    return folder


@pytest.fixture(scope="module", params=list(SERVERS))
def served_container(request, init, lifecycle, keys, tmp_path_factory):
    """With ssh, an app, and TLS in front of both."""
    with Container(init, lifecycle) as container:
        remote = Remote(container, keys, tmp_path_factory.mktemp("served"), request.param)
        remote.serve_app()
        remote.serve_tls()
        yield remote


@pytest.fixture
def remote(served_container):
    """A user at home; what he started ends with the test."""
    yield served_container
    served_container.end()
    served_container.end_captures()
