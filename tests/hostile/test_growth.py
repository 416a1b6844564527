"""What runs with the capability stays as small as it was when it was read: a change here is to be read again."""
import re
import subprocess
from collections import Counter

import pytest

from hostile.arena import ROOT

LINES_MOST = 600
HELPER = sorted((ROOT / "helper").glob("*.[ch]"))
COMMON = sorted((ROOT / "common").glob("*.[ch]"))

INCLUDES = {
    "dirent.h", "errno.h", "fcntl.h", "limits.h", "linux/filter.h", "linux/if_packet.h", "linux/magic.h",
    "linux/memfd.h", "linux/securebits.h", "linux/sockios.h", "netdb.h", "netinet/ether.h", "netinet/in.h",
    "pcap/pcap.h", "seccomp.h", "signal.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
    "string.h", "sys/capability.h", "sys/mman.h", "sys/prctl.h", "sys/resource.h", "sys/sendfile.h",
    "sys/socket.h", "sys/stat.h", "sys/statvfs.h", "sys/time.h", "sys/types.h", "sys/vfs.h", "unistd.h"}

# Every function of somebody else's that is called.
CALLS = set("""
    _exit atoi cap_compare cap_free cap_from_text cap_get_ambient cap_get_proc cap_init cap_max_bits cap_set_proc close
    close_range closedir dirfd dprintf execveat faccessat fchmod fcntl fork fstat fstatat fstatvfs getpid getppid
    getsockopt getuid memchr memcmp memcpy memfd_create open openat opendir pcap_activate pcap_compile pcap_create
    pcap_datalink pcap_fileno pcap_geterr pcap_set_datalink pcap_set_promisc pcap_set_snaplen pcap_setfilter
    pcap_statustostr prctl read readdir readlink recvmsg seccomp_init seccomp_load seccomp_release seccomp_rule_add
    seccomp_rule_add_array send sendfile sendmsg setitimer setrlimit setsockopt sigemptyset signal sigprocmask snprintf
    socketpair statfs strchr strcmp strerror strlen strncmp strpbrk strrchr umask
    """.split())
WORDS = {"defined", "for", "if", "return", "sizeof", "while", "__attribute__", "cleanup", "__has_feature"}

# Calls that need a privilege, open something, or start something: where, and how often.
SENSITIVE = {
    "helper/image.c": {"open": 2, "openat": 2, "memfd_create": 2, "execveat": 1, "readlink": 1, "fchmod": 1,
                       "sendfile": 1},
    "helper/main.c": {"fork": 1, "privilege_drop_all": 1},
    "helper/serve.c": {"setrlimit": 1, "prctl": 1},
    "helper/sockets.c": {"privilege_set": 1, "privilege_drop_all": 1, "__real_socket": 3},
    "helper/start.c": {"open": 2, "opendir": 1, "prctl": 4, "privilege_set": 2},
    "common/channel.c": {"socketpair": 1},
    "common/privilege.c": {"cap_init": 1, "cap_get_proc": 1, "cap_get_ambient": 1, "cap_from_text": 1,
    "cap_set_proc": 1,
                           "prctl": 2, "privilege_set": 1},
}
WATCHED = re.compile(r"(?<![\w.>])((?:cap_(?!t\b|free|compare|max|value)\w+|privilege_(?:set|drop_all)|(?:__real_)?socket"
                     r"|socketpair|f?open(?:at)?|opendir|creat|memfd_create|readlink|fchmod|chmod|f?chown|mount|umount2?"
                     r"|setns|unshare|chroot|ptrace|prctl|syscall|fork|vfork|clone|exec[lv]\w*|posix_spawn\w*|system|popen"
                     r"|dlopen|set\w*[ug]id\w*|setgroups|setrlimit|prlimit|kill|sendfile|splice|dup[23]?|bpf|getenv"
                     r"|secure_getenv|connect|listen|accept\w*))\s*\(")
DEFINITION = re.compile(r"\w[\w ]*[ *]\w+\(")  # or a prototype: calls are indented

HELPER_SYSCALLS = {
    "recvmsg": 2, "sendmsg": 1, "sendto": 2, "bind": 2, "PACKET_VERSION": 1, "PACKET_RESERVE": 1,
    "PACKET_AUXDATA": 1, "PACKET_ADD_MEMBERSHIP": 1, "PACKET_IGNORE_OUTGOING": 1, "PACKET_RX_RING": 1,
    "SIOCGIFINDEX": 1,
    "SIOCGIFHWADDR": 1,
    "SIOCGIFMTU": 1, "SIOCGIFFLAGS": 1, "SIOCETHTOOL": 1, "getsockopt": 1, "eventfd2": 1, "uname": 1,
    "SO_ATTACH_FILTER": 1,
    "SO_DETACH_FILTER": 1, "SO_LOCK_FILTER": 1, "recvfrom": 2, "raw": 2, "cooked": 2, "mmap": 1, "munmap": 1,
    "mremap": 1,
    "brk": 1, "getrandom": 1, "close": 1, "restart_syscall": 1, "exit_group": 1}
HELPER_ABSENT = {"open", "openat", "stat", "newfstatat", "access", "readlink", "write", "madvise"}


def code(path):
    """Without comments and strings' contents."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.S)
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def count_lines(paths):
    return sum(1 for path in paths for line in code(path).splitlines() if line.strip())


def test_the_helpers_own_code_stays_under_600_lines():
    assert count_lines(HELPER) <= LINES_MOST


def test_nothing_new_is_included():
    text = "\n".join(path.read_text() for path in HELPER + COMMON)
    assert set(re.findall(r"^\s*#\s*include\s*<([^>]+)>", text, re.M)) == INCLUDES
    own = {path.name for path in HELPER + COMMON} | {f"common/{path.name}" for path in COMMON}
    assert set(re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M)) - own == set()


def calls_of_others(text):
    own = set(re.findall(r"^\w[\w *]*?[ *](\w+)\(", text, re.M))
    return set(re.findall(r"(?<![\w.>#])([a-z_]\w*)\s*\(", text)) - own - WORDS


def test_nothing_new_is_called():
    assert calls_of_others("\n".join(code(path) for path in HELPER + COMMON)) == CALLS


def test_no_new_call_needs_a_privilege_or_opens_or_starts_anything():
    found = {}
    for path in [path for path in HELPER + COMMON if path.suffix == ".c"]:
        lines = [line for line in code(path).splitlines() if not DEFINITION.match(line)]
        calls = Counter(WATCHED.findall("\n".join(lines)))
        if calls:
            found[f"{path.parent.name}/{path.name}"] = dict(calls)
    assert found == SENSITIVE


def test_the_search_for_calls_finds_them(tmp_path):
    source = 'int x(void)\n{\n\treturn open("a", 0) + execve(0, 0, 0) + setuid(0) /* fork() */;\n}\n'
    (tmp_path / "x.c").write_text(source)
    assert WATCHED.findall(code(tmp_path / "x.c")) == ["open", "execve", "setuid"]
    assert calls_of_others(code(tmp_path / "x.c")) == {"open", "execve", "setuid"}


def test_no_syscall_is_allowed_that_is_not_on_the_list():
    text = code(ROOT / "helper" / "sandbox_rules.c")
    absent = text[text.index("ABSENT[]"):text.index("};")]
    rules = text[text.index("rules[] ="):]
    rules = rules[:rules.index("};")]
    found = Counter(re.findall(r"(?:SANDBOX_ALLOW|SANDBOX_ALLOW_IF|ALLOW_ON|ALLOW_IOCTL|ALLOW_FCNTL)\((\w+)", rules))
    found.update(re.findall(r"ALLOW_OPTION\(\w+, (\w+)\)", rules))
    assert dict(found) == HELPER_SYSCALLS
    assert rules.count("ALLOW") == sum(HELPER_SYSCALLS.values())
    assert set(re.findall(r"SCMP_SYS\((\w+)\)", absent)) == HELPER_ABSENT


PROGRAMS = ["cf-pcap", "cf-pcap-writer", "cf-pcap-writer.image"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_loaded_at_run_time(stage, name):
    dynamic = subprocess.run(["readelf", "-dl", ROOT / "build" / name], check=True, stdout=subprocess.PIPE).stdout.decode()
    assert "NEEDED" not in dynamic and "INTERP" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic
    listed = subprocess.run(["readelf", "-dl", "/bin/true"], check=True, stdout=subprocess.PIPE).stdout.decode()
    assert "NEEDED" in listed and "INTERP" in listed


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_writable_and_executable_and_nothing_lies_at_a_known_address(stage, name):
    header = subprocess.run(["readelf", "-hlW", ROOT / "build" / name], check=True, stdout=subprocess.PIPE).stdout.decode()
    assert re.search(r"Type:\s+DYN", header)
    assert re.search(r"GNU_STACK.* RW ", header) and "GNU_RELRO" in header
    assert not re.search(r" RWE ", header)


def test_one_file_is_installed_with_one_capability(stage):
    listed = subprocess.run(["getcap", "-r", stage], check=True,
                            stdout=subprocess.PIPE).stdout.decode()
    assert listed.split() == [str(stage / "cf-pcap"), "cap_net_raw=p"]
