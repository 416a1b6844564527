"""The operator's policy in a container as Garden makes it: the lifecycle folder is vcap's, mounted read-only."""
import pytest

from container import LIFECYCLE, VCAP_ON_CELL, Container, copy_lifecycle
from support import USER, read_pcap

NOBODY = 65534  # whose, seen from inside, everything of the cell's root is


@pytest.fixture(scope="module")
def limited(stage, cell, init):
    folder = copy_lifecycle(stage, cell / "limited")
    (folder / "cf-pcap.policy").write_text("max-snaplen 100\nfilter not port 7777\n")
    with Container(init, folder) as container:
        yield container


@pytest.mark.parametrize("uid", [USER, VCAP_ON_CELL, NOBODY, 0])
def test_every_user_is_limited(limited, uid):
    """Also who has the number of the folder's owner, or root's in the container, as far as he uses it."""
    done = limited.run(f"{LIFECYCLE}/cf-pcap", "-interface", "lo", "-duration", "100ms", "-snaplen", "9000", uid=uid)
    assert done.returncode == 0 and b"limited by the operator's policy" in done.stderr, done.stderr
    assert read_pcap(done.stdout).snaplen == 100


@pytest.mark.parametrize("uid", [USER, VCAP_ON_CELL, NOBODY])
def test_nobody_there_changes_it(limited, uid):
    policy = f"{LIFECYCLE}/cf-pcap.policy"
    tries = f"""
import os
for attempt in (lambda: os.unlink("{policy}"), lambda: open("{policy}", "w"), lambda: os.chmod("{policy}", 0o666),
                lambda: os.rename("{policy}", "{policy}.old"), lambda: os.rename("{LIFECYCLE}", "/tmp/other"),
                lambda: os.chmod("{LIFECYCLE}", 0o777), lambda: os.link("{LIFECYCLE}/cf-pcap", "/tmp/cf-pcap")):
    try:
        attempt()
        print("succeeded")
    except OSError:
        print("failed")
"""
    done = limited.run("/usr/bin/python3", "-c", tries, uid=uid)
    assert done.stdout.split() == [b"failed"] * 7, (done.stdout, done.stderr)
