"""tshark lists the interfaces and captures from them; and the profile to copy has the column. This Debian's and the next one's."""
import signal
import subprocess

import pytest
from app import CONTENTS, NAMES
from newer import newer_root
from reading import interface_names
from support import wait_until

PATIENCE_S = 120


class Tshark:
    def __init__(self, desk, root):
        self.desk, self.root = desk, root

    def start(self, *words):
        return self.desk.spawn("tshark", *words, root=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)

    def run(self, *words):
        out, err = self.start(*words).communicate(timeout=PATIENCE_S)
        return out.decode(), err.decode()

    def start_capture(self, path, text):
        options = {"app": "shop", "remote": self.desk.remote}
        words = [word for name, value in options.items() for word in ("-o", f"extcap.cf_pcap_app.{name}:{value}")]
        return self.start("-i", "cf-pcap-app", *words, "-f", text, "-w", path)


@pytest.fixture(scope="module", params=["this Debian's", "the next Debian's"])
def tshark(request, desk):
    return Tshark(desk, newer_root() if request.param == "the next Debian's" else None)


@pytest.fixture(scope="module")
def captured(tshark):
    """A file, from when all instances have answered."""
    path = tshark.desk.home / "captured.pcapng"
    path.unlink(missing_ok=True)
    process = tshark.start_capture(path, "tcp port 8080")
    wait_until(lambda: process.poll() is not None or
               path.exists() and all(text in path.read_bytes() for text in CONTENTS), PATIENCE_S, 0.1)
    assert process.poll() is None, process.stderr.read().decode()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and b"Error" not in messages
    return path


def test_it_is_the_version_that_is_meant(tshark):
    assert tshark.run("--version")[0].startswith("TShark (Wireshark) 4.4." if tshark.root else "TShark (Wireshark) 4.0.")


def test_both_interfaces_are_listed(tshark):
    listed, _ = tshark.run("-D")
    assert "cf-pcap-app (Cloud Foundry app)" in listed and "cf-pcap-ssh (cf-pcap over ssh)" in listed


def test_all_instances_are_captured(captured):
    assert interface_names(captured) == set(NAMES)


def test_an_error_is_told_once_in_words(tshark):
    process = tshark.start_capture(tshark.desk.home / "none.pcapng", "tcp prot 8080")
    _, messages = process.communicate(timeout=PATIENCE_S)
    assert messages.count(b"cannot use filter") == 1 and b"syntax error" in messages


def test_the_profile_shows_where_each_packet_was_captured(tshark, captured):
    with_profile, _ = tshark.run("-C", "cf-pcap", "-r", captured)
    without, _ = tshark.run("-r", captured)
    assert all(f" {name} " in with_profile and name not in without for name in NAMES)
