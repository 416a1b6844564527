"""make soak in short."""
from bench.rig import Rig
from bench.soak import Soak


def test_counts_are_exact_and_memory_flat_under_slow_and_stalled_readers():
    with Rig() as rig:
        assert Soak(rig, seconds=20).faults() == []
