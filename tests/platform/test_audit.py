"""The audit rules of OPERATOR.md, in a real auditd: they tell who started a capture, in a container as Garden makes it."""
import contextlib
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest

from container import LIFECYCLE, Container, copy_lifecycle
from support import ROOT, USER, wait_until

CACHE, ASSET = "/var/vcap/data/rep/shared/garden/download_cache", "/var/vcap/packages/healthcheck/cf-pcap"
RULES = re.findall(r"^```audit\n(.*)\n```", (ROOT / "OPERATOR.md").read_text(), re.MULTILINE)
SETTINGS = """
local_events = yes
write_logs = yes
log_file = {folder}/audit.log
log_format = RAW
flush = NONE
max_log_file = 8
num_logs = 2
max_log_file_action = ROTATE
space_left = 2
space_left_action = IGNORE
admin_space_left = 1
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
plugin_dir = {folder}/plugins.d
"""


def auditctl(*words):
    return subprocess.run(["auditctl", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def kernel_state():
    return dict(line.split(" ", 1) for line in auditctl("-s").splitlines() if " " in line)


@contextlib.contextmanager
def auditing(rules):
    """A daemon of the test's own, with these rules. Afterwards the kernel audits as little as before."""
    before, rules_before = kernel_state(), auditctl("-l")
    assert before["pid"] == "0", "another auditd runs here"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as at_last:
        folder = Path(name)
        folder.chmod(0o750)
        (folder / "plugins.d").mkdir()
        (folder / "auditd.conf").write_text(SETTINGS.format(folder=folder))
        (folder / "auditd.conf").chmod(0o640)
        if "never,task" in rules_before:
            auditctl("-d", "never,task")
        # Once enabled, the kernel makes records of each new process for ever, unless it is told never to.
        at_last.callback(auditctl, "-a", "never,task")
        daemon = subprocess.Popen(["auditd", "-n", "-s", "enable", "-c", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at_last.callback(auditctl, "-e", before["enabled"])
        at_last.callback(daemon.wait)
        at_last.callback(daemon.terminate)
        wait_until(lambda: kernel_state()["pid"] == str(daemon.pid))
        for rule in rules:
            auditctl(*shlex.split(rule))
            at_last.callback(auditctl, *shlex.split(rule.replace("-a ", "-d ", 1)))
        yield folder / "audit.log"


def records(log, *words):
    found = subprocess.run(["ausearch", "-if", log, "--raw", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return found.stdout


@pytest.fixture(scope="module")
def audited(stage, cell, init):
    folder = copy_lifecycle(stage, cell / "audited")
    with Container(init, folder) as container:
        yield container, folder


def in_place(rule, folder):
    return rule.replace(ASSET, f"{folder}/cf-pcap").replace(CACHE, str(folder.parent))


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_tells_who_started_a_capture(audited, rule):
    container, folder = audited
    with auditing([in_place(rule, folder)]) as log:
        done = container.run(f"{LIFECYCLE}/cf-pcap", "-interface", "lo", "-duration", "50ms", "udp", "port", "53")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: 'exe="/tmp/lifecycle/cf-pcap"' in records(log, "-k", "cf-pcap"))
        name = "cf-pcap" if "perm=x" in rule else "cf-pcap-socket"
        found = records(log, "-k", "cf-pcap", "-c", name)
    system_call = re.search(rf'^type=SYSCALL .* success=yes .* pid=(\d+) .* uid=(\d+) .* comm="{name}"', found, re.MULTILINE)
    assert int(system_call[2]) == USER and int(system_call[1]) > 0
    if "perm=x" in rule:
        assert 'a1="-interface" a2="lo"' in found and 'a5="udp"' in found


def test_the_rules_are_those_that_the_text_promises():
    assert [("dir=" in rule, "path=" in rule, "-S socket" in rule) for rule in RULES] == [
        (True, False, False), (False, True, False), (False, False, True)]


def test_without_a_rule_nothing_is_told(audited):
    container, _ = audited
    with auditing([]) as log:
        container.run(f"{LIFECYCLE}/cf-pcap", "-interface", "lo", "-duration", "50ms")
        wait_until(lambda: log.exists() and log.stat().st_size > 0)
        assert records(log, "-k", "cf-pcap") == ""
