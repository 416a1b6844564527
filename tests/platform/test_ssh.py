"""What a user does over ssh, and all the ways in which that ends."""
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from container import LIFECYCLE
from remote import ENVOY_PORTS, ESTABLISHED, PLAIN_PORTS, sockets
from support import ip, read_pcap, wait_until

HELPER = f"{LIFECYCLE}/cf-pcap"
GONE_S = 1.0  # from the moment sshd knows
IDLE_BYTES_MOST = 65536  # ARP, and how other sessions begin and end; without a guard 5 s make megabytes
# What is about SSH_CONNECTION, or holds because OpenSSH's server closes stdout with its client.
over_openssh = pytest.mark.parametrize("served_container", ["openssh"], indirect=True)
CHATTER = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(bytes({size}), ("127.0.0.1", 9999))
    time.sleep({pause})
"""


@pytest.fixture
def chatter(remote):
    """Packets on lo, a few or many, until the test ends."""
    processes = []

    def start(size=100, pause=0.02):
        processes.append(remote.container.spawn("/usr/bin/python3", "-c",
                                                CHATTER.format(size=size, pause=pause)))

    yield start
    for process in processes:
        process.kill()


def assert_gone(remote, within=GONE_S):
    wait_until(lambda: not remote.container.captures(), within)


def assert_intact(path):
    assert read_pcap(path).link_type == 1


# Captures


def test_the_plain_http_behind_the_tls_proxy_is_what_the_example_captures(remote):
    path = remote.folder / "capture.pcap"
    example = "ssh app \"/tmp/lifecycle/cf-pcap -interface lo -filter 'tcp port 8080'\""
    remote.capture(example, path, instance_ports=ENVOY_PORTS)
    for number in range(3):
        remote.run(f"curl -sk --max-time 10 https://10.9.0.1:61001/secret-{number}")
    wait_until(lambda: b"GET /secret-2 HTTP/1." in path.read_bytes())
    remote.end()
    payloads = b"".join(record.data for record in read_pcap(path).records)
    for number in range(3):
        assert b"GET /secret-%d HTTP/1." % number in payloads
    assert b"HTTP/1.0 404 File not found" in payloads


def test_the_same_requests_on_eth0_are_ciphertext(remote):
    path = remote.folder / "capture.pcap"
    remote.capture(f"ssh app {HELPER} -interface eth0 tcp port 61001", path, instance_ports=ENVOY_PORTS)
    remote.run("curl -sk --max-time 10 https://10.9.0.1:61001/secret")
    wait_until(lambda: len(read_pcap(path).records) > 10)
    assert b"/secret" not in path.read_bytes()


def test_tcpdump_reads_along(remote, chatter):
    chatter()
    result = remote.run(f"ssh app {HELPER} -interface lo -count 5 udp port 9999 | tcpdump -nr -",
                        instance_ports=ENVOY_PORTS)
    assert result.stdout.count(b"127.0.0.1.9999: UDP, length 100") == 5


# The guard

IDLE = [("app-tls", "lo", ENVOY_PORTS), ("app-tls", "eth0", ENVOY_PORTS), ("app-tls", "any", ENVOY_PORTS),
        ("app-tls", "lo", None), ("app", "lo", PLAIN_PORTS), ("app", "eth0", PLAIN_PORTS),
        ("app", "any", PLAIN_PORTS), ("app", "eth0", "[]")]


def test_an_idle_capture_does_not_feed_on_itself(remote):
    """Eight at once, which is as many as there may be; each over 5 s."""
    clients = [remote.spawn(f"ssh {host} {HELPER} -interface {interface} -duration 5s",
                            instance_ports=ports, stdout=subprocess.PIPE)
               for host, interface, ports in IDLE]
    for case, client in zip(IDLE, clients):
        out, err = client.communicate(timeout=60)
        assert client.returncode == 0, (case, err)
        assert b"not tcp port 2222" in err, case
        read_pcap(out)
        assert len(out) < IDLE_BYTES_MOST, (case, len(out))


@over_openssh
@pytest.mark.parametrize("interface", ["lo", "eth0", "any"])
def test_an_ordinary_sshd_connection_is_left_out_too(remote, interface):
    result = remote.run(f"ssh app {HELPER} -interface {interface} -duration 4s", plain_ssh=True)
    assert result.returncode == 0, result.stderr
    assert b"src host 10.9.0.2 and tcp src port" in result.stderr
    assert len(result.stdout) < IDLE_BYTES_MOST


def ran_away(result):
    return b'msg="reached maximum size, stopping capture"' in result.stderr and len(result.stdout) > 500_000


@pytest.mark.parametrize("host, interface", [("app-tls", "lo"), ("app-tls", "eth0"), ("app-tls", "any"),
                                             ("app", "eth0"), ("app", "any")])
def test_without_the_guard_it_would_feed_on_itself(remote, host, interface):
    flags = f"-interface {interface} -no-ssh-guard -max-size 600k -duration 20s"
    result = remote.run(f"ssh {host} {HELPER} {flags}",
                        instance_ports=ENVOY_PORTS)
    assert ran_away(result), result.stderr


def test_a_user_is_warned_where_no_guard_can_be_made(remote):
    """Neither variable, and another interface than lo: nothing says which port is ssh."""
    result = remote.run(f"ssh app {HELPER} -interface eth0 -max-size 600k -duration 20s")
    assert b'level=WARN msg="no ssh session is known' in result.stderr
    assert ran_away(result), result.stderr


# The ends


EVERY_END = [(host, number) for host in ("app", "app-tls")
             for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def end_client(remote, host, number, packets):
    """Of a capture on lo, after some packets if there are any."""
    path = remote.folder / "capture.pcap"
    client = remote.capture(f"ssh {host} {HELPER} -interface lo", path, instance_ports=ENVOY_PORTS)
    wait_until(lambda: len(remote.container.captures()) == 1)  # the helper is gone, or about to be
    if packets:
        wait_until(lambda: path.stat().st_size > 1000)
    os.killpg(client.pid, number)
    client.wait(10)
    assert_gone(remote)
    assert_intact(path)


@pytest.mark.parametrize("host, number", EVERY_END)
def test_nothing_is_left_when_the_client_is_ended(remote, chatter, host, number):
    chatter()
    end_client(remote, host, number, packets=True)


@over_openssh
@pytest.mark.parametrize("host, number", EVERY_END)
def test_nothing_is_left_when_the_client_of_a_quiet_capture_is_ended(remote, host, number):
    end_client(remote, host, number, packets=False)


def bytes_written(container):
    """By the only capture; None when it is gone."""
    try:
        return [int(line.split()[1]) for capture in container.captures()
                for line in Path(f"/proc/{capture}/io").read_text().splitlines()
                if line.startswith("wchar:")][0]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def is_stalled(container):
    before = bytes_written(container)
    time.sleep(0.3)
    return before == bytes_written(container)


def test_nothing_is_left_when_a_stalled_client_is_killed(remote, chatter):
    """The capture cannot write then, since the pipe is full (or sshd was first to give up)."""
    path = remote.folder / "capture.pcap"
    chatter(size=60000, pause=0.0005)
    client = remote.capture(f"ssh app {HELPER} -interface lo", path, instance_ports=ENVOY_PORTS)
    os.killpg(client.pid, signal.SIGSTOP)
    wait_until(lambda: is_stalled(remote.container), 30)
    os.killpg(client.pid, signal.SIGKILL)
    assert_gone(remote)


def cut_network(remote):
    """sshd notices by its keepalive, or by TCP giving up; from then on the capture has a second.
    The kernel's own ICMP on lo, when it finds no way, is filtered out."""
    path = remote.folder / "capture.pcap"
    remote.capture(f"ssh app {HELPER} -interface lo udp port 9999", path, instance_ports=ENVOY_PORTS)
    ip("-n", remote.container.peer, "link", "set", "gen0", "down")
    try:
        wait_until(lambda: not sockets(remote.container, 2222, ESTABLISHED), 30)
        assert_gone(remote)
        assert_intact(path)
    finally:
        ip("-n", remote.container.peer, "link", "set", "gen0", "up")


def test_nothing_is_left_when_the_network_is_cut(remote, chatter):
    chatter()
    cut_network(remote)


@over_openssh
def test_nothing_is_left_when_the_network_of_a_quiet_capture_is_cut(remote):
    cut_network(remote)


def test_a_terminal_is_refused_with_the_way_out(remote):
    result = remote.run(f"ssh -tt app {HELPER} -interface lo", instance_ports=ENVOY_PORTS)
    assert result.returncode == 1
    assert b"refusing to write binary pcap to a terminal" in result.stdout  # where a pty merges both
    assert b"without -t" in result.stdout
    assert b"\xd4\xc3\xb2\xa1" not in result.stdout
    assert_gone(remote)


def test_ctrl_c_in_a_terminal_ends_a_capture_into_a_file_of_the_container(remote, chatter):
    chatter()
    inside = remote.container.root / "home/vcap/inside.pcap"
    client = remote.spawn(f"ssh -tt app '{HELPER} -interface lo > /home/vcap/inside.pcap'",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, instance_ports=ENVOY_PORTS)
    wait_until(lambda: inside.exists() and inside.stat().st_size > 1000)
    client.stdin.write(b"\x03")
    client.stdin.flush()
    shown = client.stdout.read()
    assert b"signal=interrupt" in shown and b"stopped capture" in shown
    assert_gone(remote)
    assert len(read_pcap(inside).records) > 0
    inside.unlink()


def test_a_terminal_that_hangs_up_ends_it_too(remote, chatter):
    chatter()
    inside = remote.container.root / "home/vcap/inside.pcap"
    client = remote.spawn(f"ssh -tt app '{HELPER} -interface lo > /home/vcap/inside.pcap'",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, instance_ports=ENVOY_PORTS)
    wait_until(lambda: inside.exists() and inside.stat().st_size > 1000)
    os.killpg(client.pid, signal.SIGKILL)
    assert_gone(remote)
    assert len(read_pcap(inside).records) > 0
    inside.unlink()


@over_openssh  # whose server understands that its client wants no more
def test_head_at_home_ends_it(remote, chatter):
    chatter()
    result = remote.run(f"ssh app {HELPER} -interface lo | head -c 1000", instance_ports=ENVOY_PORTS)
    assert len(result.stdout) == 1000
    assert_gone(remote)


def test_head_in_the_container_ends_it_without_another_packet(remote):
    result = remote.run(f"ssh app '{HELPER} -interface lo | head -c 24'", instance_ports=ENVOY_PORTS)
    assert len(result.stdout) == 24
    assert b"the reader of stdout is gone" in result.stderr
    assert_gone(remote)


@over_openssh
def test_a_full_disk_at_home_ends_it(remote, chatter):
    chatter(size=20000, pause=0.001)
    remote.run(f"ssh app {HELPER} -interface lo > /dev/full", instance_ports=ENVOY_PORTS)
    assert_gone(remote)


def test_a_pipe_without_a_reader_ends_it_in_every_image(any_container):
    reader, writer = os.pipe()
    capture = any_container.spawn(HELPER, "-interface", "lo", stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    assert len(os.read(reader, 24)) == 24
    os.close(reader)
    assert capture.wait(GONE_S) == 0
    assert any_container.captures() == []
