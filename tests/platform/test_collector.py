"""The whole app in one file: cf-pcap-collect at home, cf-pcap in a container, real ssh between; only cf is a stand-in."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from container import LIFECYCLE
from remote import ENVOY_PORTS
from support import ROOT, wait_until

sys.path.insert(0, str(ROOT / "tests/collector"))
from collected import read_collected  # noqa: E402

INSTANCES = [{"index": 0, "state": "RUNNING", "host": "h", "instance_internal_ip": "10.255.0.1"},
             {"index": 1, "state": "DOWN"}, {"index": 2, "state": "RUNNING", "host": "h"},
             {"index": 3, "state": "CRASHED", "host": "h"}]
STOP_LIMIT_S = 5  # what has not ended by then gets SIGTERM


@pytest.fixture
def home(remote, stage):
    """The user's folder, with cf, its apps, and the collector. Each instance of the app is the same container."""
    folder = remote.folder / "collect"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, "collector"], check=True, stdout=subprocess.DEVNULL)
    for path in (ROOT / "build/cf-pcap-collect", ROOT / "tests/collector/cf"):
        shutil.copy(path, folder)
    (folder / "shop.json").write_text(json.dumps({"guid": "abc-1", "web": INSTANCES}))
    (folder / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {remote.config} -T app "$1"\n')
    (folder / "ssh").chmod(0o755)
    return folder


def collect(remote, home, *words):
    environment = f"CF_STANDIN={home} PATH={home}:$PATH CF_INSTANCE_PORTS='{ENVOY_PORTS}'"
    return remote.spawn(f"export {environment}; exec {home}/cf-pcap-collect {' '.join(words)} > {home}/out.pcapng",
                        stdin=subprocess.PIPE)


def over_ssh(remote):
    """-via with words: real ssh, to a host."""
    return ["-via", f"'/usr/bin/ssh -F {remote.config} -T -- {{}} {{command}}'", "-host", "app"]


def content(home):
    path = home / "out.pcapng"
    return path.read_bytes() if path.exists() else b""


def wait_for(client, home, *texts):
    """Until each of these stands in the file."""
    wait_until(lambda: client.poll() is not None or all(text in content(home) for text in texts), 60)
    assert client.poll() is None, client.stderr.read().decode()


def finish(client):
    client.send_signal(signal.SIGINT)
    _, err = client.communicate(timeout=60)
    return client.returncode, err.decode()


def test_all_instances_of_an_app_come_home_whole(remote, home):
    client = collect(remote, home, "shop", "-interface", "lo", "tcp port 8080")
    wait_for(client, home, b"shop/0 lo", b"shop/2 lo")
    for number in range(3):
        remote.run(f"curl -sk --max-time 10 https://10.9.0.1:61001/whole-{number}")
    status, messages = finish(client)
    found = read_collected(content(home))
    assert status == 0, messages
    assert sorted(one["name"] for one in found.interfaces) == ["shop/0 lo", "shop/2 lo"]
    for one in ("shop/0 lo", "shop/2 lo"):
        for number in range(3):
            assert any(b"GET /whole-%d HTTP/1." % number in data for data in found.of(one))
    assert found.is_sorted() and len(found.statistics) == 2
    assert messages.count("an instance is not running") == 2 and messages.count("whole=yes") == 3
    assert all(b"not tcp port 2222" in one["filter"] for one in found.interfaces)
    wait_until(lambda: not remote.container.captures())


def test_a_second_interface_and_ssh_itself(remote, home):
    client = collect(remote, home, *over_ssh(remote), "-interface", "lo,eth0", "-remote", f"{LIFECYCLE}/cf-pcap")
    wait_for(client, home, b"app lo", b"app eth0")
    remote.run("curl -sk --max-time 10 https://10.9.0.1:61001/both")
    status, messages = finish(client)
    found = read_collected(content(home))
    assert status == 0, messages
    assert any(b"GET /both" in data for data in found.of("app lo")) and len(found.of("app eth0")) > 3
    assert not any(b"GET /both" in data for data in found.of("app eth0"))


@pytest.fixture(params=["tcpdump", "dumpcap"])
def other_tool(request, remote):
    """One that the end of its input does not stop, where the container's user may run it."""
    path = remote.container.root / "home/vcap" / request.param
    shutil.copy(f"/usr/bin/{request.param}", path)
    subprocess.run(["setcap", "cap_net_raw=ep", path], check=True)
    yield request.param
    path.unlink()


def collect_by(other_tool, remote, home, *filters):
    client = collect(remote, home, *over_ssh(remote), "-interface", "lo", "-remote", f"/home/vcap/{other_tool}", *filters)
    wait_for(client, home, b"app lo")
    wait_until(lambda: remote.container.processes_named(other_tool))
    return client


def test_a_stop_reaches_a_tool_that_knows_only_signals(remote, home, other_tool):
    """It writes what it has, and says how many that were: the stream is whole. Nobody is left behind, also not where it is quiet."""
    client = collect_by(other_tool, remote, home, "tcp port 8080")
    remote.run("curl -sk --max-time 10 https://10.9.0.1:61001/heard")
    wait_for(client, home, b"GET /heard")
    begun = time.monotonic()
    status, messages = finish(client)
    assert status == 0 and "whole=yes" in messages, messages
    assert time.monotonic() - begun < STOP_LIMIT_S, "it was not stopped, but killed"
    wait_until(lambda: not remote.container.processes_named(f"{other_tool}|sh"))


def test_a_tool_that_knows_only_signals_ends_with_the_desk(remote, home, other_tool):
    client = collect_by(other_tool, remote, home, "udp port 9")
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    wait_until(lambda: not remote.container.processes_named(f"{other_tool}|sh"), 30)


def test_a_connection_that_is_cut_is_named_and_leaves_the_other_whole(remote, home):
    client = collect(remote, home, "shop", "-interface", "lo", "tcp port 8080")
    wait_for(client, home, b"shop/0 lo", b"shop/2 lo")
    pids = [int(pid) for pid in open(f"/proc/{client.pid}/task/{client.pid}/children", encoding="ascii").read().split()]
    one = next(pid for pid in pids if re.search(rb"ssh\0-F", open(f"/proc/{pid}/cmdline", "rb").read()))
    os.kill(one, signal.SIGKILL)
    wait_for(client, home, b"may lack its end")
    status, messages = finish(client)
    assert status == 3 and messages.count("whole=yes") == 1 and "it ended without its statistics" in messages
