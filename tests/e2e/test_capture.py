"""A plain capture, as its user sees it."""
from support import read_pcap, summary

SEND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range({count}):
    s.sendto(b"%08d" % i, ("{address}", 9999))
"""


def test_every_datagram_on_lo_is_captured_once(tools, ns, tmp_path):
    capture = tools.capture(ns, "-interface", "lo", "-filter", "udp port 9999", path=tmp_path / "out.pcap")
    ns.run("python3", "-c", SEND.format(count=1000, address="127.0.0.1"), check=True)
    status, messages = capture.stop()
    payloads = [record.data[42:] for record in read_pcap(capture.path).records]
    assert status == 0
    assert payloads == [b"%08d" % i for i in range(1000)]
    assert summary(messages) == (1000, capture.path.stat().st_size, 0)
