"""The golden sandboxes: what each process may call, for every number of a call, compared with a list that says why."""
import errno
import itertools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest

from hostile.arena import HERE, ROOT, status_of
from hostile.bpf import ALLOW, AUDIT_ARCH, ERRNO, KILL_PROCESS, call_number, from_bytes, programs, run
from hostile.tracer import DETACH, Traced, filter_of, next_call, ptrace, stopped
from support import wait_until

PROCESSES = ["helper", "writer", "guard", "merger"]
ARCHITECTURES = ["x86_64", "aarch64"]
X32 = 0x40000000
# Every number that a kernel gives to a call is below 1024; then x32's, and what no call has.
NUMBERS = [*range(1024), *range(X32, X32 + 1024), 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
           *(1 << bit for bit in range(10, 31)), *(X32 | 1 << bit for bit in range(10, 30)), *range(0xF0000, 0xF0010)]
MUTATIONS = ["pkey_mprotect", "openat2", "vfork", "io_uring_enter", "process_vm_writev", "socket", "execve", "sendmsg",
             "mprotect", "recvmmsg", "pidfd_getfd", "dup3"]

pytestmark = pytest.mark.plain_build


@dataclass(frozen=True)
class Condition:
    """arg & mask == value, in 32 bits."""

    argument: int
    mask: int
    value: int

    def holds(self, arguments):
        return arguments[self.argument] & self.mask == self.value


LINE = re.compile(r"(\w+)(?:\((.*)\))?( = ENOENT)?")
CONDITION = re.compile(r"arg([0-5])(?: & (0x[0-9a-f]+))? == (0x[0-9a-f]+)")


def parse(text):
    """[(call, conditions, action)], from a golden list or what the rules' own list prints."""
    rules = []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, conditions, absent = LINE.fullmatch(line).groups()
        parsed = tuple(Condition(int(arg), int(mask or "0xffffffff", 16), int(value, 16)) for arg, mask, value in
                       (CONDITION.fullmatch(word).groups() for word in (conditions or "").split(", ") if word))
        rules.append((name, parsed, ERRNO | errno.ENOENT if absent else ALLOW))
    return rules


def golden(process):
    return parse((HERE / "sandbox" / f"{process}.txt").read_text())


def expected(rules, arguments):
    """Of the rules for one call."""
    return next((action for _, conditions, action in rules
                 if all(condition.holds(arguments) for condition in conditions)), KILL_PROCESS)


def around(constants):
    """Values at which a comparison with one of these could change its mind, and others far away."""
    values = {0, 1, 2, 3, 4, 7, 8, 15, 16, 0xFFFFFFFF, 1 << 32, 0xFFFFFFFF << 32}
    for constant in set(constants) - {0xFFFFFFFF}:
        values |= {constant - 1, constant, constant + 1, constant | 1 << 32, constant | 0xFFFFFFFF << 32}
    return sorted(value & (1 << 64) - 1 for value in values)


def differences(program, arch, rules):
    """What the program and the rules judge differently, for each number and architecture entry; at most one of a call."""
    of_number = {}
    for rule in rules:
        number = call_number(rule[0], arch)
        if number >= 0:  # some calls are x86's alone
            of_number.setdefault(number, []).append(rule)
    found = []
    for number in NUMBERS:
        mine = of_number.get(number, [])
        first = run(program, AUDIT_ARCH[arch], number)
        arguments = first.looked_at | {condition.argument for _, conditions, _ in mine for condition in conditions}
        if not arguments:  # then nothing hangs on them
            if first.action != expected(mine, (0,) * 6):
                found.append((number, first.action))
            continue
        constants = {(condition.argument, value) for _, conditions, _ in mine for condition in conditions
                     for value in (condition.mask, condition.value)}
        constants |= first.constants
        while True:  # what it is compared with may depend on what it is
            grown = set(constants)
            choices = [around(constant for where, constant in constants if where == argument) if argument in arguments
                       else [0] for argument in range(6)]
            for values in itertools.product(*choices):
                outcome = run(program, AUDIT_ARCH[arch], number, values)
                grown |= outcome.constants
                assert outcome.looked_at <= arguments
                if outcome.action != expected(mine, values):
                    found.append((number, values, outcome.action))
                    break
            else:
                if grown != constants:
                    constants = grown
                    continue
            break
    return found


def made(folder):
    """{process: {architecture: program}}, as the build carries them."""
    return {process: programs((folder / "sandbox" / f"{process}.c").read_text()) for process in PROCESSES}


def build(folder, *sources):
    """The sandboxes, in a folder of their own. Returns it."""
    targets = [folder / "sandbox" / f"{process}.c" for process in PROCESSES]
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={folder}", "SANITIZE=", *sources, *targets],
                   check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def sandboxes(tmp_path_factory):
    return made(build(tmp_path_factory.mktemp("sandboxes")))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_may_call_what_its_list_says_and_nothing_else(sandboxes, process, arch):
    assert differences(sandboxes[process][arch], arch, golden(process)) == []


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("process", PROCESSES)
def test_through_another_architectures_entry_nothing_can_be_called(sandboxes, process, arch):
    for other in set(AUDIT_ARCH) - {arch}:
        for number in NUMBERS:
            outcome = run(sandboxes[process][arch], AUDIT_ARCH[other], number)
            assert (outcome.action, outcome.looked_at) == (KILL_PROCESS, set()), (other, number)


@pytest.mark.parametrize("process", PROCESSES)
def test_each_line_of_a_list_says_why_and_the_rules_have_the_same(sandboxes, process, tmp_path):
    build(tmp_path)
    told = subprocess.run([tmp_path / "sandbox" / "export", "list", process], check=True, stdout=subprocess.PIPE)
    assert parse(told.stdout.decode()) == golden(process)
    lines = (HERE / "sandbox" / f"{process}.txt").read_text().splitlines()
    assert sum("#" in line for line in lines) > len(lines) // 2
    names = [name for name, _, _ in golden(process)]
    assert [name for name in names if call_number(name, "x86_64") < 0] == []


SOURCES = {"helper": "helper/sandbox_rules.c", "writer": "writer/sandbox_rules.c",
           "guard": "writer/setup/guard_rules.c", "merger": "collector/sandbox_rules.c"}


def with_rule(folder, process, rule):
    """{architecture: program} of a process's rules with one more in front of them."""
    for path in [*ROOT.glob("common/*.h"), *ROOT.glob("helper/*.h"), *ROOT.glob("writer/**/*.h"), *ROOT.glob("collector/*.h"),
                 *(ROOT / source for source in [*SOURCES.values(), "sandbox/export.c"])]:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    source = folder / SOURCES[process]
    before = source.read_text()
    source.write_text(before.replace("RULES[] = {", f"RULES[] = {{ {rule},", 1))
    assert source.read_text() != before
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-w", "-I.", "-Iwriter", "-o", "export", *SOURCES.values(),
                    "sandbox/export.c", "-lseccomp"], check=True, cwd=folder)
    return programs(subprocess.run([folder / "export", "code", process], check=True,
                                   stdout=subprocess.PIPE).stdout.decode())


@pytest.mark.parametrize("call", MUTATIONS)
@pytest.mark.parametrize("process", PROCESSES)
def test_one_call_more_is_seen(tmp_path, process, call):
    changed = with_rule(tmp_path, process, f"SANDBOX_ALLOW({call})")
    for arch in ARCHITECTURES:
        number = call_number(call, arch)
        if number >= 0:
            assert number in [difference[0] for difference in differences(changed[arch], arch, golden(process))]


@pytest.mark.parametrize("process, rule", [
    ("helper", "SANDBOX_ALLOW_IF(setsockopt, SANDBOX_ARGUMENT_IS(1, SOL_PACKET), SANDBOX_ARGUMENT_IS(2, PACKET_TX_RING))"),
    ("helper", "SANDBOX_ALLOW_IF(sendto, SANDBOX_ARGUMENT_IS(0, 4))"),
    ("helper", "SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_LACKS(2, PROT_WRITE))"),
    ("writer", "SANDBOX_ALLOW_IF(write, SANDBOX_ARGUMENT_IS(0, 3))"),
    ("writer", "SANDBOX_ALLOW_IF(write, SANDBOX_ARGUMENT_LACKS(0, 0xff))"),
    ("writer", "SANDBOX_ALLOW_IF(close, { 0, SCMP_CMP_EQ, 1u })"),
    ("writer", "SANDBOX_ALLOW_IF(close, { 0, SCMP_CMP_EQ, 0x100000003u })"),
    ("writer", "SANDBOX_ALLOW_IF(ioctl, SANDBOX_ARGUMENT_IS(0, 2))"),
    ("guard", "SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_IS(2, 7))"),
    ("guard", "SANDBOX_ALLOW_IF(write, SANDBOX_ARGUMENT_IS(0, 0))"),
    ("merger", "SANDBOX_ALLOW_IF(recvmsg, SANDBOX_ARGUMENT_IS(0, 4))"),
    ("merger", "SANDBOX_ALLOW_IF(mmap, SANDBOX_ARGUMENT_LACKS(2, PROT_READ))")])
def test_one_condition_less_is_seen(tmp_path, process, rule):
    changed = with_rule(tmp_path, process, rule)
    for arch in ARCHITECTURES:
        assert differences(changed[arch], arch, golden(process)) != []


def test_the_processes_run_what_the_build_carries(stage, ns, place):
    """Asked of the kernel, of a capture's three processes that have a sandbox."""
    arch = os.uname().machine
    carried = {process: program[arch] for process, program in made(ROOT / "build").items()}
    with open(place / "out.pcap", "wb") as out, \
            Traced([stage / "cf-pcap", "-interface", "lo"], ns, env={"CF_INSTANCE_PORTS": "[]"}, stdout=out,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as traced:
        while next_call(traced.child)[0] != "write":
            pass
        assert from_bytes(filter_of(traced.child)) == carried["guard"]
        ptrace(DETACH, traced.child)
        wait_until(lambda: status_of(traced.helper)["Seccomp"].strip() == "2", timeout=60)
        with stopped(traced.helper):
            assert from_bytes(filter_of(traced.helper)) == carried["helper"]
        traced.release()
        wait_until(lambda: os.path.getsize(place / "out.pcap") == 24, timeout=60)
        with stopped(traced.writer):
            assert from_bytes(filter_of(traced.writer)) == carried["writer"]
