"""The man pages say what the program does."""
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
USER_PAGE = ROOT / "packaging/man/cf-pcap.1"
WRITER_PAGE = ROOT / "packaging/man/cf-pcap-protocol.7"
POLICY_PAGE = ROOT / "packaging/man/cf-pcap.policy.5"
# What mandoc says about other pages, which this machine may not have.
ABOUT_OTHERS = ("referenced manual not found", "mandoc.db")


def rendered(page):
    text = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=900", page], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    plain = re.sub(".\b", "", text)
    return re.sub(r"\s+", " ", re.sub(r"-\n +", "-", plain))  # mandoc breaks lines at hyphens


def helped_flags(tools):
    """Flag and value, as -help shows them."""
    text = subprocess.run([tools.helper, "-help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(re.findall(r"^  -(\S+) (\S*) +\S", text, re.MULTILINE))


@pytest.mark.parametrize("page", [USER_PAGE, WRITER_PAGE, POLICY_PAGE], ids=lambda page: page.name)
def test_page_is_clean(page):
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    assert [line for line in lint.splitlines() if not any(word in line for word in ABOUT_OTHERS)] == []


def test_page_has_the_flags_of_help_and_no_other(tools):
    flags = helped_flags(tools)
    assert len(flags) > 10
    items = dict(re.findall(r"^\.It Fl (\S+) ?(.*)$", USER_PAGE.read_text(), re.MULTILINE))
    assert items.keys() == flags.keys()
    for name, value in flags.items():
        documented = re.sub(r"\b(Ar|Cm) | ", "", items[name])
        assert documented.upper() == value.upper(), name


def literal_messages(source):
    """The first text of each call that tells the user something, at INFO and above."""
    calls = re.findall(r'\b(?:log_record\(LOG_(?:ERROR|WARN|INFO),|fail\(|(?:flag_)?reject\()\s*((?:[^;"]|"(?:[^"\\]|\\.)*")*?;)',
                       source)
    for call in calls:
        message = call.split("LOG_FIELDS")[0].split("strerror")[0]
        texts = re.findall(r'"((?:[^"\\]|\\.)+)"', message)
        yield from texts if "?" in message else texts[:1]


def test_page_has_every_message_of_the_writer():
    page = rendered(USER_PAGE)
    sources = [*(ROOT / "writer").rglob("*.c"), *(ROOT / "base").glob("*.c")]
    messages = {message for path in sources for message in literal_messages(path.read_text())}
    assert len(messages) > 30
    assert [message for message in sorted(messages) if message not in page] == []


def test_policy_page_has_every_word_and_every_reason():
    page = rendered(POLICY_PAGE)
    parser = (ROOT / "writer/setup/policy.c").read_text()
    words = re.findall(r'^\t\[POLICY_\w+\] = \{ "([a-z-]+)"', parser, re.MULTILINE)
    assert set(words) == set(re.findall(r"^\.It Ic (\S+)", POLICY_PAGE.read_text(), re.MULTILINE)) and len(words) == 8
    reasons = set(re.findall(r'"(expected [^"]+)"', parser)) | set(re.findall(r'mistake\(fault, "([^"]+)"', parser))
    reasons |= set(re.findall(r'\brefuse\("([^"]+)"', (ROOT / "writer/setup/policy_file.c").read_text()))
    assert len(reasons) >= 16
    assert [reason for reason in sorted(reasons) if reason not in page] == []


def test_writer_page_has_every_message_of_the_helper():
    page = rendered(WRITER_PAGE)
    source = "".join(path.read_text() for path in (ROOT / "helper").glob("*.c"))
    source = source.replace('" "', "")  # as the compiler joins them
    calls = re.findall(r'\bdie\(((?:[^;{"]|"[^"]*")*)\);', source)
    messages = {message for call in calls for message in re.findall(r'"([^"]+)"', call)}
    assert len(messages) > 10
    assert [message for message in sorted(messages) if message not in page] == []


def test_page_has_every_exit_status():
    main = (ROOT / "writer/main.c").read_text()
    statuses = {"0"} | set(re.findall(r"#define EXIT_\w+ (\d+)", main))
    listed = USER_PAGE.read_text().split(".Sh EXIT STATUS")[1].split(".Sh")[0]
    assert set(re.findall(r"^\.It (\d+)$", listed, re.MULTILINE)) == statuses == {"0", "1", "2"}


def test_writer_page_has_the_whole_protocol():
    page, header = rendered(WRITER_PAGE), (ROOT / "common/protocol.h").read_text()
    names = set(re.findall(r"^struct (\w+) \{$", header, re.MULTILINE)) - {"message_header", "lookup_entry"}
    names |= set(re.findall(r"^\t((?:OPEN|LOOKUP)_\w+)[,/ ]", header, re.MULTILINE))
    names -= {"OPEN_FLAGS_ALL", "OPEN_RESULT_COUNT", "LOOKUP_KIND_COUNT"}
    assert len(names) > 15
    assert [name for name in sorted(names) if name not in page] == []
    limits = dict(re.findall(r"^#define (\w+) (\d+)u?\b", header, re.MULTILINE))
    for name in ("FILTER_TEXT_SIZE", "POLICY_TEXT_SIZE", "GUARD_TEXT_SIZE", "REFUSAL_TEXT_SIZE", "LOOKUP_NAME_SIZE", "INTERFACE_NAME_SIZE"):
        assert f"at most {int(limits[name]) - 1} bytes" in page, name
    assert f"at most {limits['LOOKUP_ADDRESS_MAX']} addresses" in page
    assert f"from 1 to {limits['SNAPLEN_MAX']}" in page
    assert f"the version, {limits['PROTOCOL_VERSION']}," in page
    for name in ("CAPTURE_CHANNEL", "LOOKUP_CHANNEL", "HELPER_FILE"):
        assert f"descriptor {limits[f'WRITER_{name}_FD']}" in page.lower(), name


def test_installing_over_the_first_version_leaves_nothing_of_it(scratch):
    former = [scratch / "usr/bin/cf-pcap-writer", scratch / "usr/share/man/man8/cf-pcap-writer.8"]
    for path in former:
        path.parent.mkdir(parents=True)
        path.write_text("0.1.0")
    subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"DESTDIR={scratch}", "prefix=/usr", "install"],
                   check=True, stdout=subprocess.DEVNULL)
    assert [path for path in former if path.exists()] == []


def test_pages_and_completion_are_installed_and_uninstalled(scratch):
    make = ["make", "--no-print-directory", "-C", ROOT, f"DESTDIR={scratch}", "prefix=/usr"]
    subprocess.run([*make, "install"], check=True, stdout=subprocess.DEVNULL)
    installed = sorted(str(path.relative_to(scratch / "usr")) for path in scratch.rglob("*") if path.is_file())
    assert installed == [
        "bin/cf-pcap", "share/bash-completion/completions/cf-pcap",
        "share/man/man1/cf-pcap.1", "share/man/man5/cf-pcap.policy.5", "share/man/man7/cf-pcap-protocol.7", "share/zsh/site-functions/_cf-pcap"]
    subprocess.run([*make, "uninstall"], check=True, stdout=subprocess.DEVNULL)
    assert not [path for path in scratch.rglob("*") if path.is_file()]
