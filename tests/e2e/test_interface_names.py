"""Interfaces whose names differ in one digit."""
from e2e.traffic import Sender, ethernet
from support import ip, read_pcap

PAIRS = 10


def test_each_of_twenty_names_of_15_characters_opens_its_own_interface(tools, ns, tmp_path):
    names = [f"capture00000{number:03}" for number in range(2 * PAIRS)]
    for first, second in zip(names[::2], names[1::2]):
        ip("-n", ns.name, "link", "add", first, "type", "veth", "peer", "name", second)
        for name in (first, second):
            ip("-n", ns.name, "link", "set", name, "up")
    senders = [Sender(ns, name) for name in names]
    frames = [ethernet(0x88B5, name.encode().ljust(46, b"\0")) for name in names]
    for own, name in enumerate(names):
        capture = tools.capture(ns, "-interface", name, "-direction", "out", "-count", "1", "-filter", "ether proto 0x88b5",
                                path=tmp_path / "out.pcap")
        for sender, frame in zip(senders, frames):
            sender.send(frame)
        assert capture.process.wait(20) == 0
        assert [record.data for record in read_pcap(capture.path).records] == [frames[own]]
    for sender in senders:
        sender.socket.close()
