"""What a command sees of its client through diego-sshd, and what tells that from OpenSSH."""
import os
import signal
import subprocess

import pytest
from container import LIFECYCLE, Container
from remote import ENVOY_PORTS, Remote
from support import wait_until

over_diego_sshd = pytest.mark.parametrize("served_container", ["diego-sshd"], indirect=True)
# Writes down what it sees of its standard streams, and nothing into them until its input has ended.
WATCH = """
import os, select
log = open("/home/vcap/watched", "w", buffering=1)

def closed(name, fd, patience_ms):
    poll = select.poll()
    poll.register(fd, 0)  # POLLHUP and POLLERR
    print(name, "closed" if poll.poll(patience_ms) else "open", file=log)

print("watching", file=log)
closed("stdin", 0, None)
closed("stdout", 1, 2000)
try:
    os.write(2, b"a line after the end of stdin\\n")
    closed("stderr", 2, 2000)
except BrokenPipeError:
    print("stderr refused", file=log)
closed("stdout", 1, 0)
print("done", file=log)
"""


class Watch:
    """A quiet command over ssh."""

    def __init__(self, remote, stdin):
        home = remote.container.root / "home/vcap"
        (home / "watch.py").write_text(WATCH)
        self.report = home / "watched"
        self.report.unlink(missing_ok=True)
        self.client = remote.spawn("ssh app python3 /home/vcap/watch.py", stdin=stdin)
        wait_until(lambda: self.seen()[:1] == ["watching"])

    def seen(self):
        return self.report.read_text().splitlines() if self.report.exists() else []

    def seen_to_the_end(self):
        wait_until(lambda: self.seen()[-1] == "done")
        return self.seen()[1:-1]


@pytest.mark.parametrize("served_container, expected", [
    ("openssh", ["stdin closed", "stdout closed", "stderr refused", "stdout closed"]),
    ("diego-sshd", ["stdin closed", "stdout open", "stderr closed", "stdout open"]),
], indirect=["served_container"])
def test_the_end_of_a_client_shows_on_stdin_and_after_a_line_on_stderr(remote, expected):
    """With diego-sshd not on stdout, as long as nothing is written there."""
    watch = Watch(remote, subprocess.PIPE)
    assert watch.seen() == ["watching"]
    os.killpg(watch.client.pid, signal.SIGKILL)
    assert watch.seen_to_the_end() == expected


def test_stdin_from_dev_null_ends_too_and_the_line_on_stderr_is_shown(remote):
    watch = Watch(remote, subprocess.DEVNULL)
    assert watch.seen_to_the_end() == ["stdin closed", "stdout open", "stderr open", "stdout open"]
    assert watch.client.communicate(timeout=10)[1] == b"a line after the end of stdin\n"
    assert watch.client.returncode == 0


@over_diego_sshd
def test_a_client_that_takes_no_more_stays_until_ctrl_c(remote):
    """OpenSSH's client tells only OpenSSH's server that it takes no more."""
    client = remote.spawn("ssh app 'exec yes' | head -c 1000", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert len(client.stdout.read(1000)) == 1000
    assert remote.container.processes_named("yes")
    os.killpg(client.pid, signal.SIGINT)
    wait_until(lambda: not remote.container.processes_named("yes"))


@pytest.mark.parametrize("command, status", [("exit 7", 7), ("kill -TERM $$", 255)])
def test_the_exit_status_and_all_that_was_written_come_home(remote, command, status):
    result = remote.run(f"ssh app 'head -c 3000000 /dev/zero; {command}'")
    assert (result.returncode, len(result.stdout)) == (status, 3_000_000)


def test_the_environment_is_that_of_the_app(init, lifecycle, keys, tmp_path):
    with Container(init, lifecycle) as container:
        remote = Remote(container, keys, tmp_path, "diego-sshd", env={"CF_INSTANCE_PORTS": ENVOY_PORTS})
        variables = dict(line.split("=", 1) for line in remote.run("ssh app env").stdout.decode().splitlines())
        assert variables["CF_INSTANCE_PORTS"] == ENVOY_PORTS
        assert not {"SSH_CONNECTION", "SSH_CLIENT"} & set(variables)
        result = remote.run(f"ssh app {LIFECYCLE}/cf-pcap -interface any -duration 1ms")
        assert b'filter="not tcp port 2222 and not tcp port 61002"' in result.stderr
        remote.end()
