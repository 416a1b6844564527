"""What is left to somebody who has taken over the writer or the helper: not one frame sent, no way out."""
import re
import shutil
import signal
import subprocess

import pytest

from hostile.arena import HERE, ROOT, Witness, give_capability, run

PROBES = re.findall(r'^\t\t\{ "(\w+)", (?:SYS_|-)', (HERE / "probe.c").read_text(), re.M)
# libpcap needs these in the helper, on a socket whose filter is not locked yet: none of them sends.
HELPER_NEEDS = {"bind", "filter_attach", "filter_detach", "filter_unlock", "membership", "rx_ring",
                "version", "fanout",
                "close_stdout", "close_stderr", "close_stdout_high_bits"}
# Its descriptors are the writer's: 1 and 2 are closed there already.
WRITERS_ALONE = {"close_stdout", "close_stderr", "close_stdout_high_bits"}
HELPER_SEES_NO_FILE = {"open", "openat", "write", "write_high_bits"}  # ENOENT, whatever is there
SENDING = {"write", "write_high_bits", "writev", "sendto", "sendmsg", "sendmmsg"}
# Of the rest, what works in a process of this kind that has no sandbox.
WORKS_UNCONFINED = SENDING | {
    "membership", "rx_ring", "qdisc_bypass", "socket_unix", "socketpair", "open", "openat",
    "memfd_create", "execve",
    "execveat", "clone", "clone3", "fork", "mprotect_exec", "mmap_exec", "dup", "dup2_stdout", "dup3_stdout",
    "fcntl_dupfd", "prctl_dumpable", "chdir", "close_stdout", "close_stderr", "close_stdout_high_bits"}


def build_with_probe(folder, program, wraps, define):
    """An installation in which one program has the probe inside. Made by the Makefile itself."""
    probe = folder / "probe.o"
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-w", "-fPIE", *define, "-c", "-o", probe,
                    HERE / "probe.c"], check=True)
    build = folder / "build"
    flags = " ".join([str(probe), *[f"-Wl,--wrap={symbol}" for symbol in ("sandbox_enter", *wraps)]])
    for name in ("cf-pcap-writer", "cf-pcap"):  # the second carries the first
        subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={build}", "LTO=",
                        *([f"LDFLAGS={flags}"] if name == program else []), f"{build}/{name}"],
                       check=True, stdout=subprocess.DEVNULL)
    shutil.copy(build / "cf-pcap", folder / "cf-pcap")
    give_capability(folder / "cf-pcap")
    return folder / "cf-pcap"


@pytest.fixture(scope="module")
def taken_writer(attackers):
    (attackers / "writer").mkdir()
    return build_with_probe(attackers / "writer", "cf-pcap-writer", ["ring_map"], ["-DIN_WRITER"])


@pytest.fixture(scope="module")
def taken_helper(attackers):
    (attackers / "helper").mkdir()
    return build_with_probe(attackers / "helper", "cf-pcap", ["pcap_compile"], [])


@pytest.fixture(scope="module")
def kills(attackers):
    """How the kernel ends who calls what he must not: of a kernel without an i386 entry, so does the entry itself."""
    source = attackers / "i386.c"
    source.write_text('int main(void)\n{\n\tlong number = 20;\n\t__asm__ volatile("int $0x80" : "+a"(number));\n}\n')
    subprocess.run(["gcc", "-o", attackers / "i386", source], check=True)
    has_entry = subprocess.run([attackers / "i386"]).returncode != -signal.SIGSEGV
    return {probe: {"killed"} if has_entry or not probe.endswith("_i386") else {"killed", "no entry"}
            for probe in PROBES}


def outcome(program, ns, mode, probe):
    done = run([program, "-interface", "lo", "-no-ssh-guard"], ns, env={"SSH_CONNECTION": f"{mode}-{probe}"}, timeout=20)
    messages = done.stderr.decode(errors="replace")
    if done.returncode == -31 or "signal=31" in messages:
        return "killed"
    if done.returncode == -signal.SIGSEGV or "signal=11" in messages:
        return "no entry" if probe.endswith("_i386") else "crashed"
    found = re.search(rf"PROBE {probe} (\w+) errno=(\d+)", messages)
    if found:
        return found[1]
    # It went on as another program, or its own voice is gone: that is what was asked for.
    return "WORKED" if mode == "weak" and probe in ("execve", "execveat", "close_stderr") else f"? {messages}"


def outcomes(program, ns, mode, probes):
    """{probe: outcome}, and the frames that were seen meanwhile."""
    with Witness(ns) as witness:
        found = {probe: outcome(program, ns, mode, probe) for probe in probes}
        return found, [frame for frame in witness.frames() if b"INJECTED" in frame]


def test_the_probes_work_in_a_writer_without_a_sandbox(taken_writer, ns):
    found, frames = outcomes(taken_writer, ns, "weak", sorted(WORKS_UNCONFINED))
    assert {probe: what for probe, what in found.items() if what != "WORKED"} == {}
    assert len(frames) >= len(SENDING)


def test_the_probes_work_in_a_helper_without_a_sandbox(taken_helper, ns):
    probes = sorted((WORKS_UNCONFINED | {"filter_attach", "filter_unlock", "pass_to_resolver"}) - {"execve", "execveat"} - WRITERS_ALONE)
    found, frames = outcomes(taken_helper, ns, "weak", probes)
    assert {probe: what for probe, what in found.items() if what != "WORKED"} == {}
    assert len(frames) >= len(SENDING)


def test_a_taken_over_writer_dies_of_every_call_that_is_not_its_own(taken_writer, ns, kills):
    found, frames = outcomes(taken_writer, ns, "probe", PROBES)
    # It may give its capability up, and nothing it could take is of use to it: there is no socket() on its list.
    assert {probe: what for probe, what in found.items() if what not in kills[probe]} == {"capset": "failed"}
    assert frames == []


def test_a_taken_over_helper_dies_of_every_call_that_is_not_its_own(taken_helper, ns, kills):
    found, frames = outcomes(taken_helper, ns, "probe", PROBES)
    assert {probe: found[probe] for probe in PROBES if probe not in HELPER_NEEDS | HELPER_SEES_NO_FILE
            and found[probe] not in kills[probe]} == {}
    assert {found[probe] for probe in HELPER_SEES_NO_FILE} == {"failed"}
    assert frames == []
