"""With -headers-only payload is in nobody's memory: the kernel leaves it out before it fills the ring."""
import re
import secrets
import signal
from pathlib import Path

import pytest

from support import children_of, read_pcap, socket_in, wait_until

AF_INET, AF_INET6, STREAM, DATAGRAM = 2, 10, 1, 2
ROUNDS = 50
PAYLOAD = 1200
PIECE = 16  # bytes of the secret that count as found
FLAGS = ["-interface", "lo", "-no-ssh-guard", "-buffer-size", "1M"]


def datagrams(ns, family, address, payload):
    with socket_in(ns, family, DATAGRAM) as receiver, socket_in(ns, family, DATAGRAM) as sender:
        receiver.bind((address, 0))
        receiver.settimeout(20)
        for _ in range(ROUNDS):
            sender.sendto(payload, receiver.getsockname()[:2])
            receiver.recv(len(payload))


def connection(ns, family, address, payload):
    with socket_in(ns, family, STREAM) as server, socket_in(ns, family, STREAM) as client:
        server.bind((address, 0))
        server.listen(1)
        client.settimeout(20)
        client.connect(server.getsockname()[:2])
        accepted, _ = server.accept()
        with accepted:
            for _ in range(ROUNDS):
                client.sendall(payload)
                left = len(payload)
                while left > 0:
                    left -= len(accepted.recv(left))


def send_secret(ns, secret):
    payload = (secret * (PAYLOAD // len(secret) + 1))[:PAYLOAD]
    for send in (datagrams, connection):
        for family, address in ((AF_INET, "127.0.0.1"), (AF_INET6, "::1")):
            send(ns, family, address, payload)


def readable_memory(pid):
    """(name, content) of each mapping, as root sees it."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end, rights, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
            if rights[0] != "r" or name in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            memory.seek(int(start, 16))
            yield name, memory.read(int(end, 16) - int(start, 16))


def holders_of(capture, secret):
    """The mappings, of all processes of the capture, where a piece of the secret is."""
    twice = secret + secret
    pieces = [twice[at:at + PIECE] for at in range(len(secret))]
    return {name for pid in (capture.process.pid, *children_of(capture.process.pid))
            for name, content in readable_memory(pid) if any(piece in content for piece in pieces)}


def capture_secret(tools, ns, path, *flags):
    """A capture that has printed packets with the secret in them, and goes on. Returns it and the secret."""
    secret = secrets.token_bytes(40)
    capture = tools.capture(ns, *FLAGS, *flags, path=path)
    send_secret(ns, secret)
    wait_until(lambda: len(read_whole(path)) >= 4 * ROUNDS, 20)
    return capture, secret


def read_whole(path):
    """The records so far."""
    content = Path(path).read_bytes()
    with_payload, at = [], 24
    while at + 16 <= len(content):
        captured, original = (int.from_bytes(content[at + 8 + n:at + 12 + n], "little") for n in (0, 4))
        if original > PAYLOAD:
            with_payload.append(captured)
        at += 16 + captured
    return with_payload


@pytest.mark.plain_build
def test_the_search_finds_payload_in_ring_and_output_without_headers_only(tools, ns, tmp_path):
    capture, secret = capture_secret(tools, ns, tmp_path / "out.pcap")
    assert any("socket:" in name for name in holders_of(capture, secret))
    assert secret in (tmp_path / "out.pcap").read_bytes()
    assert capture.stop()[0] == 0


@pytest.mark.plain_build
@pytest.mark.parametrize("flags, cooked", [([], 0), (["-filter", "tcp or udp"], 0), (["-interface", "any"], 6)])
def test_no_process_ever_has_payload_with_headers_only(tools, ns, tmp_path, flags, cooked):
    capture, secret = capture_secret(tools, ns, tmp_path / "out.pcap", "-headers-only", *flags)
    assert holders_of(capture, secret) == set()
    assert capture.stop(signal.SIGTERM)[0] == 0
    content = (tmp_path / "out.pcap").read_bytes()
    assert not [at for at in range(len(secret)) if (secret + secret)[at:at + PIECE] in content]
    kept = {len(record.data) for record in read_pcap(content).records if record.original > PAYLOAD}
    assert kept == {length + cooked for length in (42, 62, 66, 86)}


def comparisons(count):
    """A filter that grows with each of them, also when it is optimized."""
    return " or ".join(f"ip[{number % 60}] = ip[{number * 7 % 61}]" for number in range(count))


def test_a_filter_without_room_for_the_headers_is_refused_and_never_runs_uncut(tools, ns):
    for flags in ([], ["-direction", "in"]):
        done = tools.run(ns, "-interface", "cap0", "-headers-only", *flags, comparisons(730))
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"4096 instructions, those of -headers-only included" in done.stderr


def test_a_long_filter_with_room_for_the_headers_runs(tools, ns, tmp_path):
    capture, _ = capture_secret(tools, ns, tmp_path / "out.pcap", "-headers-only", f"udp or tcp or {comparisons(30)}")
    assert capture.stop()[0] == 0
