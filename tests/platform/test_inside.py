"""Captures in a container as Garden makes it, whatever its image and its user."""
import signal
import subprocess
from pathlib import Path

import pytest
from container import LIFECYCLE, VCAP_ON_CELL
from support import enter_namespace, read_pcap, summary, wait_until

HELPER = f"{LIFECYCLE}/cf-pcap"
SEND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range({count}):
    s.sendto(b"%08d" % i, ("{address}", 9999))
"""


def send(container, count, address="127.0.0.1", peer=False):
    subprocess.run(["python3", "-c", SEND.format(count=count, address=address)], check=True,
                   preexec_fn=lambda: enter_namespace(container.peer if peer else container.name))


class Capture:
    """A capture inside, into a file outside."""

    def __init__(self, container, path, *flags, **options):
        self.path, self.error_path = path, Path(f"{path}.err")
        with open(path, "wb") as out, open(self.error_path, "wb") as err:
            self.process = container.spawn(HELPER, *flags, stdout=out, stderr=err, **options)
        wait_until(lambda: path.stat().st_size >= 24 or self.process.poll() is not None)
        assert self.process.poll() is None, self.error_path.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(), self.error_path.read_text()


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


@pytest.mark.parametrize("uid", [2000, VCAP_ON_CELL, 0])
def test_every_user_captures_lo_in_every_image(any_container, tmp_path, uid):
    capture = Capture(any_container, tmp_path / "out.pcap", "-interface", "lo", "-filter", "udp port 9999",
                      uid=uid)
    send(any_container, 100)
    status, messages = capture.stop()
    payloads = [record.data[42:] for record in read_pcap(capture.path).records]
    assert status == 0
    assert payloads == [b"%08d" % i for i in range(100)]
    assert summary(messages) == (100, capture.path.stat().st_size, 0)


@pytest.mark.parametrize("interface, header", [("eth0", 14), ("any", 20)])
def test_what_arrives_from_the_cell_is_captured(any_container, tmp_path, interface, header):
    capture = Capture(any_container, tmp_path / "out.pcap", "-interface", interface, "udp port 9999")
    send(any_container, 50, any_container.ADDRESS, peer=True)
    assert capture.stop()[0] == 0
    payloads = [record.data[header + 28:] for record in read_pcap(capture.path).records]
    assert payloads == [b"%08d" % i for i in range(50)]


@pytest.mark.parametrize("uid", [2000, VCAP_ON_CELL, 0])
def test_the_writer_in_a_container_has_no_privilege(any_container, tmp_path, uid):
    capture = Capture(any_container, tmp_path / "out.pcap", "-interface", "lo", uid=uid)
    status = status_of(capture.process.pid)
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[field], 16) == 0, field
    assert status["Name"] == "cf-pcap"
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["Seccomp_filters"]) == 2  # the container's, and its own
    capture.stop()


@pytest.mark.parametrize("uid", [2000, VCAP_ON_CELL, 0])
def test_the_writer_in_a_container_is_out_of_its_own_users_reach(container, tmp_path, uid):
    capture = Capture(container, tmp_path / "out.pcap", "-interface", "lo", uid=uid)
    pid = status_of(capture.process.pid)["NSpid"].split()[-1]
    attempts = [f"cat /proc/{pid}/environ", f"head -c 1 /proc/{pid}/mem", f"ls -l /proc/{pid}/fd/1",
                f"strace -p {pid} -o /dev/null"]
    for attempt in attempts:
        result = container.run("/bin/sh", "-c", attempt, uid=uid)
        assert result.returncode != 0, attempt
        assert b"Permission denied" in result.stderr or b"not permitted" in result.stderr, attempt
    assert capture.stop()[0] == 0


def test_the_interfaces_are_listed_in_every_image(any_container):
    result = any_container.run(HELPER, "-list-interfaces")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.decode().splitlines()] == ["lo", "eth0", "any"]


def test_a_duration_begins_with_the_capture(any_container):
    """However long it takes to start."""
    for _ in range(5):
        result = any_container.run(HELPER, "-interface", "lo", "-duration", "1ms")
        assert result.returncode == 0, result.stderr
        assert read_pcap(result.stdout).records == []


def test_names_in_a_filter_need_files_that_scratch_lacks(any_container):
    """An address needs no file; a name that nothing can resolve is named in the error."""
    result = any_container.run(HELPER, "-interface", "lo", "-duration", "10ms",
                               "host 127.0.0.1 and tcp port 80")
    assert result.returncode == 0, result.stderr
    result = any_container.run(HELPER, "-interface", "lo", "host nosuch.invalid")
    assert result.returncode == 1
    assert b"nosuch.invalid" in result.stderr


@pytest.mark.parametrize("uid", [2000, VCAP_ON_CELL])
def test_the_lifecycle_files_cannot_be_changed_from_inside(container, uid):
    for attempt in ("chmod 0777 cf-pcap", "echo x >> cf-pcap", "rm -f cf-pcap", "touch cf-pcap.policy"):
        result = container.run("/bin/sh", "-c", f"cd {LIFECYCLE} && {attempt}", uid=uid)
        assert result.returncode != 0, attempt
        assert b"Read-only file system" in result.stderr or b"Permission denied" in result.stderr


def test_what_garden_refuses_is_refused_here(container):
    """Otherwise these tests would prove less than they say."""
    program = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
for name, number in dict(close_range=436, pidfd_open=434, pidfd_getfd=438, clone3=435, landlock=444,
                         io_uring_setup=425, bpf=321, unshare=272).items():
    assert libc.syscall(number, 0, 0, 0, 0) == -1, name
    print(name, errno.errorcode[ctypes.get_errno()])
"""
    result = container.run("/usr/bin/python3", "-c", program)
    assert result.returncode == 0, result.stderr
    refusals = dict(line.split() for line in result.stdout.decode().splitlines())
    assert len(refusals) == 8
    assert set(refusals.values()) <= {"EPERM", "ENOSYS"}, refusals
