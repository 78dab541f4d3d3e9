"""Results of the recorded history by band of push rate."""

from __future__ import annotations

import types

import pytest

from pipelines.flights import backtest


def result(pushed: int, unpushed: int, removed: float) -> types.SimpleNamespace:
    """What the table takes of a replay: its gate skipped 2 graphlets and missed 1 push."""
    gate = types.SimpleNamespace(name="gate", skipped=2, pushes_missed=1, waste_removed=removed)
    return types.SimpleNamespace(
        gate=gate,
        baselines=(),
        pushed=pushed,
        unpushed=unpushed,
        waste_ms=100.0,
        waste_removable=0.5,
    )


@pytest.mark.parametrize(("pushed", "band"), [(1, "0% to 10%"), (10, "10% to 30%"), (99, "60% to")])
def test_a_variant_stands_in_the_band_of_its_rate(pushed: int, band: str) -> None:
    """Of 100 graphlets, by how many are pushed; the lower bound belongs to the band."""
    lines = backtest.by_push_rate({"one": result(pushed, 100 - pushed, 0.25)}).splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(f"| {band}")


def test_a_band_sums_up_its_variants() -> None:
    """Skips and misses are added, what is removed is weighted by waste."""
    bands = backtest.by_push_rate(
        {"a": result(20, 80, 0.1), "b": result(25, 75, 0.3), "c": result(80, 20, 0.4)}
    ).splitlines()
    assert len(bands) == 4
    assert bands[2].startswith("| 10% to 30% | 2 | 4 | 2 | 0.956 ")
    assert "| 20.0% " in bands[2]
    assert bands[3].startswith("| 60% to 100% | 1 | 2 | 1 ")
