"""Replays a gate over each recorded variant, the others known from the start, as Markdown tables.

`python -m pipelines.flights.backtest [--freshness 0.95]`; one variant alone is
`tfx-graphlets backtest VARIANT/archive --history OTHERS... --stage S --freshness F`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

from pipelines.flights import history
from tfx_graphlets import GatePolicy, Stage
from tfx_graphlets.backtest import BacktestResult, backtest
from tfx_graphlets.waste_model import Dataset

RETRAIN_EVERY = 5  # newly known outcomes
SHOWN = ("gate", "same_spans", "drift_last_push", "repeat_last", "random", "oracle")


def leave_one_out(stage: Stage, freshness: float) -> dict[str, BacktestResult]:
    """A replay of each variant with all others as its history, by the variant's name."""
    parts = history.datasets(stage)
    results = {}
    for name in tqdm(parts, desc=f"replays at {stage}", disable=None, leave=False):
        others = Dataset.concatenate([part for other, part in parts.items() if other != name])
        results[name] = backtest(
            parts[name],
            GatePolicy(freshness=freshness),
            history=others,
            retrain_every=RETRAIN_EVERY,
        )
    return results


def table(results: dict[str, BacktestResult]) -> str:
    """One row a variant, and one for each method over all of them.

    Missed are pushes; removed and removable are shares of all wasted compute.
    """
    lines = [
        "| variant | pushed | unpushed | skipped | missed | freshness | removed | removable |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        gate = one.gate
        lines.append(
            f"| {name} | {one.pushed} | {one.unpushed} | {gate.skipped} | {gate.pushes_missed} "
            f"| {gate.freshness:.2f} | {gate.waste_removed:.0%} | {one.waste_removable:.0%} |"
        )
    pushed = sum(one.pushed for one in results.values())
    waste = sum(one.waste_ms for one in results.values())
    lines += [
        "",
        "| all variants | skipped | missed | freshness | removed |",
        "|---|---|---|---|---|",
    ]
    for method in SHOWN:
        figures = [
            found
            for one in results.values()
            for found in (one.gate, *one.baselines)
            if found.name == method
        ]
        if figures:
            missed = sum(found.pushes_missed for found in figures)
            removed = sum(
                found.waste_removed * one.waste_ms for found, one in zip(figures, results.values())
            )
            lines.append(
                f"| {method} | {sum(found.skipped for found in figures)} | {missed} "
                f"| {1 - missed / pushed:.2f} | {removed / waste:.0%} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.backtest", description=__doc__)
    parser.add_argument("--freshness", type=float, default=0.95)
    options = parser.parse_args(arguments)
    for stage in (Stage.INPUT, Stage.PRE):
        sys.stdout.write(f"Stage {stage}, target freshness {options.freshness:g}\n\n")
        sys.stdout.write(table(leave_one_out(stage, options.freshness)) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
