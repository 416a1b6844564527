"""Fixtures of the packaging tests: copies of the source, and what make builds for others."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from diego_cell import Cell, spec_of
from support import SOURCES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ARCHIVE = "cf-pcap-lifecycle.tgz"


def copy_source(destination):
    destination.mkdir(parents=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, destination / name)
        elif (ROOT / name).exists():
            shutil.copy2(ROOT / name, destination / name)


def make(folder, *words):
    environment = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000",
                   "MAKEFLAGS": os.environ.get("MAKEFLAGS", "")}
    result = subprocess.run(["make", "--no-print-directory", "-C", folder, *words], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="session")
def workspace():
    """A folder of root's that goes away with the session."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-packaging."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def source(workspace):
    """A copy in a folder whose name has a blank."""
    folder = workspace / "a source"
    copy_source(folder)
    return folder


@pytest.fixture(scope="session")
def built(source, workspace):
    """Built there."""
    make(source, "lifecycle")
    shutil.copy(source / "build" / ARCHIVE, workspace)  # tests make it anew, and fail
    return source


@pytest.fixture(scope="session")
def build(workspace):
    """All that is handed to others."""
    folder = workspace / "one"
    copy_source(folder)
    make(folder, "bosh", "deb")
    return folder / "build"


@pytest.fixture(scope="session")
def deep_build(workspace):
    """The Debian packages once more, where the path is another."""
    folder = workspace / "another" / "much deeper"
    copy_source(folder)
    make(folder, "deb")
    return folder / "build"


@pytest.fixture(scope="session")
def release(build):
    """What is copied into a BOSH release."""
    return build / "bosh"


def compile_package(release, folder, compiler):
    """The package as a compile VM makes it: its spec's files, two folders, and no network."""
    compile_target, install_target = folder / "compile", folder / "install"
    install_target.mkdir(parents=True)
    for name in spec_of(release / "packages/cf-pcap/spec")["files"]:
        source = next(release / base / name for base in ("src", "blobs") if (release / base / name).exists())
        (compile_target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, compile_target / name)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BOSH_COMPILE_TARGET": str(compile_target),
                   "BOSH_INSTALL_TARGET": str(install_target), "CC": compiler}
    subprocess.run(["unshare", "--net", "bash", "-e", release / "packages/cf-pcap/packaging"], check=True,
                   env=environment, cwd=compile_target, stdout=subprocess.DEVNULL)
    return install_target


@pytest.fixture(scope="session")
def package(release, workspace):
    return compile_package(release, workspace / "package", "gcc")


@pytest.fixture(scope="session")
def package_of_clang(release, workspace):
    return compile_package(release, workspace / "package-of-clang", "clang")


@pytest.fixture(scope="session")
def render(release):
    """Renders a template of the rep job: render(NAME, "PROPERTY=VALUE"...)."""
    def run(template, *properties):
        job = release / "jobs/rep"
        return subprocess.run(["ruby", HERE / "render.rb", job / "spec", job / "templates" / template, *properties],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
    return run


@pytest.fixture
def scratch():
    """A folder for one test that other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-test."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cell(scratch, package, render):
    return Cell(scratch, shutil.copytree(package, scratch / "package"), render)


@pytest.fixture(scope="session")
def archive(build):
    return build / ARCHIVE


@pytest.fixture(scope="session")
def another_archive(built, workspace):
    """Of the same source, elsewhere."""
    return workspace / ARCHIVE
