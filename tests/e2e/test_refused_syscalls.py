"""Where a container's seccomp profile refuses system calls, cf-pcap does without them."""
import errno
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from e2e.traffic import Datagrams, numbers
from support import USER, wait_until

SOURCE = Path(__file__).with_name("refuse_syscalls.c")
# Not in Garden's list, platform.md's and design.md's words.
NEW_CALLS = ["close_range", "clone3", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
             "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
             "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "openat2", "faccessat2",
             "epoll_pwait2", "rseq", "process_vm_readv", "statx"]


@pytest.fixture(scope="session")
def wrapper(tmp_path_factory):
    path = tmp_path_factory.mktemp("wrapper") / "refuse_syscalls"
    subprocess.run(["cc", "-o", path, SOURCE, "-lseccomp"], check=True)
    return path


@pytest.fixture
def start(tools, ns, wrapper, tmp_path):
    """Starts a capture under a filter, into out.pcap and err."""
    started = []

    def run(error, names, *flags, **options):
        with open(tmp_path / "out.pcap", "wb") as out, open(tmp_path / "err", "wb") as err:
            started.append(subprocess.Popen(
                ["ip", "netns", "exec", ns.name, wrapper, str(error), str(USER), *names, "--",
                 tools.helper, "-interface", "lo", *flags], stdout=out, stderr=err, **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS])
@pytest.mark.parametrize("names", [NEW_CALLS, *([name] for name in NEW_CALLS[:3])])
def test_a_capture_works_where_new_system_calls_are_refused(start, ns, tmp_path, error, names):
    process = start(error, names, "-filter", "udp port 9999 and host localhost")
    out = tmp_path / "out.pcap"
    wait_until(lambda: out.stat().st_size == 24 or process.poll() is not None)
    assert process.poll() is None, (tmp_path / "err").read_text()
    with Datagrams(ns) as datagrams:
        datagrams.send(100)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert numbers(out) == list(range(100))


def test_inherited_descriptors_are_closed_without_close_range(start, ns, tmp_path):
    reader, inherited = os.pipe()
    process = start(errno.EPERM, ["close_range"], pass_fds=[inherited])
    os.close(inherited)
    # The end of the pipe: every process has closed the other side.
    assert select.select([reader], [], [], 10)[0] and os.read(reader, 1) == b""
    wait_until(lambda: (tmp_path / "out.pcap").stat().st_size == 24 or process.poll() is not None)
    assert process.poll() is None
    os.close(reader)


def test_a_refused_packet_socket_is_explained(start, tmp_path):
    process = start(errno.EPERM, ["socket:17"])  # AF_PACKET
    assert process.wait(10) == 1
    messages = (tmp_path / "err").read_text()
    assert 'msg="cannot capture packets"' in messages and "seccomp profile" in messages
    assert (tmp_path / "out.pcap").stat().st_size == 0


@pytest.mark.parametrize("call, message", [
    ("socketpair", "cannot start the capture process (does AppArmor deny unix sockets?): Permission denied"),
    ("execveat", "cannot execute the writer's copy in memory (is there a /dev/fd, and attach_disconnected in AppArmor's profile?): Permission denied")])
def test_what_a_security_module_denies_is_named(start, tmp_path, call, message):
    """With the module itself: tests/kernels."""
    process = start(errno.EACCES, [call])
    assert process.wait(10) == 1
    assert message in (tmp_path / "err").read_text()
    assert (tmp_path / "out.pcap").stat().st_size == 0


def test_no_executable_memory_file_is_explained(start, tmp_path):
    process = start(errno.EACCES, ["memfd_create"])  # as vm.memfd_noexec=2 does it
    assert process.wait(10) == 1
    messages = (tmp_path / "err").read_text()
    assert "vm.memfd_noexec" in messages and "set it to 0 or 1" in messages


@pytest.mark.plain_build  # the sanitizers bring their own malloc()
def test_a_malloc_that_advises_the_kernel_is_no_reason_to_die(tools, ns):
    """As it does by itself on some machines, in blocks of 2 MiB. Root, because others' tunables are not heard."""
    long = " or ".join(f"(host 10.0.{n}.1 and port {n + 1})" for n in range(100))
    done = ns.run(tools.helper, "-interface", "lo", "-duration", "50ms", "-filter", long, stdout=subprocess.PIPE,
                  stderr=subprocess.PIPE, env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})
    assert done.returncode == 0, done.stderr
