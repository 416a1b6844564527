"""make soak in short."""
from bench.rig import Rig
from bench.soak import SMALL_FLAGS, SMALL_RATE, Soak


def test_counts_are_exact_and_memory_flat_under_slow_and_stalled_readers():
    with Rig() as rig:
        assert Soak(rig, seconds=20).faults() == []


def test_a_capture_of_small_records_lives_through_a_stall_that_fills_its_queue():
    """0.1.0 called its ring inconsistent when the queue held as many records as it can."""
    with Rig() as rig:
        soak = Soak(rig, seconds=12, rate=SMALL_RATE, flags=SMALL_FLAGS, phases="500:-1,60000:0")
        assert soak.faults(cut=True) == []
