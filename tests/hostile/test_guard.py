"""The process that reads what the user put into the environment: what it has, and what its answer can do."""
import os
import signal
import subprocess

import pytest

from hostile.tracer import DETACH, Traced, descriptors, is_there, moments, next_call, ptrace, wait_stop
from support import wait_until

ENVIRONMENT = {"CF_INSTANCE_PORTS": '[{"internal":2222,"internal_tls_proxy":61002}]',
               "SSH_CONNECTION": "10.9.0.2 51234 10.9.0.1 22"}
SLOT, CAPTURE_CHANNEL, LOOKUP_CHANNEL, ANSWER = 3, 4, 6, 1
LIBC_AFTER_FORK = {"set_robust_list", "gettid", "set_tid_address", "rseq", "rt_sigprocmask"}
ALLOWED = {"write", "mmap", "munmap", "mremap", "brk", "exit_group"}
NO_CAPABILITY = "0" * 16
TEXT_SIZE, REASON_SIZE = 2048, 160

pytestmark = pytest.mark.plain_build


@pytest.fixture
def traced(stage, ns, place):
    with open(place / "out.pcap", "wb") as out, open(place / "err", "wb") as err:
        with Traced([stage / "cf-pcap", "-interface", "cap0"], ns, env={"PATH": os.environ["PATH"], **ENVIRONMENT},
                    stdin=subprocess.DEVNULL, stdout=out, stderr=err) as traced:
            traced.out, traced.err = place / "out.pcap", place / "err"
            yield traced


def captured_messages(traced):
    """Of a capture that was let go on, until it has begun; then it is ended."""
    wait_until(lambda: os.path.getsize(traced.out) == 24 or not is_there(traced.writer), timeout=60)
    os.kill(traced.writer, signal.SIGTERM)
    _, status = os.waitpid(traced.writer, 0)
    assert os.waitstatus_to_exitcode(status) == 0, traced.err.read_text()
    return traced.err.read_text()


def go_on(traced):
    """Child and writer, as if nobody had looked."""
    ptrace(DETACH, traced.child)
    traced.release()


def test_it_closes_what_leads_to_a_packet_socket_before_anything_else(traced):
    assert {SLOT, CAPTURE_CHANNEL, LOOKUP_CHANNEL} <= descriptors(traced.child).keys()
    seen = list(moments(traced.child))
    early = [moment for moment in seen if {SLOT, CAPTURE_CHANNEL} & moment.descriptors.keys()]
    assert {moment.call for moment in early} - LIBC_AFTER_FORK == {"close"}
    after = [moment.call for moment in seen[len(early):]]
    drop = after.index("capset")
    assert set(after[:drop]) <= {"capget", "prctl", "brk", "mmap", "getrandom"}  # libcap's own questions


def test_while_it_reads_the_environment_it_has_nothing_but_a_pipe(traced):
    seen = list(moments(traced.child))
    inside = [moment for moment in seen if moment.status["Seccomp"] == "2"]
    assert inside[-1].call == "exit_group" and {moment.call for moment in inside} <= ALLOWED
    for moment in inside:
        assert moment.descriptors.keys() == {ANSWER} and moment.descriptors[ANSWER].startswith("pipe:")
        assert {moment.status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Amb")} == {NO_CAPABILITY}
        assert moment.status["NoNewPrivs"] == "1"
    writes = [moment for moment in seen if moment.call == "write"]
    assert [moment.arguments[0] for moment in writes] == [ANSWER]
    traced.release()
    messages = captured_messages(traced)
    assert "not tcp port 2222 and not tcp port 61002 and not ((src host 10.9.0.2 " in messages
    assert "WARN" not in messages


def test_its_time_and_memory_are_limited(traced):
    while next_call(traced.child)[0] != "write":
        pass
    with open(f"/proc/{traced.child}/limits", encoding="ascii") as limits:
        words = {line[:25].strip(): line[25:].split()[:2] for line in limits}
    assert words["Max cpu time"] == ["4", "4"]
    assert words["Max address space"] == [str(256 << 20)] * 2


def answer(text, reason=b"", ignored=0, known=1):
    return (text + b"\0").ljust(TEXT_SIZE, b"x")[:TEXT_SIZE] + reason.ljust(REASON_SIZE, b"\0") + \
        ignored.to_bytes(4, "little") + known.to_bytes(4, "little")


def messages_after_lie(traced, lie):
    """Of a capture whose child answers something else than it was about to."""
    while True:
        call, arguments = next_call(traced.child)
        if call == "write":
            break
    assert arguments[2] == len(answer(b""))
    traced.write_memory(arguments[1], lie)
    go_on(traced)
    return captured_messages(traced)


@pytest.mark.parametrize("lie", [
    answer(b"tcp or udp"), answer(b"not tcp port 7) or (tcp"), answer(b"not tcp port 7 or not tcp port 8"),
    answer(b"not tcp port 70000"), answer(b"host localhost"), answer(b"not tcp port 7\n"), answer(b"x" * TEXT_SIZE),
    answer(b"", known=2), answer(b"", ignored=7), answer(b"", reason=b"y" * REASON_SIZE)],
    ids=["filter", "brackets", "or", "port", "name", "newline", "no-end", "known", "ignored", "reason"])
def test_an_answer_that_is_no_guard_is_not_used(traced, lie):
    messages = messages_after_lie(traced, lie)
    assert ('level=WARN msg="no guard could be made from the environment, an ssh session may be captured" '
            'reason="its process answered something that is no guard"') in messages
    assert 'msg="set filter to avoid capturing SSH session" filter="not tcp port 2222"' in messages


def test_a_lie_can_leave_other_ports_out_or_the_session_in_and_that_is_all(traced):
    messages = messages_after_lie(traced, answer(b"not tcp port 443"))
    assert 'filter="not tcp port 443"' in messages and "WARN" not in messages


def test_a_warning_that_it_makes_up_is_quoted(traced):
    messages = messages_after_lie(traced, answer(b"", reason=b"\x1b[2J\nlevel=ERROR", known=1))
    assert 'reason="\\x1b[2J\\nlevel=ERROR"' in messages and "\x1b" not in messages


def test_one_that_is_killed_costs_the_guard_and_not_the_capture(traced):
    os.kill(traced.child, signal.SIGKILL)
    assert wait_stop(traced.child) is None
    traced.release()
    messages = captured_messages(traced)
    assert 'reason="its process ended unexpectedly"' in messages and 'filter="not tcp port 2222"' in messages


def test_one_that_stands_still_costs_the_guard_and_not_the_capture(traced):
    """Held as SIGSTOP would hold it, for as long as the writer wants to wait."""
    traced.release()
    assert wait_stop(traced.child) is None  # the writer has killed it
    messages = captured_messages(traced)
    assert 'reason="its process takes too long"' in messages and 'filter="not tcp port 2222"' in messages


def test_it_dies_with_the_writer(traced):
    while next_call(traced.child)[0] != "write":
        pass
    os.kill(traced.writer, signal.SIGKILL)
    assert wait_stop(traced.writer) is None
    assert wait_stop(traced.child) is None


def test_no_process_is_left_of_it(traced):
    go_on(traced)
    wait_until(lambda: os.path.getsize(traced.out) == 24)
    assert not is_there(traced.child) and is_there(traced.writer)


def test_the_resolver_closes_and_drops_first_too(traced):
    """The writer's next child."""
    ptrace(DETACH, traced.child)
    resolver = traced.next_child()
    early, after = [], []
    for _ in range(40):
        call = next_call(resolver)
        (early if {SLOT, CAPTURE_CHANNEL} & descriptors(resolver).keys() else after).append(call[0])
        if call[0] == "capset":
            break
    assert set(early) - LIBC_AFTER_FORK == {"close"}
    assert after[-1] == "capset" and set(after[:-1]) <= {"capget", "prctl", "brk", "mmap", "getrandom"}
