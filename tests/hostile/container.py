"""
Runs a program as an ordinary user in user, pid, mount and network namespaces of its own, with
Garden's uid map: 0 is nobody's, every other number is itself.   container.py UID PROGRAM [ARGUMENT...]
"""
import ctypes
import os
import signal
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
MS_NOSUID_NODEV_NOEXEC, MS_REC_PRIVATE = 14, 16384 | 1 << 18
ID_MAP = "0 4294967294 1\n1 1 4294967293\n"
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def first_process(uid, argv):
    call("mount", b"none", b"/", None, MS_REC_PRIVATE, None)
    call("mount", b"proc", b"/proc", b"proc", MS_NOSUID_NODEV_NOEXEC, None)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(argv[0], argv)


def inside(unshared, mapped, uid, argv):
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)
    os.write(unshared, b"x")
    os.read(mapped, 1)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.fork() == 0:
        first_process(uid, argv)
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))


def main():
    uid, argv = int(sys.argv[1]), sys.argv[2:]
    told, unshared = os.pipe()
    mapped, tell = os.pipe()
    child = os.fork()
    if child == 0:
        inside(unshared, mapped, uid, argv)
    os.read(told, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
            file.write(ID_MAP)
    os.write(tell, b"x")
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))


if __name__ == "__main__":
    main()
