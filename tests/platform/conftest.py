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
from remote import Remote, make_keys  # noqa: E402


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
    folder = cell / "keys"
    folder.mkdir()
    make_keys(folder)
    return folder


@pytest.fixture(scope="module")
def served_container(container, keys, tmp_path_factory):
    """With ssh, an app, and TLS in front of both."""
    remote = Remote(container, keys, tmp_path_factory.mktemp("served"))
    remote.serve_app()
    remote.serve_tls()
    return remote


@pytest.fixture
def remote(served_container):
    """A user at home; what he started ends with the test."""
    yield served_container
    served_container.end()
