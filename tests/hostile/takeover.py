"""What probe.c does inside the writer or the helper, how it is built in, and what is expected of each probe."""
import re
import shutil
import signal
import subprocess

from hostile.arena import HERE, ROOT

# libpcap needs these in the helper, on a socket whose filter is not locked yet: none of them sends.
HELPER_NEEDS = {"bind", "filter_attach", "filter_detach", "filter_unlock", "membership", "rx_ring",
                "version", "fanout",
                "close_stdout", "close_stderr", "close_stdout_high_bits"}
# Its descriptors are the writer's: 1 and 2 are closed there already.
WRITERS_ALONE = {"close_stdout", "close_stderr", "close_stdout_high_bits"}
HELPER_SEES_NO_FILE = {"open", "openat", "write", "write_high_bits", "write_high_number"}  # ENOENT, whatever is there
SENDING = {"write", "write_high_bits", "writev", "sendto", "sendmsg", "sendmmsg"}
# Of the rest, what works in a process of this kind that has no sandbox.
WORKS_UNCONFINED = SENDING | {
    "membership", "rx_ring", "qdisc_bypass", "socket_unix", "socketpair", "open", "openat",
    "memfd_create", "execve",
    "execveat", "clone", "clone3", "fork", "mprotect_exec", "mmap_exec", "dup", "dup2_stdout", "dup3_stdout",
    "fcntl_dupfd", "prctl_dumpable", "chdir", "close_stdout", "close_stderr", "close_stdout_high_bits"}
WORKS_IN_HELPER = (WORKS_UNCONFINED | {"filter_attach", "filter_unlock", "pass_to_resolver"}) \
    - {"execve", "execveat"} - WRITERS_ALONE
WRAPS = {"writer": ["ring_map"], "helper": ["pcap_compile"]}
PROGRAMS = {"writer": "cf-pcap-writer", "helper": "cf-pcap"}


def probes(compiler="gcc"):
    """The names of those that an architecture has."""
    source = subprocess.run([compiler, "-E", "-P", "-D_GNU_SOURCE", HERE / "probe.c"], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return re.findall(r'\{ "(\w+)", -?\d', source)


def works(process, names):
    """Of these probes, what works in a process of this kind that has no sandbox."""
    wanted = WORKS_UNCONFINED if process == "writer" else WORKS_IN_HELPER
    return [name for name in names if name in wanted]


def build_with_probe(build, process, words=()):
    """
    The program in which the writer or the helper has the probe inside. Made by the Makefile itself, in a folder where
    the other one may be made too: most of it is the same.
    """
    settings = dict(word.split("=", 1) for word in words)
    define = ["-DIN_WRITER"] if process == "writer" else []
    target = build / f"{process}_with_probe" / "cf-pcap"
    target.parent.mkdir(parents=True, exist_ok=True)
    probe = target.parent / "probe.o"
    subprocess.run([settings.get("CC", "gcc"), *settings.get("CPPFLAGS", "").split(), "-D_GNU_SOURCE", "-O1", "-w",
                    "-fPIE", *define, "-c", "-o", probe, HERE / "probe.c"], check=True)
    linking = settings.pop("LDFLAGS", "")
    wraps = " ".join(f"-Wl,--wrap={symbol}" for symbol in ("sandbox_enter", *WRAPS[process]))

    def make(program, flags):
        subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={build}", "LTO=",
                        f"LDFLAGS={linking} {flags}", *(f"{name}={value}" for name, value in settings.items()),
                        f"{build}/{program}"], check=True, stdout=subprocess.DEVNULL)

    make("cf-pcap", "")
    (build / PROGRAMS[process]).unlink()
    make(PROGRAMS[process], f"{probe} {wraps}")
    make("cf-pcap", "")  # it carries the writer
    shutil.copy(build / "cf-pcap", target)
    (build / PROGRAMS[process]).unlink()  # not for the other one
    return target


def outcome(status, messages, mode, probe):
    """In a word: how a capture with the probe in it ended, from its exit status and what it said."""
    if status == -signal.SIGSYS or f"signal={signal.SIGSYS.value}" in messages:
        return "killed"
    if status == -signal.SIGSEGV or f"signal={signal.SIGSEGV.value}" in messages:
        return "no entry" if probe.endswith("_i386") else "crashed"
    found = re.search(rf"PROBE {probe} (\w+) errno=(\d+)", messages)
    if found:
        return found[1]
    # It went on as another program, or its own voice is gone: that is what was asked for.
    return "WORKED" if mode == "weak" and probe in ("execve", "execveat", "close_stderr") else f"? {messages}"


def surprises(process, found, kills):
    """Of the outcomes with a sandbox, those that should be others. `kills` has what counts as killed, if that is not it."""
    if process == "writer":
        # It may give its capability up, and nothing it could take is of use to it: there is no socket() on its list.
        wanted = {"capset": {"failed"}}
    else:
        anything = {"killed", "failed", "WORKED"}
        wanted = {**dict.fromkeys(HELPER_NEEDS, anything), **dict.fromkeys(HELPER_SEES_NO_FILE, {"failed"})}
    return {probe: what for probe, what in found.items()
            if what not in wanted.get(probe, kills.get(probe, {"killed"}))}
