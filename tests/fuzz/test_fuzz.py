"""A short run of the fuzzer over every kind of input; `make fuzz SECONDS=600` is a long one."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.kinds import KINDS

pytest.importorskip("tfx")

# Seeds that showed a fault once, by kind: each is tried again, whatever the time.
KEPT = {
    "archive": (1_000_481,),
    "sealed_archive": (520, 773, 9_000_113, 10_000_069),
    "message": (734,),
    "schema": (400_045, 541_057),  # of the second the fuzzer itself made no end
    "sealed_model": (9_000_016,),
    "uri": (1, 389, 1_002_809),
    "payload": (18, 100_008, 500_011, 500_279, 500_331, 500_343),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_damaged_input_ends_in_a_result_or_in_one_line(kind: str) -> None:
    """No traceback, no password, no more than one reason, nothing that takes 20 s."""
    assert fuzz([kind], 100_000, seconds=25, count=300) == {}


@pytest.mark.parametrize(("kind", "seed"), [(kind, one) for kind in KEPT for one in KEPT[kind]])
def test_what_was_mended_stays_mended(kind: str, seed: int) -> None:
    """The very input that showed the fault."""
    assert fuzz([kind], seed, seconds=60, count=1) == {}
