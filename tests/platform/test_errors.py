"""Each way to be without a packet socket, made to happen; the error names it and who can mend it."""
import os
import shutil
import subprocess

import pytest
from container import CAPABILITIES, Container, LIFECYCLE, VCAP_ON_CELL, copy_lifecycle
from seccomp_profile import profile
from support import kernel_is_at_least

CAPTURE = (f"{LIFECYCLE}/cf-pcap", "-interface", "lo", "-duration", "50ms")
NO_CAPABILITY = "the file cf-pcap has no cap_net_raw: the operator can set diego.rep.enable_cf_pcap"


def reason_in(messages):
    """That of the only error."""
    lines = [line for line in messages.splitlines() if "level=ERROR" in line]
    assert len(lines) == 1, messages
    assert 'msg="cannot capture packets"' in lines[0]
    return lines[0].split('reason="')[1].split('"')[0]


def reason(container, *command, **options):
    result = container.run(*(command or CAPTURE), **options)
    assert (result.returncode, result.stdout) == (1, b""), result.stderr
    return reason_in(result.stderr.decode())


@pytest.fixture
def contain(init, lifecycle):
    """Makes the container of one test."""
    made = []

    def make(folder=lifecycle, **options):
        made.append(Container(init, folder, **options).__enter__())
        return made[-1]

    yield make
    for container in made:
        container.__exit__()


def test_nothing_is_wrong_with_these_containers_otherwise(container):
    assert container.run(*CAPTURE).returncode == 0


def test_a_plain_copy_of_the_file_is_named(container):
    container.run("/bin/sh", "-c", f"cp -r {LIFECYCLE} /tmp/copy")
    text = reason(container, "/tmp/copy/cf-pcap", "-interface", "lo")
    assert text.startswith(NO_CAPABILITY)
    assert "a plain copy of the file loses it" in text


@pytest.fixture
def changeable_lifecycle(stage, cell):
    folder = copy_lifecycle(stage, cell / "changeable")
    yield folder
    shutil.rmtree(folder)


def test_another_capability_than_the_needed_one_is_none(contain, changeable_lifecycle):
    subprocess.run(["setcap", "cap_net_bind_service=p", changeable_lifecycle / "cf-pcap"], check=True)
    assert reason(contain(changeable_lifecycle)).startswith(NO_CAPABILITY)


def test_a_capability_given_for_another_user_namespace_is_named(contain, changeable_lifecycle):
    subprocess.run(["setcap", "-n", "1234", "cap_net_raw=p", changeable_lifecycle / "cf-pcap"], check=True)
    text = reason(contain(changeable_lifecycle))
    assert text == ("this user namespace does not honour the file capability of cf-pcap: the operator can "
                    "give it anew with setcap, as root of the host")


class Cell:
    """Archives and a cell's download cache: an archive is extracted once, by vcap, with the privilege
    to set file capabilities if the operator has turned the property on."""

    def __init__(self, folder, lifecycle):
        self.archive, self.cache = folder / "lifecycle.tgz", folder / "cache"
        subprocess.run(["tar", "-czf", self.archive, "--xattrs", "--xattrs-include=*", "-C", lifecycle,
                        "cf-pcap"], check=True)
        self.cache.mkdir()
        os.chown(self.cache, VCAP_ON_CELL, VCAP_ON_CELL)

    def lifecycle(self, property_on):
        extracted = self.cache / "key.d"
        if not extracted.exists():
            privilege = ["setpriv", f"--reuid={VCAP_ON_CELL}", f"--regid={VCAP_ON_CELL}", "--clear-groups"]
            if property_on:
                privilege += ["--inh-caps=-all,+setfcap", "--ambient-caps=-all,+setfcap"]
            extracted.mkdir()
            os.chown(extracted, VCAP_ON_CELL, VCAP_ON_CELL)
            subprocess.run([*privilege, "tar", "-xzf", self.archive, "--xattrs", "--xattrs-include=*",
                            "-C", extracted], stderr=subprocess.DEVNULL, check=True)
        return extracted


@pytest.fixture
def operated_cell(lifecycle, cell):
    folder = cell / "operated"
    folder.mkdir()
    yield Cell(folder, lifecycle)
    shutil.rmtree(folder)


def test_the_property_is_named_when_it_is_off(contain, operated_cell):
    text = reason(contain(operated_cell.lifecycle(property_on=False)))
    assert text.startswith(NO_CAPABILITY)


def test_the_property_turned_on_with_a_cold_cache_is_all_it_takes(contain, operated_cell):
    assert contain(operated_cell.lifecycle(property_on=True)).run(*CAPTURE).returncode == 0


def test_a_warm_cache_is_named_when_the_property_was_turned_on_later(contain, operated_cell):
    operated_cell.lifecycle(property_on=False)
    text = reason(contain(operated_cell.lifecycle(property_on=True)))
    assert text.startswith(NO_CAPABILITY)
    assert "a lifecycle archive that was cached before keeps the old state" in text
    assert "until it is extracted again" in text


def test_no_new_privileges_is_named(container):
    text = reason(container, no_new_privs=True)
    assert text == ("no_new_privs is set, so files give no capability: the operator can set "
                    "garden.no_new_privileges to false")


def test_a_nosuid_mount_is_named(contain):
    text = reason(contain(lifecycle_options=["nosuid"]))
    assert "on a mount with the option nosuid" in text
    assert "the operator can mount that folder" in text


@pytest.mark.parametrize("uid", [2000, 0])
def test_a_bounding_set_without_the_capability_is_named(container, uid):
    fewer = [name for name in CAPABILITIES if name != "CAP_NET_RAW"]
    text = reason(container, capabilities=fewer, uid=uid)
    assert text.startswith("CAP_NET_RAW is missing from this container's bounding set: the operator can")


@pytest.mark.parametrize("options", [[], ["-f"]])
def test_a_tracer_is_named(container, options):
    text = reason(container, "/usr/bin/strace", *options, "-o", "/dev/null", *CAPTURE)
    assert text == "cf-pcap is being traced (strace, gdb), so it gives no capability: run it without"


@pytest.mark.parametrize("uid", [2000, 0])
def test_a_network_namespace_of_somebody_else_is_named(contain, ns, uid):
    container = contain(foreign_network=ns.name, first=CAPTURE, uid=uid)
    assert container.init.wait() == 1
    text = reason_in((container.folder / "log").read_text())
    assert text.startswith("this user namespace does not own the network namespace: the operator can give")


@pytest.mark.parametrize("uid", [2000, 0])
def test_a_seccomp_profile_that_refuses_packet_sockets_is_named(contain, uid):
    text = reason(contain(seccomp=profile("no packet")), uid=uid)
    assert text.startswith("the seccomp profile of this container refuses packet sockets: the operator can")


def test_a_seccomp_profile_without_any_socket_is_not_taken_for_too_many_captures(contain):
    result = contain(seccomp=profile("none")).run(*CAPTURE)
    assert (result.returncode, result.stdout) == (1, b"")
    assert b'msg="cannot list the interfaces" error="Operation not permitted"' in result.stderr


def test_a_user_who_makes_a_user_namespace_is_told_that_it_owns_no_network(tools, ns):
    """As root of it, where every file gives every capability."""
    result = subprocess.run(["ip", "netns", "exec", ns.name, "unshare", "--user", "--map-root-user",
                             tools.helper, "-interface", "lo"], capture_output=True)
    assert result.returncode == 1
    assert b"this user namespace does not own the network namespace" in result.stderr


def test_memfds_that_cannot_be_executed_are_named_with_the_way_out(contain, changeable_lifecycle):
    """The sysctl belongs to the pid namespace, and came with Linux 6.3: before, all of them can be."""
    container = contain(changeable_lifecycle)
    if not kernel_is_at_least(6, 3):
        assert container.run(*CAPTURE).returncode == 0
        return
    subprocess.run(["nsenter", f"--target={container.init.pid}", "--pid", "sysctl", "-qw",
                    "vm.memfd_noexec=2"], check=True)
    result = container.run(*CAPTURE)
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"vm.memfd_noexec" in result.stderr
    assert b"operator: set it to 0 or 1" in result.stderr
