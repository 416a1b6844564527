"""Classic BPF as seccomp(2) runs it: an interpreter, and the programs that the build carries."""
import ctypes
import re
import struct
from dataclasses import dataclass

KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028,
              "x86_64 without its 64 bits": 0x4000003E, "big-endian aarch64": 0x800000B7, "none": 0, "all": 0xFFFFFFFF}
LD_ABS, LD_IMM, RET_K, RET_A, AND_K = 0x20, 0x00, 0x06, 0x16, 0x54
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
JUMPS = {JEQ: lambda a, k: a == k, JGT: lambda a, k: a > k, JGE: lambda a, k: a >= k, JSET: lambda a, k: a & k != 0}
NUMBER_AT, ARCH_AT, ARGUMENTS_AT = 0, 4, 16

_seccomp = ctypes.CDLL("libseccomp.so.2")


def call_number(name, arch):
    """A call's number there; negative if it has none."""
    return _seccomp.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(AUDIT_ARCH[arch]), name.encode())


def programs(source):
    """{architecture: [(code, jt, jf, k)]} of a file that sandbox/export.c made."""
    found = {}
    for arch, body in re.findall(r"^#\w+ defined\(__(\w+?)__\)[^\n]*\n[^\n]*\{\n(.*?)\n\};", source, re.M | re.S):
        found[arch] = [tuple(int(word, 0) for word in line) for line in
                       re.findall(r"\{ (\w+), (\w+), (\w+), (\w+) \}", body)]
    return found


def from_bytes(code):
    return list(struct.iter_unpack("<HBBI", code))


@dataclass
class Outcome:
    action: int
    looked_at: set   # of the arguments
    constants: set   # (argument, constant) that it was compared with


def run(program, arch, number, arguments=(0,) * 6):
    """arch is an AUDIT_ARCH_ value."""
    data = struct.pack("<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), arch, 0, *arguments)
    accumulator, source, at = 0, None, 0
    outcome = Outcome(0, set(), set())
    while True:
        code, true, false, k = program[at]
        at += 1
        if code == LD_ABS:
            assert k % 4 == 0 and k < len(data)
            accumulator = struct.unpack_from("<I", data, k)[0]
            source = (k - ARGUMENTS_AT) // 8 if k >= ARGUMENTS_AT else None
            if source is not None:
                outcome.looked_at.add(source)
        elif code == AND_K:
            accumulator &= k
            if source is not None:
                outcome.constants.add((source, k))
        elif code in JUMPS:
            if source is not None:
                outcome.constants.add((source, k))
            at += true if JUMPS[code](accumulator, k) else false
        elif code == JA:
            at += k
        elif code == RET_K:
            outcome.action = k
            return outcome
        else:
            raise AssertionError(f"an instruction that is not known here: {code:#x}")
