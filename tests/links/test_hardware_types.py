"""Whatever hardware type an interface has: -list-interfaces says what a capture there is, or that it is refused."""
import contextlib
import fcntl
import os
import re
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from links.devices import IFF_NO_PI, IFF_TUN, TUNSETIFF, TUNSETLINK, open_tun
from links.sidebyside import inside
from support import read_pcap

HEADER = "/usr/include/linux/if_arp.h"
NAMES = {1: "EN10MB", 101: "RAW", 113: "LINUX_SLL"}
AT_ONCE = 4  # of 8 places


def hardware_types():
    """All that the kernel has a name for, small numbers, and neighbours of those that libpcap knows."""
    with open(HEADER, encoding="utf-8") as header:
        named = {int(value, 0) for value in re.findall(r"^#define\s+ARPHRD_\w+\s+(\d+|0x[0-9A-Fa-f]+)", header.read(), re.M)}
    assert len(named) > 60
    known = {15, 23, 256, 259, 264, 280, 513, 518, 768, 770, 776, 783, 787, 800, 804, 824, 826, 8445}
    return sorted(named | set(range(1, 30)) | known | {number + step for number in known for step in (-1, 1)} | {65535})


@contextlib.contextmanager
def tunnels(ns, types):
    """An interface that is up for each, called after its type."""
    descriptors = []
    try:
        with inside(ns.name):
            for number in types:
                descriptors.append(open_tun())
                fcntl.ioctl(descriptors[-1], TUNSETIFF, struct.pack("16sH22x", b"t%d" % number, IFF_TUN | IFF_NO_PI))
                fcntl.ioctl(descriptors[-1], TUNSETLINK, number)
        up = "".join(f"link set t{number} up\n" for number in types)
        ns.run("ip", "-batch", "-", input=up.encode(), check=True)
        yield
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def listed(tools, ns):
    """What the list says of each interface, in a word."""
    lines = tools.run(ns, "-list-interfaces").stdout.decode().splitlines()
    return {line.split()[0]: "refused" if "(cannot be captured)" in line else line.split()[2] for line in lines}


def captured(tools, ns, interface):
    """What a capture there is, or how it was refused."""
    run = tools.run(ns, "-interface", interface, "-no-ssh-guard", "-buffer-size", "256k", "-duration", "1ms")
    if run.returncode == 0:
        return NAMES[read_pcap(run.stdout).link_type]
    return "refused" if b'msg="cannot capture on this kind of interface"' in run.stderr else run.stderr.decode()


def test_the_list_and_the_capture_agree_for_every_hardware_type(tools, ns):
    types = hardware_types()
    with tunnels(ns, types), ThreadPoolExecutor(AT_ONCE) as threads:
        told = listed(tools, ns)
        found = dict(zip(types, threads.map(lambda number: captured(tools, ns, f"t{number}"), types)))
    assert [(number, told[f"t{number}"], found[number]) for number in types
            if told[f"t{number}"] != found[number]] == []
    assert set(found.values()) == {"EN10MB", "RAW", "LINUX_SLL", "refused"}


@pytest.mark.parametrize("name", ["isdn0", "isdY0", "cdma_rmnet0", "cdma_rmne0", "xisdn0"])
def test_the_list_and_the_capture_agree_for_the_names_that_libpcap_knows(tools, ns, name):
    subprocess.run(["ip", "-n", ns.name, "link", "add", name, "type", "veth"], check=True)
    subprocess.run(["ip", "-n", ns.name, "link", "set", name, "up"], check=True)
    assert listed(tools, ns)[name] == captured(tools, ns, name)
