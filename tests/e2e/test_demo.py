"""The demo: README's first command."""
import os
import signal
import subprocess
import tempfile
import time

import pytest

from support import ROOT, wait_until

pytestmark = pytest.mark.plain_build


@pytest.fixture
def folder():
    """Where the user of the demo may look, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield name


def leftovers(demo, folder):
    """Processes of the demo's session (its namespace lives as long as they do), and files."""
    session = subprocess.run(["ps", "--no-headers", "-o", "args", "--sid", str(demo.pid)],
                             stdout=subprocess.PIPE, text=True, check=False).stdout
    return session.splitlines() + os.listdir(folder)


@pytest.fixture
def demo(folder, stage):
    process = subprocess.Popen([ROOT / "tests/demo.sh"], env={**os.environ, "TMPDIR": folder},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def test_demo_shows_a_page_being_fetched_and_leaves_nothing(demo, folder):
    output = demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, output
    assert "HTTP: GET / HTTP/1.1" in output and "HTTP: HTTP/1.1 200 OK" in output
    assert leftovers(demo, folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demo_leaves_nothing_when_interrupted(demo, folder, number):
    time.sleep(0.3)
    os.killpg(demo.pid, number)
    demo.communicate(timeout=30)
    wait_until(lambda: leftovers(demo, folder) == [])  # a helper that was just starting may be ending still


@pytest.mark.parametrize("started", ['-h "$stage/www" &\n', '>"$stage/capture.pcap" &\n'], ids=["server", "capture"])
def test_demo_leaves_nothing_when_interrupted_while_it_starts_a_process(folder, started):
    """The signal comes before the new process is its program, and before the script has its number."""
    script = (ROOT / "tests/demo.sh").read_text()
    assert script.count(started) == 1
    with tempfile.NamedTemporaryFile("w", dir=ROOT / "build", suffix=".sh") as copy:
        copy.write(script.replace(started, started[:-1] + " kill -HUP $$\n"))
        copy.flush()
        process = subprocess.Popen(["unshare", "--net", "/bin/sh", copy.name, "in-namespace"],
                                   env={**os.environ, "TMPDIR": folder}, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True)
        process.communicate(timeout=60)
        assert process.returncode == 1
        wait_until(lambda: leftovers(process, folder) == [])
