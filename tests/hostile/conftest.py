"""Fixtures of the hostile tests."""
import shutil
import tempfile
from pathlib import Path

import pytest

from hostile.arena import compile_c, give_capability
from support import Namespace


@pytest.fixture(scope="session")
def attackers():
    """A folder that everybody can execute programs from; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-hostile."))
    folder.chmod(0o755)
    compile_c(folder, "thief", "thief.c")
    compile_c(folder, "mourner", "../kernels/thief.c")
    give_capability(compile_c(folder, "weak_capture", "weak_capture.c", flags=["-lcap"]), "cap_net_raw=ep")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place():
    """A root-owned folder of the test's own, which everybody can enter."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-place."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ns():
    """As everywhere, but one for all tests of a file: there are hundreds."""
    with Namespace() as namespace:
        yield namespace


@pytest.fixture
def crowd():
    """Processes that end with the test."""
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()
