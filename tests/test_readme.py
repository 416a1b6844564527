"""The pages' commands, flags and targets are those of the program."""
import re
import shlex
import subprocess

import pytest

from support import ROOT, read_pcap

README = (ROOT / "README.md").read_text()
OPERATOR = (ROOT / "OPERATOR.md").read_text()
PAGES = [ROOT / f"{name}.md" for name in ("README", "OPERATOR", "SECURITY", "KERNELS", "PERFORMANCE", "CONTRIBUTING")]
EVERYTHING = "".join(page.read_text() for page in PAGES)
OVER_SSH = re.findall(r'cf ssh app -c "/tmp/lifecycle/cf-pcap ([^"]*)"', README)


def test_every_flag_of_the_program_is_in_the_table_and_no_other(tools, ns):
    shown = tools.run(ns, "-help").stdout.decode()
    flags = set(re.findall(r"^  -([a-z0-9-]+)", shown, re.M))
    table = README.split("| flag | meaning")[1].split("\n\n")[0]
    assert set(re.findall(r"`-([a-z0-9-]+)", table)) == flags


@pytest.mark.parametrize("command", sorted(set(OVER_SSH)))
def test_a_command_over_ssh_captures(tools, ns, command):
    """Word for word, but for where the program is and when it ends; eth0 is called cap0 here."""
    words = [word.replace("eth0", "cap0") for word in shlex.split(command)]
    limits = [] if "-duration" in words else ["-duration", "1s"]
    words = [re.sub(r"^\d+s$", "1s", word) for word in words]
    done = tools.run(ns, *words, *limits)
    assert done.returncode == 0
    assert done.stdout[:4] == b"\x0a\x0d\x0d\x0a" if "pcapng" in words else read_pcap(done.stdout).snaplen == 262144


def test_the_readme_is_short():
    assert len(README.split()) <= 1200


def test_every_make_target_exists():
    targets = set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", EVERYTHING, re.M))
    assert {"demo", "check", "lifecycle", "deb", "fuzz", "bench"} <= targets
    for target in targets:
        subprocess.run(["make", "-C", ROOT, "-n", target], check=True, stdout=subprocess.DEVNULL)


def test_every_file_it_names_is_there():
    for name in re.findall(r"\]\(([^)#]+)\)", EVERYTHING):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("policy", re.findall(r"^```policy\n(.*?)^```", OPERATOR, re.M | re.S))
def test_a_policy_to_copy_limits_captures(stage, tools, ns, policy):
    """Beside the installed program, for a moment; eth0 is called cap0 here."""
    path = stage / "cf-pcap.policy"
    path.write_text(policy)
    try:
        done = tools.run(ns, "-interface", "lo", "-duration", "100ms")
    finally:
        path.unlink()
    assert done.returncode == 0 and b"limited by the operator's policy" in done.stderr
    for line in policy.splitlines():
        assert f"{line.split()[0]}=".encode() in done.stderr
