"""Completion, typed into real shells on a terminal."""
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

COMPLETION = Path(__file__).resolve().parent.parent.parent / "packaging/completion"
SHOW = "\x18"  # ^X prints the line as it stands
TIMEOUT = 20.0

BASH = f"""PS1='ready> '
bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 1000'
bind 'set page-completions off'; bind 'set enable-bracketed-paste off'
show() {{ printf '\\n<<%s>>\\n' "$READLINE_LINE"; }}
bind -x '"\\C-x": show'
source {COMPLETION}/cf-pcap.bash
"""
ZSH = f"""PS1='ready> '
unsetopt beep prompt_sp prompt_cr; setopt no_zle_bracketed_paste 2>/dev/null; unset zle_bracketed_paste
LISTMAX=1000
fpath=({COMPLETION} $fpath)
autoload -Uz compinit && compinit -u -D
show() {{ zle -I; print -r -- "<<$BUFFER>>" }}
zle -N show; bindkey -e; bindkey '^X' show
"""


class Shell:
    """An interactive shell in the test's network namespace, with cf-pcap in its PATH."""

    def __init__(self, kind, tools, namespace, folder):
        rc = folder / (".zshrc" if kind == "zsh" else "bashrc")
        rc.write_text(ZSH if kind == "zsh" else BASH)
        words = ["zsh", "-d", "-i"] if kind == "zsh" else ["bash", "--noprofile", "--rcfile", rc, "-i"]
        environment = {"PATH": f"{tools.helper.parent}:/usr/bin:/bin", "TERM": "dumb", "HOME": str(folder),
                       "ZDOTDIR": str(folder), "COLUMNS": "200", "LC_ALL": "C"}
        master, slave = pty.openpty()
        self.terminal, self.kind = master, kind
        self.process = subprocess.Popen(["ip", "netns", "exec", namespace.name, *words], stdin=slave, stdout=slave,
                                        stderr=slave, env=environment, cwd=folder, start_new_session=True)
        os.close(slave)
        self.read_until("ready> ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.terminal)

    def read_until(self, *texts):
        """Reads until these have come, in this order."""
        wanted = re.compile(".*".join(texts), re.DOTALL)
        seen, deadline = "", time.monotonic() + TIMEOUT
        while not wanted.search(seen):
            left = deadline - time.monotonic()
            assert left > 0, f"{self.kind} did not answer: {seen!r}"
            if select.select([self.terminal], [], [], left)[0]:
                seen += os.read(self.terminal, 65536).decode(errors="replace")
        return seen

    def complete(self, line):
        """Types the line and a tab. Returns the line then, and what was offered meanwhile."""
        os.write(self.terminal, f"{line}\t".encode())
        os.write(self.terminal, SHOW.encode())
        seen = self.read_until(">>", "ready> ")  # before the prompt, the terminal acts on keys itself
        after = re.search(r"<<(.*)>>", seen).group(1)
        os.write(self.terminal, b"\x15")  # ^U
        return after, seen.split("<<")[0]


@pytest.fixture(params=["bash", "zsh"])
def shell(request, tools, ns, scratch):
    with Shell(request.param, tools, ns, scratch) as shell:
        yield shell


def test_flag_is_completed(shell):
    assert shell.complete("cf-pcap -dir")[0].startswith("cf-pcap -direction")
    assert shell.complete("cf-pcap --snap")[0].startswith("cf-pcap --snaplen")


def test_every_flag_of_help_is_offered(shell, tools):
    help_text = subprocess.run([tools.helper, "-help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    flags = re.findall(r"^  (-[a-z0-9-]+) ", help_text, re.MULTILINE)
    assert len(flags) > 10
    offered = shell.complete("cf-pcap -")[1]
    assert [flag for flag in flags if not re.search(rf"(?<!\S){flag}(?![a-z0-9-])", offered)] == []


def test_interfaces_are_offered(shell):
    assert shell.complete("cf-pcap -interface ca")[0].rstrip() == "cf-pcap -interface cap0"
    assert shell.complete("cf-pcap -interface=ca")[0].rstrip() == "cf-pcap -interface=cap0"
    offered = shell.complete("cf-pcap -interface ")[1]
    for name in ("lo", "cap0", "any"):
        assert re.search(rf"(?<!\S){name}(?!\S)", offered), name


def test_values_of_a_choice_are_offered(shell):
    assert shell.complete("cf-pcap -interface lo -direction ino")[0].rstrip().endswith("-direction inout")
    assert shell.complete("cf-pcap --format=pcapn")[0].rstrip() == "cf-pcap --format=pcapng"
    offered = shell.complete("cf-pcap -direction ")[1]
    for name in ("inout", "in", "out"):
        assert re.search(rf"(?<!\S){name}(?!\S)", offered), name


def test_flag_without_a_value_is_followed_by_flags(shell):
    assert shell.complete("cf-pcap -v -dur")[0].startswith("cf-pcap -v -duration")
    assert shell.complete("cf-pcap -count 5 -nan")[0].rstrip() == "cf-pcap -count 5 -nano"
