"""The operator's policy: what it limits nobody exceeds, and nobody but the operator says what it is."""
import contextlib
import os
import random
import resource
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from hostile.arena import bind, compile_c, install, packet_sockets, run, spawn
from support import USER, read_pcap, socket_in, wait_until

POLICY = "cf-pcap.policy"
CAPTURE = ["-interface", "lo", "-duration", "200ms"]
LIMITED = b"limited by the operator's policy"
UNUSABLE = b"the operator's policy cannot be used, so nothing is captured"
CHANGED = b"could have been changed by this user"


def write(path, text, owner=0, mode=0o644):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.chown(path, owner, owner)
    os.chmod(path, mode)
    return path


@pytest.fixture
def folder(stage, place):
    """Root's, with the program in it and no policy yet."""
    return install(stage, place / "bin")


def assert_refused(done, *words):
    assert done.returncode == 1 and done.stdout == b"", (done.returncode, done.stdout[:50], done.stderr)
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def snaplen_of(done):
    """What the file's header says, of a capture that began."""
    return struct.unpack_from("<I", done.stdout, 16)[0]


@contextlib.contextmanager
def capturing(folder, ns, out, *flags, **options):
    """A capture into a file, for as long as the block takes; ended with SIGTERM."""
    with open(out, "wb") as file:
        process = spawn([folder / "cf-pcap", *flags], ns, stdout=file, stderr=subprocess.PIPE, **options)
    try:
        wait_until(lambda: out.stat().st_size >= 24 or process.poll() is not None)
        yield process
        process.terminate()
        assert process.wait(20) == 0, process.stderr.read()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def send(ns, port, size=20, count=1):
    with socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(bytes(size), ("127.0.0.1", port))


def ports_in(out):
    """Of the UDP packets that were printed."""
    file = read_pcap(out)
    at = 14 if file.link_type == 1 else 20  # Ethernet, or LINUX_SLL2
    return {struct.unpack_from("!H", record.data, at + 22)[0] for record in file.records if record.data[at + 9] == 17}


# What it limits.


@pytest.mark.parametrize("flags", [[], ["-snaplen", "0"], ["-snaplen=262144"], ["-snaplen", "101"], ["-format", "pcapng"]])
def test_no_snaplen_exceeds_the_operators(folder, ns, place, flags):
    write(folder / POLICY, "max-snaplen 100\n")
    with capturing(folder, ns, place / "out", "-interface", "lo", *flags):
        send(ns, 9, size=1000)
    content = (place / "out").read_bytes()
    if "pcapng" not in flags:
        assert max(len(record.data) for record in read_pcap(content).records) == 100
    assert bytes(100) not in content


@pytest.mark.parametrize("flags", [[], ["-duration", "1h"], ["-duration", "1h", "-stop-at-eof"], ["-count", "1000"]])
def test_no_duration_exceeds_the_operators(folder, ns, flags):
    write(folder / POLICY, "max-duration 300ms\n")
    began = time.monotonic()
    done = run([folder / "cf-pcap", "-interface", "lo", *flags], ns)
    assert done.returncode == 0 and b"reached duration" in done.stderr and LIMITED + b'" max-duration=300ms' in done.stderr
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("flags", [[], ["-max-size", "1G"], ["-nano"], ["-format", "pcapng"]])
def test_no_output_exceeds_the_operators_size(folder, ns, flags):
    write(folder / POLICY, "max-size 3k\n")
    process = spawn([folder / "cf-pcap", "-interface", "lo", *flags], ns, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert len(process.stdout.read(24)) == 24
        send(ns, 9, size=500, count=30)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert b"reached maximum size" in err and 500 < len(out) + 24 <= 3 << 10


# The user's filter, and what else he can say.
AROUND = [[], ["-filter", "udp or udp port 7777"], ["-no-ssh-guard", "ip[0] = 0x45 or udp"], ["len > 0 or port 7777"],
          ["-direction", "in"], ["not (port 7777 and not port 7777)"]]
AROUND_ETHERNET = [["not vlan or udp"], ["not mpls or udp port 7777"], ["-headers-only=false"]]


@pytest.mark.parametrize("interface, flags", [*(("lo", flags) for flags in AROUND + AROUND_ETHERNET),
                                              *(("any", flags) for flags in AROUND)])
def test_nothing_is_printed_that_the_operators_filter_leaves_out(folder, ns, place, interface, flags):
    write(folder / POLICY, "filter not port 7777\n")
    with capturing(folder, ns, place / "out", "-interface", interface, *flags):
        send(ns, 7777, count=5)
        send(ns, 8888)
    assert ports_in(place / "out") == {8888}


def test_without_a_policy_it_is_printed(folder, ns, place):
    with capturing(folder, ns, place / "out", "-interface", "lo"):
        send(ns, 7777)
        send(ns, 8888)
    assert ports_in(place / "out") == {7777, 8888}


@pytest.mark.parametrize("text", ["port 7777", "udp) or (port 7777", "port 7777) or not (port 7777", "udp port 7777 and udp"])
def test_a_filter_for_what_the_operator_leaves_out_is_refused(folder, ns, text):
    write(folder / POLICY, "filter not port 7777\n")
    assert_refused(run([folder / "cf-pcap", *CAPTURE, "-filter", text], ns), b"cannot use filter")


def test_a_filter_against_the_operators_names_the_operator(folder, ns):
    write(folder / POLICY, "filter not port 7777\n")
    assert_refused(run([folder / "cf-pcap", *CAPTURE, "port", "7777"], ns),
                   b"cannot use filter together with the operator's policy", b"expression rejects all packets")


WIDE = 90  # its program is too large for the kernel, optimized it is not


def test_a_filter_too_large_for_the_kernel_is_not_optimized_around_the_operators(folder, ns):
    """libpcap's optimizer is wrong for some: a large one would have it run over the operator's part too."""
    large = " or ".join(f"(udp port 53 and host 10.{i // 200}.{i % 200}.1)" for i in range(WIDE))
    done = run([folder / "cf-pcap", *CAPTURE, "-filter", large], ns)
    assert done.returncode == 0, done.stderr
    write(folder / POLICY, "filter not port 7777\n")
    assert_refused(run([folder / "cf-pcap", *CAPTURE, "-filter", large], ns), b"cannot use filter")


@pytest.mark.parametrize("text", ["not port postgresql", "not host db", "not net loopback", "ip proto \\sctp", "not ether host printer",
                                  "not portrange http-https", "gateway db", "port 7777)", "not", "and", "wlan type mgt", "tcp and udp"])
def test_an_operators_filter_with_names_or_mistakes_captures_nothing(folder, ns, place, text):
    """What a name stands for is said by files and servers of the user's container."""
    etc = place / "etc"
    etc.mkdir()
    write(etc / "hosts", "10.9.9.9 db printer\n")
    write(etc / "services", "postgresql 1/tcp\nhttp 80/tcp\nhttps 443/tcp\n")

    def prepare():
        for name in ("hosts", "services"):
            bind(etc / name, f"/etc/{name}")

    write(folder / POLICY, f"filter {text}\n")
    done = run([folder / "cf-pcap", *CAPTURE], ns, root_prepare=prepare)
    assert_refused(done, UNUSABLE, b"level=ERROR", text.split()[0].encode())


def test_an_operators_filter_may_have_addresses(folder, ns, place):
    write(folder / POLICY, "filter not host fd00::5 and not net fd01::/16 and not host 127.0.0.9 and not net 10.0.0.0/8\n")
    with capturing(folder, ns, place / "out", "-interface", "lo", "udp", "or", "ip6") as process:
        send(ns, 8888)
    assert ports_in(place / "out") == {8888}
    assert process.returncode == 0


def test_the_operator_says_how_many_captures_there_are_at_a_time(folder, ns):
    wait_until(lambda: packet_sockets(ns) == 0)
    write(folder / POLICY, "max-captures 2\n")
    with contextlib.ExitStack() as crowd:
        for _ in range(2):
            process = spawn([folder / "cf-pcap", "-interface", "lo"], ns, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            crowd.callback(process.communicate)
            crowd.callback(process.kill)
            assert len(process.stdout.read(24)) == 24
        assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), b"too many captures", b"limit=2", b'reason="the operator')
        process.kill()
        process.wait()
        assert run([folder / "cf-pcap", *CAPTURE], ns).returncode == 0


@pytest.mark.parametrize("interface", ["any", "cap0", "nothing", "lo0", "cap0:1", "LO", "other-name"])
def test_no_interface_but_those_of_the_list_is_captured_on(folder, ns, interface):
    """Above all not "any", which shows them all."""
    if interface == "other-name":
        subprocess.run(["ip", "-n", ns.name, "link", "property", "add", "dev", "cap0", "altname", "other-name"], check=True)
    write(folder / POLICY, "interfaces lo\n")
    assert_refused(run([folder / "cf-pcap", "-interface", interface, "-duration", "200ms"], ns),
                   b"the operator's policy does not allow this interface", b"allowed=lo")
    assert run([folder / "cf-pcap", *CAPTURE], ns).returncode == 0


@pytest.mark.parametrize("flags", [[], ["-snaplen", "0"], ["-headers-only=true"], ["-format", "pcapng"], ["-filter", "udp or len > 0"]])
@pytest.mark.parametrize("interface", ["lo", "any"])
def test_no_payload_is_printed_where_the_operator_allows_headers_only(folder, ns, place, interface, flags):
    write(folder / POLICY, "headers-only\n")
    with capturing(folder, ns, place / "out", "-interface", interface, *flags):
        with socket_in(ns, socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"payload" * 100, ("127.0.0.1", 9))
    content = (place / "out").read_bytes()
    assert b"payload" not in content[content.find(b"\x7f\x00\x00\x01"):] and b"\x7f\x00\x00\x01" in content


def test_payload_asked_for_where_it_is_not_allowed_is_an_error_that_names_the_operator(folder, ns):
    write(folder / POLICY, "headers-only\n")
    assert_refused(run([folder / "cf-pcap", *CAPTURE, "-headers-only=false"], ns), b"the operator's policy allows headers only")


@pytest.mark.parametrize("flags", [["-filter", "udp[8] & 1 != 0"], ["udp"], ["--", "less 60"]])
def test_a_filter_cannot_ask_about_payload_where_the_operator_takes_none(folder, ns, flags):
    write(folder / POLICY, "headers-only\nno-user-filter\nfilter udp\n")
    assert_refused(run([folder / "cf-pcap", *CAPTURE, *flags], ns), b"the operator's policy allows no filter of the user's")


def test_root_is_limited_as_well_where_he_uses_it(folder, ns):
    write(folder / POLICY, "max-snaplen 100\n")
    done = run([folder / "cf-pcap", *CAPTURE], ns, uid=0)
    assert done.returncode == 0 and snaplen_of(done) == 100 and LIMITED in done.stderr


# Whose it is.

LOOSE = "max-snaplen 200000\n"


@pytest.mark.parametrize("owner, mode, group", [(USER, 0o644, 0), (USER, 0o444, 0), (0, 0o646, 0), (0, 0o664, USER)],
                         ids=["his", "his, read-only", "writable for all", "in his group"])
def test_a_policy_that_he_could_have_changed_ends_the_start(folder, ns, owner, mode, group):
    write(folder / POLICY, LOOSE, owner)
    os.chown(folder / POLICY, owner, group)
    (folder / POLICY).chmod(mode)
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), UNUSABLE, CHANGED)


@pytest.mark.parametrize("words", [["-version"], ["-help"], ["-list-interfaces"], ["-nonsense"]], ids=" ".join)
def test_it_is_read_before_anything_of_his(folder, ns, words):
    write(folder / POLICY, LOOSE, USER)
    assert_refused(run([folder / "cf-pcap", *words], ns), UNUSABLE, CHANGED)


def test_a_policy_that_an_acl_lets_him_write_ends_the_start(folder, ns):
    write(folder / POLICY, LOOSE)
    entries = [(1, 6, 0xFFFFFFFF), (2, 6, USER), (4, 4, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 4, 0xFFFFFFFF)]
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(folder / POLICY, "system.posix_acl_access", access)
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), UNUSABLE, CHANGED)


def test_a_policy_of_his_own_beside_a_hard_link_is_not_read(folder, ns, place):
    """fs.protected_hardlinks=0"""
    write(folder / POLICY, "max-snaplen 100\n")
    his = place / "his"
    his.mkdir()
    os.link(folder / "cf-pcap", his / "cf-pcap")
    for owner, mode, policy_owner in ((USER, 0o755, USER), (USER, 0o555, 0), (0, 0o1777, 0)):
        write(his / POLICY, LOOSE, policy_owner)
        os.chown(his, owner, owner)
        his.chmod(mode)
        assert_refused(run([his / "cf-pcap", *CAPTURE], ns), b"the folder of cf-pcap could have been changed by this user")
        (his / POLICY).unlink()
        assert_refused(run([his / "cf-pcap", *CAPTURE], ns), b"the folder of cf-pcap could have been changed by this user")


@pytest.mark.parametrize("where", ["argv[0]", "working directory", "symlink"])
def test_a_policy_of_his_own_elsewhere_is_not_read(folder, ns, place, where):
    write(folder / POLICY, "max-snaplen 100\n")
    his = place / "his"
    his.mkdir()
    write(his / POLICY, LOOSE, USER)
    os.chown(his, USER, USER)
    (his / "cf-pcap").symlink_to(folder / "cf-pcap")
    if where == "argv[0]":
        done = run([his / "cf-pcap", *CAPTURE], ns, executable=folder / "cf-pcap")
    elif where == "symlink":
        done = run([his / "cf-pcap", *CAPTURE], ns)
    else:
        done = run([folder / "cf-pcap", *CAPTURE], ns, cwd=his, env={"PWD": str(his), "HOME": str(his)})
    assert done.returncode == 0 and snaplen_of(done) == 100, done.stderr


@pytest.mark.parametrize("what", ["his file", "link to his file", "link to a file of root's", "dangling link"])
def test_a_link_in_its_place_is_not_followed(folder, ns, place, what):
    target = write(place / "target", LOOSE, USER if what in ("his file", "link to his file") else 0)
    if what == "his file":
        os.link(target, folder / POLICY)
    else:
        (folder / POLICY).symlink_to(place / "nothing" if what == "dangling link" else target)
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), UNUSABLE)


@pytest.mark.parametrize("what", ["his file", "folder", "device", "fifo", "nothing"])
def test_what_somebody_mounted_over_it_is_no_policy(folder, ns, place, what):
    write(folder / POLICY, "max-snaplen 100\n")
    over = place / "over"
    if what == "his file":
        write(over, LOOSE, USER)
    elif what == "folder":
        (folder / POLICY).unlink()
        (folder / POLICY).mkdir()
        over.mkdir()
    elif what == "fifo":
        os.mkfifo(over, 0o644)
    else:
        over = "/dev/zero" if what == "device" else "/dev/null"
    done = run([folder / "cf-pcap", *CAPTURE], ns, root_prepare=lambda: bind(over, folder / POLICY))
    assert_refused(done, UNUSABLE, CHANGED if what == "his file" else b"it is no regular file")


IN_A_NAMESPACE_OF_HIS = """
mount --bind {loose} {policy} && grep -q 200000 {policy} && exec {program} -interface lo -duration 200ms"""


def test_what_he_mounts_over_it_in_a_namespace_of_his_own_gains_no_packets(folder, ns, place):
    write(folder / POLICY, "max-snaplen 100\n")
    loose = write(place / "loose", LOOSE, USER)
    script = IN_A_NAMESPACE_OF_HIS.format(loose=loose, policy=folder / POLICY, program=folder / "cf-pcap")
    done = run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], ns)
    assert_refused(done, b"level=ERROR")
    assert run([folder / "cf-pcap", *CAPTURE], ns).returncode == 0


TRIES = """
import os, sys
folder, his = sys.argv[1:]
policy = folder + "/cf-pcap.policy"
tries = [lambda: os.unlink(policy), lambda: os.rename(policy, his + "/moved"), lambda: os.rename(his + "/loose", policy),
         lambda: os.link(his + "/loose", policy), lambda: os.symlink(his + "/loose", policy + ".new"), lambda: os.chmod(policy, 0o666),
         lambda: os.chown(policy, os.getuid(), -1), lambda: os.truncate(policy, 0), lambda: open(policy, "w"), lambda: open(policy, "r+"),
         lambda: os.chmod(folder, 0o777), lambda: os.rename(folder, his + "/bin"), lambda: os.mkdir(folder + "/x"),
         lambda: os.setxattr(policy, "user.x", b""), lambda: os.utime(policy)]
for number, attempt in enumerate(tries):
    try:
        attempt()
        print("succeeded:", number)
    except OSError:
        print("failed")
"""


def test_he_cannot_change_it(folder, ns, place):
    write(folder / POLICY, "max-snaplen 100\n")
    his = place / "his"
    his.mkdir()
    os.chown(his, USER, USER)
    write(his / "loose", LOOSE, USER)
    done = run(["/usr/bin/python3", "-c", TRIES, folder, his], ns)
    assert done.stdout.split() == [b"failed"] * 15, (done.stdout, done.stderr)
    done = run([folder / "cf-pcap", *CAPTURE], ns)
    assert done.returncode == 0 and snaplen_of(done) == 100


def test_a_read_only_mount_protects_a_policy_whose_owner_has_his_number(folder, ns):
    """Garden's: vcap of the cell is 1000, and so is many a container's user."""
    write(folder / POLICY, "max-snaplen 100\n", USER)
    os.chown(folder, USER, USER)
    done = run([folder / "cf-pcap", *CAPTURE], ns, root_prepare=lambda: bind(folder, folder, read_only=True))
    assert done.returncode == 0 and snaplen_of(done) == 100, done.stderr
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), CHANGED)


# What it is.

BAD_FILES = {
    "huge": b"# " + b"x" * 4095 + b"\nmax-snaplen 200000\n",
    "one byte more": b"max-snaplen 100".ljust(4097),
    "CRLF": b"max-snaplen 100\r\n",
    "NUL": b"max-snaplen 100\n\0max-duration 1s\n",
    "NUL at the end": b"max-snaplen 100\n\0",
    "only NULs": bytes(100),
    "empty": b"",
    "UTF-16": "max-snaplen 100\n".encode("utf-16"),
    "unknown word": b"max-snaplen 100\nmax-packets 5\n",
    "no value": b"max-snaplen\n",
    "twice": b"max-snaplen 100\nmax-snaplen 200000\n",
    "random": random.Random(7).randbytes(3000),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_captures_nothing_and_says_why_to_the_operator(folder, ns, name):
    write(folder / POLICY, BAD_FILES[name])
    done = run([folder / "cf-pcap", *CAPTURE], ns)
    assert_refused(done, UNUSABLE, b"for the operator: see cf-pcap.policy(5)")
    assert done.stderr.count(b"\n") == 1 and len(done.stderr) < 400 and b"\0" not in done.stderr


def test_a_file_without_end_is_not_read_to_it(folder, ns):
    write(folder / POLICY, "max-snaplen 100\n")
    os.truncate(folder / POLICY, 1 << 40)
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns, timeout=20), UNUSABLE, b"longer than 4096 bytes")


@pytest.mark.parametrize("mode", [0o600, 0o000, 0o311])
def test_a_file_that_he_cannot_read_captures_nothing(folder, ns, mode):
    write(folder / POLICY, "max-snaplen 100\n", mode=mode & 0o700)
    assert_refused(run([folder / "cf-pcap", *CAPTURE], ns), UNUSABLE, b"it cannot be read")


def test_a_folder_that_he_cannot_list_is_no_hindrance(folder, ns):
    write(folder / POLICY, "max-snaplen 100\n")
    folder.chmod(0o711)
    done = run([folder / "cf-pcap", *CAPTURE], ns)
    assert done.returncode == 0 and snaplen_of(done) == 100


# When.


@pytest.mark.parametrize("kind", [resource.RLIMIT_NOFILE, resource.RLIMIT_AS])
def test_nothing_that_he_starts_it_with_makes_it_overlook_the_policy(folder, ns, kind):
    write(folder / POLICY, "max-snaplen 100\n")
    limits = range(5, 16) if kind == resource.RLIMIT_NOFILE else [2 ** power for power in range(19, 30)]
    ends = set()
    for limit in limits:
        done = run([folder / "cf-pcap", "-interface", "lo", "-duration", "20ms"], ns,
                   user_prepare=lambda limit=limit: resource.setrlimit(kind, (limit, limit)))
        ends.add(done.returncode)
        assert done.returncode != 0 or snaplen_of(done) == 100, (limit, done.stderr)
    assert 0 in ends


def test_full_tables_do_not_make_it_overlook_the_policy(folder, ns):
    write(folder / POLICY, "max-snaplen 100\n")

    def fill():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with contextlib.suppress(OSError):
            while True:
                os.set_inheritable(os.dup(0), True)

    done = run([folder / "cf-pcap", *CAPTURE], ns, user_prepare=fill, close_fds=False)
    assert done.returncode != 0 or snaplen_of(done) == 100, done.stderr


def test_a_policy_that_is_replaced_while_it_starts_is_the_one_or_the_other(folder, ns):
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            for text in ("max-snaplen 100\n", "max-snaplen 200\n#" + "x" * 4000):
                write(folder / "new", text)
                os.rename(folder / "new", folder / POLICY)

    write(folder / POLICY, "max-snaplen 100\n")
    operator = threading.Thread(target=replace)
    operator.start()
    try:
        seen = set()
        for count in range(200):
            done = run([folder / "cf-pcap", "-interface", "lo", "-duration", "1ms"], ns)
            assert done.returncode == 0, done.stderr
            seen.add(snaplen_of(done))
            if count >= 20 and seen == {100, 200}:
                break
    finally:
        stop.set()
        operator.join()
    assert seen == {100, 200}


@pytest.fixture(scope="module")
def swapper(attackers):
    return compile_c(attackers, "swapper", "swapper.c")


@pytest.mark.parametrize("with_policy", [True, False], ids=["a loose policy", "none"])
def test_a_folder_that_is_swapped_or_gone_between_start_and_read_gains_nothing(folder, swapper, ns, place, with_policy):
    """He owns the folder above, where there is another of his with a hard link of the program."""
    top = place / "top"
    for name in ("a", "b"):
        (top / name / "bin").mkdir(parents=True)
        os.link(folder / "cf-pcap", top / name / "bin" / "cf-pcap")
    write(top / "a" / "bin" / POLICY, "max-snaplen 100\n")
    if with_policy:
        write(top / "b" / "bin" / POLICY, LOOSE, USER)
    for path in (top, top / "b", top / "b" / "bin"):
        os.chown(path, USER, USER)
    swaps = spawn([swapper, top / "a", top / "b", 1500], ns)
    try:
        ends = {0: 0, 1: 0}
        while swaps.poll() is None or not all(ends.values()):
            done = run([top / "a" / "bin" / "cf-pcap", "-interface", "lo", "-duration", "1ms"], ns)
            ends[done.returncode] += 1
            assert done.returncode == 1 or snaplen_of(done) == 100, done.stderr
            assert sum(ends.values()) < 10000
    finally:
        swaps.kill()
        swaps.wait()
    assert swaps.returncode == 0 and all(ends.values())


def test_a_program_that_is_deleted_as_it_starts_has_no_policy_and_captures_nothing(folder, ns, place):
    """What its name leads to then is another's folder: "... (deleted)" can be made by anybody."""
    his = place / "his"
    his.mkdir()
    os.link(folder / "cf-pcap", his / "cf-pcap")
    shutil.copy(folder / "cf-pcap", his / "cf-pcap (deleted)")
    write(his / POLICY, LOOSE, USER)
    os.chown(his, USER, USER)
    opened = os.open(his / "cf-pcap", os.O_PATH)
    try:
        (his / "cf-pcap").unlink()
        done = run(["/usr/bin/python3", "-c", f"import os; os.execve({opened}, ['cf-pcap', '-interface', 'lo'], {{}})"], ns,
                   pass_fds=[opened])
    finally:
        os.close(opened)
    assert_refused(done, b"cannot find the folder of cf-pcap")
