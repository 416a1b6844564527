"""tshark lists the interfaces and captures from them; and the profile to copy has the column."""
import signal
import subprocess

import pytest
from app import CONTENTS, NAMES
from reading import interface_names
from support import wait_until

PATIENCE_S = 120


def start(desk, *words):
    return desk.spawn("tshark", *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def tshark(desk, *words):
    out, err = start(desk, *words).communicate(timeout=PATIENCE_S)
    return out.decode(), err.decode()


def start_capture(desk, path, text):
    options = {"app": "shop", "remote": desk.remote}
    words = [word for name, value in options.items() for word in ("-o", f"extcap.cf_pcap_app.{name}:{value}")]
    return start(desk, "-i", "cf-pcap-app", *words, "-f", text, "-w", path)


@pytest.fixture(scope="module")
def captured(desk):
    """A file, from when all instances have answered."""
    path = desk.home / "captured.pcapng"
    process = start_capture(desk, path, "tcp port 8080")
    wait_until(lambda: process.poll() is not None or
               path.exists() and all(text in path.read_bytes() for text in CONTENTS), PATIENCE_S, 0.1)
    assert process.poll() is None, process.stderr.read().decode()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and b"Error" not in messages
    return path


def test_both_interfaces_are_listed(desk):
    listed, _ = tshark(desk, "-D")
    assert "cf-pcap-app (Cloud Foundry app)" in listed and "cf-pcap-ssh (cf-pcap over ssh)" in listed


def test_all_instances_are_captured(captured):
    assert interface_names(captured) == set(NAMES)


def test_an_error_is_told_once_in_words(desk):
    process = start_capture(desk, desk.home / "none.pcapng", "tcp prot 8080")
    _, messages = process.communicate(timeout=PATIENCE_S)
    assert messages.count(b"cannot use filter") == 1 and b"syntax error" in messages


def test_the_profile_shows_where_each_packet_was_captured(desk, captured):
    with_profile, _ = tshark(desk, "-C", "cf-pcap", "-r", captured)
    without, _ = tshark(desk, "-r", captured)
    assert all(f" {name} " in with_profile and name not in without for name in NAMES)
