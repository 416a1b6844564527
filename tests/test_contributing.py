"""CONTRIBUTING.md: what it tells to do when a flag is added is done for all that there are."""
import re

import pytest

from support import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PLACES = re.search(r"## Adding a flag\n(.*?)\n## ", TEXT, re.S)[1]
FLAGS = re.findall(r'^\t\{ "([a-z0-9-]+)", FLAG_', (ROOT / "writer/setup/flags.c").read_text(), re.MULTILINE)
FILES = re.findall(r"^\d\. `([\w./-]+)`", PLACES, re.MULTILINE)


def mentions(name, flag):
    """How the file says this flag."""
    text = (ROOT / name).read_text()
    if name.endswith("flags.h"):
        field = re.search(rf'"{flag}", FLAG_\w+, FIELD\((\w+)\)', (ROOT / "writer/setup/flags.c").read_text())[1]
        return re.search(rf"\b{field}(\[\w+\])?;", text)
    if name.endswith("cf-pcap.1"):
        return re.search(rf"^\.It Fl {flag}\b", text, re.MULTILINE)
    return re.search(rf"[\"'`\s(\[{{|]-{{0,2}}{flag}[\"'`\s)\]}}|=:]", text)


def test_the_places_are_those_there_are():
    assert len(FLAGS) > 15
    assert len(FILES) == 5 and [name for name in FILES if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("flag", FLAGS)
def test_flag_stands_in_all_its_places(flag):
    assert [name for name in FILES if not mentions(name, flag)] == []


def test_a_flag_that_is_missing_somewhere_is_seen():
    assert not mentions("README.md", "no-such-flag") and not mentions("packaging/man/cf-pcap.1", "no-such-flag")


def test_each_file_and_function_on_the_way_of_a_packet_and_of_a_filter_exists():
    steps = re.findall(r"^((?:capture|output|setup|helper|common|formats)/\w+\.c) +(.*)$", TEXT, re.MULTILINE)
    assert len(steps) > 20
    for name, what in steps:
        path = next(path for path in (ROOT / name, ROOT / "writer" / name) if path.is_file())
        for function in re.findall(r"\b(\w+)\(\)", what):
            assert re.search(rf"\b{function}\(", path.read_text()), (name, function)
