"""The fuzz targets: each runs from its corpus on, for half a minute in CI, otherwise just long enough to see that it does."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TARGETS = [source.stem for source in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c"))]
SECONDS = 30 if os.environ.get("CI") else 5
AT_ONCE = 2


def run(target):
    return subprocess.run([ROOT / "tests/fuzz/run", ROOT / "build/fuzzing" / target], capture_output=True, text=True,
                          env={**os.environ, "FUZZ_SECONDS": str(SECONDS)}, timeout=SECONDS + 120)


@pytest.fixture(scope="module")
def runs(request):
    """All that were asked for run at once, two at a time; each test waits for its own."""
    wanted = [item.callspec.params["target"] for item in request.session.items
              if item.module is request.module and hasattr(item, "callspec")]
    made = subprocess.run(["make", "--no-print-directory", "-C", ROOT, "fuzz-build"], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {target: pool.submit(run, target) for target in wanted}


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_target_finds_no_broken_promise(runs, target):
    process = runs[target].result()
    assert process.returncode == 0, process.stdout + process.stderr
    executed = int(re.search(r": (\d+) runs, no failure", process.stdout)[1])
    seeds = len(list((ROOT / "tests/fuzz/corpus" / target.removeprefix("fuzz_")).iterdir()))
    assert seeds > 0 and executed > 10 * seeds
