"""A capture ends with its user where it is used: over diego-sshd, on an interface without packets, so
that nothing but standard input tells."""
import contextlib
import os
import random
import signal
import subprocess
import time

import pytest
from container import LIFECYCLE
from remote import ENVOY_PORTS, ESTABLISHED, sockets
from support import ip, wait_until

CAPTURE = f"{LIFECYCLE}/cf-pcap -interface lo udp port 9999"  # a cut network makes ICMP on lo
GONE_S = 2.0  # 0.2 s, on a machine ten times slower
SILENCE_S = 30  # after which a capture whose standard input has ended looks for its user
PLACES = 8
KILLS = int(os.environ.get("CFPCAP_CLIENT_KILLS", "100"))  # 1000 by hand
KILLED_AT_ONCE = 4
SEND = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9999))"

pytestmark = pytest.mark.parametrize("served_container", ["diego-sshd"], indirect=True)


def start(remote, host="app", name="capture.pcap", options="", stdin=subprocess.PIPE):
    """A client whose standard input stays open, as at a terminal; its capture is under way."""
    return remote.capture(f"ssh {host} {CAPTURE} {options}", remote.folder / name, stdin=stdin,
                          instance_ports=ENVOY_PORTS)


def end(client, number=signal.SIGKILL):
    os.killpg(client.pid, number)
    client.wait(10)


def left_behind(remote):
    return remote.container.processes_named("cf-pcap.*")


def assert_gone(remote, within=GONE_S):
    begun = time.monotonic()
    wait_until(lambda: not left_behind(remote), within, interval=0.001)
    print(f"gone after {(time.monotonic() - begun) * 1000:.0f} ms")


def assert_every_place_is_free(remote):
    paths = [remote.folder / f"place-{number}" for number in range(PLACES)]
    captures = []
    for path in paths:
        with open(path, "wb") as out, open(f"{path}.err", "wb") as err:
            captures.append(remote.container.spawn(*CAPTURE.split(), stdout=out, stderr=err))
    wait_until(lambda: all(path.stat().st_size >= 24 for path in paths) or
               any(capture.poll() is not None for capture in captures))
    assert [capture.poll() for capture in captures] == [None] * PLACES
    for capture in captures:
        capture.kill()


@pytest.mark.parametrize("host", ["app", "app-tls"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_is_gone_when_the_client_is_ended(remote, host, number):
    """SIGINT is ^C at home."""
    client = start(remote, host)
    end(client, number)
    assert_gone(remote)


def test_it_is_gone_when_the_client_was_stopped_and_killed(remote):
    client = start(remote)
    os.killpg(client.pid, signal.SIGSTOP)
    end(client)
    assert_gone(remote)


def test_it_is_gone_when_the_server_has_noticed_that_the_network_is_cut(remote):
    start(remote)
    ip("-n", remote.container.peer, "link", "set", "gen0", "down")
    try:
        wait_until(lambda: not sockets(remote.container, 2222, ESTABLISHED), 30)
        assert_gone(remote)
    finally:
        ip("-n", remote.container.peer, "link", "set", "gen0", "up")


def test_it_goes_on_with_stdin_from_dev_null_while_the_client_lives(remote):
    """Says so once; a user who then goes away is missed when it has something to say again."""
    path, errors = remote.folder / "capture.pcap", remote.folder / "errors"
    client = start(remote, options=f"2> {errors}", stdin=subprocess.DEVNULL)
    wait_until(lambda: "standard input" in errors.read_text())
    remote.container.run("/usr/bin/python3", "-c", SEND)
    wait_until(lambda: path.stat().st_size > 24)
    said = [line for line in errors.read_text().splitlines() if "standard input" in line]
    assert len(said) == 1 and " level=INFO " in said[0], said
    end(client)
    assert_gone(remote, SILENCE_S + GONE_S)


def test_eight_killed_clients_leave_room_for_a_ninth(remote):
    clients = [start(remote, name=f"{number}.pcap") for number in range(PLACES)]
    for client in clients:
        end(client)
    assert_gone(remote)
    ninth = start(remote)
    end(ninth)
    assert_gone(remote)


class DoomedClient:
    """Ends at a random moment of its life."""

    def __init__(self, remote, longest_life):
        self.remote = remote
        self.path = remote.folder / f"doomed-{random.getrandbits(64)}.pcap"
        host = random.choice(["app", "app-tls"])
        self.client = remote.spawn(f"ssh {host} {CAPTURE} > {self.path}", instance_ports=ENVOY_PORTS,
                                   stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.due = time.monotonic() + random.uniform(0, longest_life)

    def end(self):
        """Returns whether a capture was under way."""
        end(self.client, random.choice([signal.SIGKILL, signal.SIGINT]))
        self.client.stdin.close()
        self.remote.clients.remove(self.client)
        with contextlib.suppress(FileNotFoundError):  # its shell had not even begun
            size = self.path.stat().st_size
            self.path.unlink()
            return size >= 24
        return False


def kill_at_random(remote, longest_life):
    """Returns how many captures were under way."""
    living, started, under_way = [], 0, 0
    while started < KILLS or living:
        if started < KILLS and len(living) < KILLED_AT_ONCE:
            living.append(DoomedClient(remote, longest_life))
            started += 1
        for client in [client for client in living if time.monotonic() >= client.due]:
            under_way += client.end()
            living.remove(client)
        time.sleep(0.002)
    return under_way


def test_clients_killed_at_random_moments_leave_no_process_and_no_place(remote):
    """From before they have connected until long after their capture has begun."""
    begun = time.monotonic()
    end(start(remote))
    start_s = time.monotonic() - begun
    assert_gone(remote)
    seed = random.randrange(1 << 32)
    random.seed(seed)
    under_way = kill_at_random(remote, longest_life=2.5 * start_s)
    print(f"{KILLS} clients killed, {under_way} captures were under way; seed {seed}")
    assert 0 < under_way < KILLS
    assert_gone(remote, 5 * GONE_S)
    assert_every_place_is_free(remote)
