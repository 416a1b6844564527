"""The collector's page, completion and installation say what the program does."""
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from support import ROOT

PAGE = ROOT / "packaging/man/cf-pcap-collect.1"


@pytest.fixture(scope="module")
def help_text(collector_program):
    return subprocess.run([collector_program, "-help"], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_the_page_is_clean_and_has_the_flags_of_help_and_no_other(help_text):
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "style", PAGE], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    assert [line for line in lint.splitlines() if "referenced manual" not in line and "mandoc.db" not in line] == []
    flags = set(re.findall(r"^  -([a-z0-9-]+)", help_text, re.M))
    assert len(flags) > 25 and set(re.findall(r"^\.It Fl (\S+)", PAGE.read_text(), re.M)) == flags


def test_every_flag_stands_in_flags_that_the_readme_names(help_text):
    flags = set(re.findall(r"^  -([a-z0-9-]+)", help_text, re.M))
    section = (ROOT / "README.md").read_text().split("## The whole app")[1].split("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])-([a-z][a-z-]+)", section))
    assert named - {"k", "i"} <= flags | {"collect"} and {"interface", "duration", "via", "host"} <= named


def commands_of_the_pages():
    readme = re.findall(r"^    (cf-pcap-collect .*)$", (ROOT / "README.md").read_text(), re.M)
    page = re.findall(r"^\.Dl \$ (cf-pcap-collect .*)$", PAGE.read_text(), re.M)
    return [command.split(" | ")[0] for command in readme + page]


@pytest.mark.parametrize("command", commands_of_the_pages())
def test_a_command_of_the_pages_is_understood(collector_program, tmp_path, command):
    """Where neither cf nor ssh nor kubectl is: that is what fails, and not the command line."""
    result = subprocess.run([collector_program, *shlex.split(command)[1:]], cwd=tmp_path, env={"PATH": str(tmp_path)},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert result.returncode in (1, 3) and "cannot execute" in result.stderr


def test_help_and_version_are_answered_at_once(collector_program):
    version = subprocess.run([collector_program, "-version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert re.fullmatch(r"cf-pcap-collect \d+\.\d+\.\d+\n", version)


def test_bash_completes_flags_values_and_files(collector_program, tmp_path):
    (tmp_path / "out.pcapng").touch()

    def complete(*words):
        script = f"""source {ROOT}/packaging/completion/cf-pcap-collect.bash
            COMP_WORDS=({collector_program} {' '.join(words)}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _cf_pcap_collect
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        return subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, stdout=subprocess.PIPE,
                              text=True).stdout.split()

    assert complete("-rotate") == ["-rotate-size", "-rotate-every"]
    assert complete("--reconn") == ["--reconnect"]
    assert complete("-direction", "ino") == ["inout"]
    assert complete("-o", "out") == ["out.pcapng"]


def test_it_is_installed_and_uninstalled_by_itself(tmp_path):
    make = ["make", "--no-print-directory", "-C", ROOT, f"DESTDIR={tmp_path}", "prefix=/usr"]
    subprocess.run([*make, "install-collector"], check=True, stdout=subprocess.DEVNULL)
    installed = sorted(str(path.relative_to(tmp_path / "usr")) for path in Path(tmp_path).rglob("*") if path.is_file())
    assert installed == ["bin/cf-pcap-collect", "share/bash-completion/completions/cf-pcap-collect",
                         "share/man/man1/cf-pcap-collect.1", "share/zsh/site-functions/_cf-pcap-collect"]
    subprocess.run([*make, "uninstall-collector"], check=True, stdout=subprocess.DEVNULL)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
