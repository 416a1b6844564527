"""The helper answers one whole, valid request; anything else ends it, and no packet fd comes out."""
import re
import subprocess

import pytest

from hostile.arena import HERE, ROOT, give_capability, run

SCENARIOS = re.findall(r"SCENARIO\((\w+)\)[,\s]", (HERE / "serve_driver.c").read_text().split("SCENARIOS[] =")[1])
WRAPS = ["socket", "bind", "setsockopt", "mmap", "getaddrinfo", "freeaddrinfo", "gethostbyname", "getnetbyname_r",
         "getprotobyname_r", "ether_hostton"]


@pytest.fixture(scope="module")
def driver(attackers):
    """The helper's objects as they are installed, but for main()."""
    build = ROOT / "build"
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "SANITIZE=", "BUILD=build", "build/cf-pcap"], check=True,
                   stdout=subprocess.DEVNULL)
    objects = [build / path.relative_to(ROOT).with_suffix(".o") for folder in ("helper", "common")
               for path in (ROOT / folder).glob("*.c") if path.name not in ("main.c", "sandbox_rules.c")]
    target = attackers / "serve_driver"
    linked = subprocess.run(["gcc", "-D_GNU_SOURCE", "-w", "-static", *[f"-Wl,--wrap={name}" for name in WRAPS],
                             "-I.", "-o", target, HERE / "serve_driver.c", *objects,
                             build / "sandbox/helper.o", build / "tail/headers_tails.o", "-lpcap", "-lcap"],
                            check=False, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert linked.returncode == 0, linked.stderr
    give_capability(target, "cap_net_raw=p")
    return target


def play(driver, ns, scenario):
    done = run([driver, scenario], ns, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split()


def test_a_whole_and_valid_request_is_answered_with_a_packet_fd(driver, ns):
    assert play(driver, ns, "good") == ["fd", "0", "exited", "0"]


# A descriptor that comes with a message is never taken: not by the kernel's recv(2), and recvmsg(2) is death.
WITH_DESCRIPTORS = ["one_fd", "many_fds", "fds_at_the_end", "answer_with_fds"]
AFTER_THE_SOCKET = {"status_twice": ["none", "2", "exited", "0"], "status_rubbish": ["none", "0", "exited", "1"],
                    "status_second_request": ["none", "0", "exited", "1"]}


@pytest.mark.parametrize("scenario", WITH_DESCRIPTORS)
def test_a_descriptor_that_is_sent_to_the_helper_does_not_arrive(driver, ns, scenario):
    assert play(driver, ns, scenario) == ["fd", "0", "exited", "0"]


@pytest.mark.parametrize("scenario", AFTER_THE_SOCKET)
def test_once_the_socket_is_passed_on_only_its_state_is_told(driver, ns, scenario):
    assert play(driver, ns, scenario) == AFTER_THE_SOCKET[scenario]


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "good" and name not in WITH_DESCRIPTORS
                                      and name not in AFTER_THE_SOCKET])
def test_no_packet_fd_for(driver, ns, scenario):
    outcome, _, end, number = play(driver, ns, scenario)
    assert outcome == "none"
    # The end of the stream is the end of the helper, and no fault. A message of no bytes cannot be told from it.
    # Closed before it looked for the first time, it is one.
    ended = scenario in ("closed", "empty_at_the_end", "end_of_stream")
    assert end == "exited" and number in {"closed": ("0", "1")}.get(scenario, ("0",) if ended else ("1",))
