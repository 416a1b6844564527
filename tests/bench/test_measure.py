"""The measurements of make bench work: one small run of each kind."""
import pytest

from bench.bench import file_bytes, measure
from bench.rig import Rig, TCP_HEADERS, tcpdump_of_tcp

PACKETS = 2000


@pytest.fixture(scope="module")
def rig():
    with Rig() as running:
        yield running


@pytest.mark.parametrize("where", [{}, {"sink": "file"}, {"interface": "lo"}], ids=["pipe", "file", "lo"])
def test_every_packet_of_a_measurement_is_accounted_for(rig, where):
    for tool in (rig.cf_pcap(), rig.floors()[1]):
        result = measure(rig, tool, 512, count=PACKETS, rate=5000, **where)
        assert result["sent"] == result["offered"] == result["records"] == PACKETS, tool.name
        assert result["sound"] and result["microseconds"] > 0, tool.name


def test_every_packet_of_the_headers_measurement_is_accounted_for(rig):
    for tool, kept in ((rig.headers_only(), TCP_HEADERS), (tcpdump_of_tcp("tcpdump", 65535), 1514)):
        result = measure(rig, tool, 1514, kept=kept, tcp=True, count=PACKETS, rate=5000)
        assert result["sent"] == result["offered"] == result["records"] == PACKETS, tool.name
        assert result["bytes"] == file_bytes(kept, PACKETS), tool.name
