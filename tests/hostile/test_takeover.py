"""What is left to somebody who has taken over the writer or the helper: not one frame sent, no way out."""
import signal
import subprocess

import pytest

from hostile.arena import Witness, give_capability, run
from hostile.takeover import SENDING, build_with_probe, outcome, probes, surprises, works

PROBES = probes()


def taken(attackers, process):
    program = build_with_probe(attackers / "with_probe", process)
    give_capability(program)
    return program


@pytest.fixture(scope="module")
def taken_writer(attackers):
    return taken(attackers, "writer")


@pytest.fixture(scope="module")
def taken_helper(attackers):
    return taken(attackers, "helper")


@pytest.fixture(scope="module")
def kills(attackers):
    """How the kernel ends who calls what he must not: of a kernel without an i386 entry, so does the entry itself."""
    if "write_i386" not in PROBES:
        return {}
    source = attackers / "i386.c"
    source.write_text('int main(void)\n{\n\tlong number = 20;\n\t__asm__ volatile("int $0x80" : "+a"(number));\n}\n')
    subprocess.run(["gcc", "-o", attackers / "i386", source], check=True)
    has_entry = subprocess.run([attackers / "i386"]).returncode != -signal.SIGSEGV
    return {"write_i386": {"killed"} if has_entry else {"killed", "no entry"}}


def outcomes(program, ns, mode, names):
    """{probe: outcome}, and the frames that were seen meanwhile."""
    found = {}
    with Witness(ns) as witness:
        for probe in names:
            done = run([program, "-interface", "lo", "-no-ssh-guard"], ns, env={"SSH_CONNECTION": f"{mode}-{probe}"},
                       timeout=20)
            found[probe] = outcome(done.returncode, done.stderr.decode(errors="replace"), mode, probe)
        return found, [frame for frame in witness.frames() if b"INJECTED" in frame]


def test_the_probes_work_in_a_writer_without_a_sandbox(taken_writer, ns):
    found, frames = outcomes(taken_writer, ns, "weak", works("writer", PROBES))
    assert {probe: what for probe, what in found.items() if what != "WORKED"} == {}
    assert len(frames) >= len(SENDING)


def test_the_probes_work_in_a_helper_without_a_sandbox(taken_helper, ns):
    found, frames = outcomes(taken_helper, ns, "weak", works("helper", PROBES))
    assert {probe: what for probe, what in found.items() if what != "WORKED"} == {}
    assert len(frames) >= len(SENDING)


def test_a_taken_over_writer_dies_of_every_call_that_is_not_its_own(taken_writer, ns, kills):
    found, frames = outcomes(taken_writer, ns, "probe", PROBES)
    assert len(found) > 60 and surprises("writer", found, kills) == {}
    assert frames == []


def test_a_taken_over_helper_dies_of_every_call_that_is_not_its_own(taken_helper, ns, kills):
    found, frames = outcomes(taken_helper, ns, "probe", PROBES)
    assert len(found) > 60 and surprises("helper", found, kills) == {}
    assert frames == []
