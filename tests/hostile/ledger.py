"""The kernel's own account of the pages that captures' rings take, from its trace of the page allocator."""
import os
import re
import tempfile
from pathlib import Path

from hostile.arena import mount

BLOCK_ORDER = 6  # 256 KiB: writer/capture/ring.c
PAGE = os.sysconf("SC_PAGE_SIZE")
EVENTS = ("kmem/mm_page_alloc", "kmem/mm_page_free", "sched/sched_process_fork")
LINE = re.compile(r"-(\d+)\s+\[\d+\].*?: (mm_page_alloc|mm_page_free|sched_process_fork): (.*)")


class Ledger:
    """Of everything that this process starts while it is open; `most` and `left` are bytes, known afterwards."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="cf-pcap-trace.")
        mount("tracefs", self.folder, 0, "tracefs")
        self.instance = Path(self.folder) / f"instances/cf-pcap-{os.getpid()}"
        self.instance.mkdir()
        self._write("buffer_size_kb", "16384")
        for event in EVENTS[:2]:
            self._write(f"events/{event}/filter", f"order == {BLOCK_ORDER}")
        for event in EVENTS:
            self._write(f"events/{event}/enable", "1")
        return self

    def __exit__(self, *error):
        self._write("tracing_on", "0")
        try:
            if error[0] is None:
                self._add_up()
        finally:
            self.instance.rmdir()
            os.system(f"umount {self.folder}")
            os.rmdir(self.folder)

    def _write(self, name, text):
        (self.instance / name).write_text(text)

    def _add_up(self):
        lost = [path.read_text() for path in self.instance.glob("per_cpu/cpu*/stats")]
        assert all(re.search(r"^overrun: 0$", text, re.M) for text in lost), "the kernel's trace is not whole"
        family, pages, self.most = {os.getpid()}, set(), 0
        for pid, event, text in LINE.findall((self.instance / "trace").read_text()):
            fields = dict(word.split("=", 1) for word in text.split() if "=" in word)
            if event == "sched_process_fork":
                if int(fields["pid"]) in family:
                    family.add(int(fields["child_pid"]))
            elif event == "mm_page_alloc" and int(pid) in family:
                pages.add(fields["pfn"])
                self.most = max(self.most, len(pages))
            elif event == "mm_page_free":
                pages.discard(fields["pfn"])
        self.left = len(pages) * (PAGE << BLOCK_ORDER)
        self.most *= PAGE << BLOCK_ORDER
