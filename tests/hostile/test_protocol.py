"""The helper answers one whole, valid request; anything else ends it, and no packet fd comes out."""
import re
import subprocess

import pytest

from hostile.arena import HERE, ROOT, give_capability, run

SCENARIOS = re.findall(r"SCENARIO\((\w+)\)[,\s]", (HERE / "serve_driver.c").read_text().split("SCENARIOS[] =")[1])
WRAPS = ["socket", "setsockopt", "mmap", "getaddrinfo", "freeaddrinfo", "gethostbyname", "getnetbyname_r",
         "getprotobyname_r", "ether_hostton"]


@pytest.fixture(scope="module")
def driver(stage, attackers):
    """The helper's objects as they are installed, but for main()."""
    build = attackers / "driver"
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={build}", f"{build}/cf-pcap"], check=True,
                   stdout=subprocess.DEVNULL)
    objects = [path for path in (build / "helper").glob("*.o") if path.name != "main.o"]
    target = attackers / "serve_driver"
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-w", "-static", *[f"-Wl,--wrap={name}" for name in WRAPS],
                    "-I.", "-o", target, HERE / "serve_driver.c", *objects,
                    *(build / "common").glob("*.o"), "-lpcap", "-lseccomp", "-lcap"],
                   check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
    give_capability(target, "cap_net_raw=p")
    return target


def play(driver, ns, scenario):
    done = run([driver, scenario], ns, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split()


def test_a_whole_and_valid_request_is_answered_with_a_packet_fd(driver, ns):
    assert play(driver, ns, "good") == ["fd", "exited", "0"]


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "good"])
def test_no_packet_fd_for(driver, ns, scenario):
    outcome, end, number = play(driver, ns, scenario)
    # A message of no bytes cannot be told from the end of the stream, on a SOCK_SEQPACKET.
    if scenario == "empty_at_the_end":
        assert (end, number) == ("exited", "0")
        return
    assert outcome == "none"
    assert end == "exited" and number == ("0" if scenario == "closed" else "1")
