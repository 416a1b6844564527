"""Each error, in words that a user can act on: one line, nothing on stdout."""
import ctypes
import os
import resource
import pty
import re
import shutil
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from support import LOG_LINE, Namespace, Tools, USER, ip

PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, CAP_NET_RAW = 4, 24, 38, 13
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 2, 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "system call")


def error_of(result, status):
    """The one error line of a run that wrote nothing."""
    assert (result.returncode, result.stdout) == (status, b""), result.stderr
    lines = result.stderr.decode().splitlines()
    assert all(LOG_LINE.fullmatch(line) for line in lines), lines
    errors = [line for line in lines if " level=ERROR " in line]
    assert len(errors) == 1 and errors[0] == lines[-1], lines
    return errors[0].split(" level=ERROR ")[1]


FLAG_ERRORS = [
    (["-nosuch"], 'msg="unknown flag" flag=-nosuch hint="see -help"'),
    (["--nosuch=5"], 'msg="unknown flag" flag="--nosuch=5" hint="see -help"'),
    (["-filter", "tcp", "-filter=udp"],
     'msg="filter given twice by -filter, join the two into one" flag=-filter value=udp'),
    (["-interface"], 'msg="flag needs a value" flag=-interface value=""'),
    (["-interface", ""], 'msg="expected 1 to 15 characters" flag=-interface value=""'),
    (["-interface="], 'msg="expected 1 to 15 characters" flag=-interface value=""'),
    (["-interface", "x" * 16], f'msg="expected 1 to 15 characters" flag=-interface value={"x" * 16}'),
    (["-interface", "lo", "-filter"], 'msg="flag needs a value" flag=-filter value=""'),
    (["-filter", "x" * 16384], 'msg="expected 0 to 16383 characters" flag=-filter value="(too long)"'),
    (["-interface", "lo", "-filter", "tcp", "udp"],
     'msg="filter given twice, by -filter and as words; if it is one, put it in quotes" flag=-filter value=udp'),
    (["-interface", "lo", "x" * 16384], 'msg="filter is too long" flag=-filter value="(too long)"'),
] + [([f"-{flag}", value], f'msg="{expected}" flag=-{flag} value={shown or value}')
     for flag, expected, values in (
         ("snaplen", "expected a whole number from 0 to 262144",
          ("-1", "262145", "1x", "0x10", "1.5", "99999999999999999999", ("", '""'), (" 1", '" 1"'))),
         ("count", "expected a whole number of at least 1", ("0", "x", "-1")),
         ("duration", "expected a duration above 0, such as 30s, 5m or 1h30m",
          ("0s", "5", "s", "5x", "-5s", "99999999h", ("", '""'))),
         ("max-size", "expected a whole number of at least 1k, such as 500k, 2M or 1G",
          ("0", "1023", "5T", "1kk", "-5k", "M")),
         ("buffer-size", "expected a whole number from 256k to 64M, such as 500k or 2M",
          ("255k", "65M", "1G", "x")),
         ("direction", "expected one of inout|in|out", ("both", "i", "in|out", ("", '""'))),
         ("format", "expected one of pcap|pcapng", ("json", "PCAP")),
     ) for value, shown in ((one, None) if isinstance(one, str) else one for one in values)
] + [([f"-{flag}=maybe"], f'msg="expected true or false, or no value" flag=-{flag} value=maybe')
     for flag in ("v", "nano", "no-promisc", "no-ssh-guard", "list-interfaces", "version", "help")]


def test_each_bad_command_line_names_the_flag_and_what_was_expected(tools, ns):
    for flags, expected in FLAG_ERRORS:
        assert error_of(tools.run(ns, *flags), 2) == expected


def test_no_interface_given_lists_what_there_is(tools, ns):
    for flags in ([], ["-filter", "tcp"], ["-v"], ["help"], ["lo", "tcp"]):
        assert error_of(tools.run(ns, *flags), 2) == \
            'msg="-interface is required" flag=-interface expected="lo cap0 any" hint="see -help"'
    for name in ("lo", "cap0", "any"):
        assert error_of(tools.run(ns, name), 2).endswith(f'hint="write cf-pcap -interface {name}"')


def test_a_flag_of_tcpdump_names_ours(tools, ns):
    for flags, hint in ((["-i", "lo"], "it is -interface NAME here"), (["-D"], "it is -list-interfaces here"),
                        (["-w", "-"], "pcap goes to stdout: redirect it, > capture.pcap")):
        assert error_of(tools.run(ns, *flags), 2) == f'msg="unknown flag" flag={flags[0]} hint="{hint}"'


def test_ifname_is_refused_in_words_of_this_program(tools, ns):
    for interface in ("lo", "any"):
        assert "one interface is chosen by -interface" in error_of(
            tools.run(ns, "-interface", interface, "-filter", "ifname lo"), 1)


def test_an_unknown_interface_lists_what_there_is(tools, ns):
    for name in ("eth7", "Lo", "lo0", "1"):
        assert error_of(tools.run(ns, "-interface", name), 1) == \
            f'msg="no such interface" interface={name} available="lo cap0 any"'


def test_an_interface_that_is_down(tools, ns):
    ip("-n", ns.name, "link", "set", "cap0", "down")
    assert error_of(tools.run(ns, "-interface", "cap0"), 1) == \
        'msg="interface is down" interface=cap0'


BAD_FILTERS = {
    "port": "syntax error",
    "tcp port 99999": "illegal port number 99999 > 65535",
    "tcp prot 80": "syntax error",
    "net 10.0.0.1/8": "non-network bits set in \\\"10.0.0.1/8\\\"",
    "ether[70000:8] = 1": "data size must be 1, 2, or 4",
    "port 80) or (port 2222": "syntax error",
    "port 80) or port 2222 or (port 81": "syntax error",
    "tcp) or (tcp": "syntax error",
    "tcp )": "syntax error",
    "( tcp": "syntax error",
    "port 80 #": "syntax error",
}


@pytest.mark.parametrize("expression", BAD_FILTERS)
@pytest.mark.parametrize("guard", [(), ("-no-ssh-guard",)])
def test_a_bad_filter_is_refused_in_libpcaps_words(tools, ns, expression, guard):
    error = error_of(tools.run(ns, "-interface", "lo", *guard, "-filter", expression), 1)
    assert error.startswith('msg="cannot use filter" reason=')
    assert BAD_FILTERS[expression] in error
    assert error.endswith(f'filter="{expression}"' if not expression.isalpha() else f"filter={expression}")


def test_a_filter_that_takes_more_socket_memory_than_allowed_names_the_setting(tools, ns):
    """What was everybody's default before Linux 6.8, and has been each namespace's own setting since."""
    long = " or ".join(f"(host 10.0.{n}.1 and port {n + 1})" for n in range(100))
    ns.run("sh", "-c", "[ ! -e /proc/sys/net/core/optmem_max ] || sysctl -qw net.core.optmem_max=20480", check=True)
    limit = ns.run("cat", "/proc/sys/net/core/optmem_max", stdout=subprocess.PIPE).stdout.decode().strip()
    error = error_of(tools.run(ns, "-interface", "lo", "-filter", long), 1)
    assert re.match(r'msg="cannot use filter" reason="it takes more socket memory than net.core.optmem_max allows: .*" '
                    rf'bytes=\d+ limit={limit or "unknown"} filter=', error)


def test_a_proc_without_settings_is_in_the_way_of_those_alone_who_have_the_capability_already(tools, ns):
    for before, status in ((["env"], 0), ([], 1)):  # setpriv leaves its own to what it executes, and env loses it
        done = ns.run("unshare", "--mount", "sh", "-c", 'mount -t proc -o subset=pid proc /proc && exec "$@"', "sh",
                      "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *before, tools.helper,
                      "-interface", "lo", "-duration", "50ms", capture_output=True)
        assert done.returncode == status, done.stderr
    assert b"fs.suid_dumpable is 1, or not in this /proc" in done.stderr
    assert b"No such file or directory" in done.stderr and done.stdout == b""


def test_a_terminal_is_refused(tools, ns):
    ours, theirs = pty.openpty()
    process = tools.spawn(ns, "-interface", "lo", stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    messages = process.communicate(timeout=10)[1].decode()
    try:
        output = os.read(ours, 1000)
    except OSError:  # EIO: the other side is closed, and nothing came
        output = b""
    os.close(ours)
    assert (process.returncode, output) == (1, b"")
    assert 'level=ERROR msg="refusing to write binary pcap to a terminal"' in messages
    for hint in ("redirect stdout", "tcpdump -r -", "without -t"):
        assert hint in messages


@pytest.fixture
def other_folder():
    """For copies; root's, and open to the user."""
    folder = Path(tempfile.mkdtemp(prefix="cf-pcap-copy."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def cannot_capture(tools, ns, **options):
    error = error_of(tools.run(ns, "-interface", "lo", **options), 1)
    assert error.startswith('msg="cannot capture packets" reason="')
    assert error.endswith('error="Operation not permitted"')
    return error


def test_a_copy_without_the_capability_says_so(tools, ns, other_folder):
    subprocess.run(["cp", tools.helper, other_folder], check=True)
    error = cannot_capture(Tools(other_folder), ns)
    for part in ("the file cf-pcap has no cap_net_raw", "diego.rep.enable_cf_pcap", "cached", "copy"):
        assert part in error


def test_no_new_privs_is_named(tools, ns):
    error = cannot_capture(tools, ns, prepare=lambda: check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
    assert "no_new_privs is set" in error and "garden.no_new_privileges" in error


def test_a_nosuid_mount_is_named(tools, ns, stage):
    path = os.fsencode(stage)

    def mount_nosuid():
        check(_libc.unshare(CLONE_NEWNS))
        check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        check(_libc.mount(path, path, None, MS_BIND, None))
        check(_libc.mount(None, path, None, MS_BIND | MS_REMOUNT | MS_NOSUID, None))

    assert "nosuid" in cannot_capture(tools, ns, prepare_as_root=mount_nosuid)


def test_a_bounding_set_without_the_capability_is_named(tools, ns):
    error = cannot_capture(
        tools, ns, prepare_as_root=lambda: check(_libc.prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0)))
    assert "CAP_NET_RAW is missing from this container's bounding set" in error


def test_a_user_namespace_without_the_network_is_named(tools, ns):
    def enter_user_namespace():
        check(_libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))  # to own /proc/self/uid_map
        check(_libc.unshare(CLONE_NEWUSER))
        with open("/proc/self/uid_map", "w", encoding="ascii") as uids:
            uids.write("2000 2000 1")

    error = cannot_capture(tools, ns, prepare=enter_user_namespace)
    assert "user namespace" in error


def test_a_tracer_is_named(tools, ns):
    """A tracer of the same user: the kernel withholds the capability."""
    words = ["strace", "-f", "-o", "/dev/null", tools.helper, "-interface", "lo"]
    process = subprocess.run(["ip", "netns", "exec", ns.name, "setpriv", "--reuid=2000", "--regid=2000",
                              "--clear-groups", *words], capture_output=True, timeout=30)
    assert "traced" in error_of(process, 1)


def test_the_writer_by_itself_is_refused(tools, ns, other_folder):
    """It would be dumpable, and the fd in it the user's."""
    subprocess.run(["cp", tools.writer, other_folder / "writer"], check=True)
    result = tools.run(ns, "-interface", "lo", executable=other_folder / "writer")
    assert "cf-pcap-writer cannot be used by itself" in error_of(result, 1)


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_limit_of_file_sizes_below_the_copy_in_memory_is_named_with_the_size(tools, ns):
    size = tools.writer.stat().st_size
    refused = tools.run(ns, "-interface", "lo", prepare=limit_files(size - 1))
    assert refused.returncode == 1 and refused.stdout == b""
    assert f"it takes {size} bytes, see ulimit -f: File too large" in refused.stderr.decode()
    taken = tools.run(ns, "-interface", "lo", "-duration", "50ms", prepare=limit_files(size))
    assert (taken.returncode, len(taken.stdout)) == (0, 24), taken.stderr


def test_too_many_captures_in_one_network_namespace_are_refused(tools, ns, tmp_path):
    """The error names the captures, for their user to end one; those of another network are none of his business."""
    begun = datetime.now(timezone.utc)
    captures = [tools.capture(ns, "-interface", "lo", path=tmp_path / f"{i}.pcap") for i in range(7)]
    captures.append(tools.capture(ns, "-interface", "lo", path=tmp_path / "7.pcap", uid=3000))
    with Namespace() as other:
        tools.capture(other, "-interface", "lo", path=tmp_path / "other.pcap")
        error = error_of(tools.run(ns, "-interface", "lo"), 1)
        others_error = error_of(tools.run(ns, "-interface", "lo", uid=4000), 1)
    named = re.fullmatch('msg="too many captures in this container, end one first" limit=8 captures="([^"]*)" '
                         r'hint="kill (\d+) ends the oldest of yours" reason="kernel memory is bounded"', error)
    held = [re.fullmatch(r"(\d+)( of uid \d+)? since (\S+)Z", one).groups() for one in named[1].split(", ")]
    assert sorted((int(pid), owner) for pid, owner, _ in held) == \
        sorted((one.process.pid, " of uid 3000" if one is captures[7] else None) for one in captures)
    for _, _, since in held:
        began = datetime.fromisoformat(since).replace(tzinfo=timezone.utc)
        assert timedelta(seconds=-2) < began - begun < timedelta(minutes=5)
    assert int(named[2]) in [one.process.pid for one in captures[:7]]
    assert others_error.count(" of uid ") == 8 and 'hint="they are other users\', who can end them"' in others_error

    def hide_processes():
        check(_libc.unshare(CLONE_NEWNS))
        check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        check(_libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2"))

    hidden = error_of(tools.run(ns, "-interface", "lo", prepare_as_root=hide_processes), 1)
    assert 'limit=8 captures="" hint="this /proc does not show them' in hidden
    captures[0].stop()
    tools.capture(ns, "-interface", "lo", path=tmp_path / "9.pcap").stop()
    for capture in captures[1:]:
        capture.stop()
