"""Replays a gate over each recorded variant, the others known from the start, as Markdown tables.

`python -m pipelines.flights.backtest [--freshness 0.95 0.99] [--stage input pre] [--uncensored]`;
one variant alone is `tfx-graphlets backtest VARIANT/archive --history OTHERS... --stage S
--freshness F`. Under the table of a stage stands what is out of reach there, and why: what a gate
could remove that knew the outcome (oracle), or the cause of every run but not its outcome.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from pipelines.flights import history
from tfx_graphlets import GatePolicy, Stage
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.waste_model import Dataset
from tfx_graphlets.waste_model.metrics import WasteMeter, wilson_interval

RETRAIN_EVERY = 5  # newly known outcomes
DRAWS = 2000
# What a Rehearsal of mode `scout` takes in this pipeline, its node's overhead among it; median of
# live runs with LocalDagRunner on two cores. Reading and fitting alone take 0.1 s.
REHEARSAL_SECONDS = 1.2
PUSH_RATE_BANDS = (0.0, 0.1, 0.3, 0.6, 1.01)
SHOWN = (
    "gate", "same_spans", "same_spans_rule", "drift", "drift_last_push", "repeat_last", "push_rate",
    "model_type", "every_kth", "random", "oracle",
)  # fmt: skip


def leave_one_out(
    parts: dict[str, Dataset], freshness: float, *, censored: bool = True
) -> dict[str, BacktestResult]:
    """A replay of each variant with all others as its history, by the variant's name."""
    results = {}
    for name in tqdm(parts, desc=f"replays at {freshness:g}", disable=None, leave=False):
        others = Dataset.concatenate([part for other, part in parts.items() if other != name])
        results[name] = backtest(
            parts[name], GatePolicy(freshness=freshness), history=others, censored=censored,
            retrain_every=RETRAIN_EVERY,
        )  # fmt: skip
    return results


def table(results: dict[str, BacktestResult]) -> str:
    """One row a variant, and one for each method over all of them.

    Missed are pushes; removed and removable are shares of all wasted compute, with 95 % intervals:
    Wilson's for the freshness, for the waste a bootstrap over variants.
    """
    columns = (
        "variant", "pushed", "unpushed", "skipped", "explored", "missed", "freshness", "removed",
        "removable",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, one in results.items():
        gate = one.gate
        lines.append(
            f"| {name} | {one.pushed} | {one.unpushed} | {gate.skipped} | {one.explored} "
            f"| {gate.pushes_missed} | {gate.freshness:.2f} | {gate.waste_removed:.0%} "
            f"| {one.waste_removable:.0%} |"
        )
    lines += [
        "",
        "| all variants | skipped | missed | freshness | removed | of removable |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(row for name in SHOWN if (row := _over_all(name, results)))])


def by_push_rate(results: dict[str, BacktestResult]) -> str:
    """The gate's row for the variants of each band of push rate that has some.

    The rate is the share of pushes in the pushed and unpushed graphlets of a variant.
    """
    lines = [
        "| pushed | variants | skipped | missed | freshness | removed | of removable |",
        "|---|---|---|---|---|---|---|",
    ]
    for low, high in zip(PUSH_RATE_BANDS, PUSH_RATE_BANDS[1:]):
        band = {
            name: one
            for name, one in results.items()
            if low <= one.pushed / (one.pushed + one.unpushed) < high
        }
        if band:
            row = _over_all("gate", band).removeprefix("| gate ")
            lines.append(f"| {low:.0%} to {min(high, 1):.0%} | {len(band)} {row}")
    return "\n".join(lines)


def _over_all(name: str, results: dict[str, BacktestResult]) -> str:
    pairs = [
        (found, one)
        for one in results.values()
        for found in (one.gate, *one.baselines)
        if found.name == name
    ]
    if len(pairs) < len(results):
        return ""
    pushed = sum(one.pushed for _, one in pairs)
    missed = sum(found.pushes_missed for found, _ in pairs)
    waste = np.array([one.waste_ms for _, one in pairs])
    removed = np.array([found.waste_removed for found, _ in pairs]) * waste
    removable = np.array([one.waste_removable for _, one in pairs]) * waste
    drawn = np.random.default_rng(0).integers(0, len(pairs), (DRAWS, len(pairs)))
    low, high = np.percentile(removed[drawn].sum(1) / waste[drawn].sum(1), (2.5, 97.5))
    kept = wilson_interval(pushed - missed, pushed)
    return (
        f"| {name} | {sum(found.skipped for found, _ in pairs)} | {missed} "
        f"| {1 - missed / pushed:.3f} [{kept[0]:.2f}, {kept[1]:.2f}] "
        f"| {removed.sum() / waste.sum():.1%} [{low:.0%}, {high:.0%}] "
        f"| {removed.sum() / removable.sum():.0%} |"
    )


def net_of_rehearsals(
    results: dict[str, BacktestResult], prices: Sequence[float] = (1, 5, 20, 100)
) -> str:
    """What the gate removes less what rehearsing every run costs, by the price of a training.

    A price scales what stands behind the gate; nothing was run at another one than 1.
    """
    waste = sum(one.waste_ms for one in results.values())
    removed = sum(one.gate.waste_removed * one.waste_ms for one in results.values())
    seconds = REHEARSAL_SECONDS * sum(one.graphlets for one in results.values())
    net = [f"{(removed * k - 1000 * seconds) / (waste * k):.1%} at {k:g} times" for k in prices]
    return f"Net of a rehearsal of {REHEARSAL_SECONDS} s in every run: {', '.join(net)} the cost."


def known_causes(parts: dict[str, Dataset], freshness: float) -> str:
    """What could be removed if the cause of each run were known, but not its outcome.

    Runs of one cause (or several at once) are skipped all or none, causes of the lowest push rate
    first, as long as the freshness is kept; with the push rates of these very runs, so that it is
    an upper bound for whatever tells causes apart and no more.
    """
    whole = Dataset.concatenate(list(parts.values()))
    causes = _causes(whole)
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, cause in enumerate(causes):
        rows[cause].append(row)
    pushes = {cause: int(whole.pushed[at].sum()) for cause, at in rows.items()}
    order = sorted(rows, key=lambda cause: (pushes[cause] / len(rows[cause]), cause))
    allowed = (1 - freshness) * float(whole.pushed.sum()) + 1e-9
    skipped, missed = np.zeros(len(whole), bool), 0
    for cause in order:
        if missed + pushes[cause] > allowed:
            break
        missed += pushes[cause]
        skipped[rows[cause]] = True
    meter = WasteMeter(whole.sources, whole.stage)
    removed = meter.removed(whole.skips_by_store(skipped))
    plain = np.array([cause == ("new_data",) for cause in causes])
    only_plain = meter.removed(whole.skips_by_store(plain & whole.unpushed))
    return (
        f"A gate that knew the cause of every run: {removed:.1%} of all waste at freshness "
        f"{1 - missed / int(whole.pushed.sum()):.3f}. Plain new data alone (of which "
        f"{whole.pushed[plain].mean():.0%} is pushed) makes {only_plain:.1%}."
    )


def _causes(dataset: Dataset) -> list[tuple[str, ...]]:
    of_run = {archive.parent.name: history.causes_by_run(archive) for archive in history.archives()}
    runs = {
        store: {graphlet.trainer: graphlet.run or "" for graphlet in graphlets}
        for store, graphlets in dataset.sources.items()
    }
    return [
        tuple(sorted(of_run[store].get(runs[store][int(trainer)], ())))
        for store, trainer in zip(dataset.store, dataset.table.trainer.tolist())
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.backtest", description=__doc__)
    parser.add_argument("--freshness", type=float, nargs="+", default=[0.95, 0.99])
    parser.add_argument("--stage", nargs="+", type=Stage, default=[Stage.INPUT, Stage.PRE])
    parser.add_argument("--uncensored", action="store_true")
    parser.add_argument(
        "--rehearsed", action="store_true", help="with the rehearsals of pipelines.flights.rehearse"
    )
    options = parser.parse_args(arguments)
    for stage in options.stage:
        parts = history.datasets(stage, rehearsed=options.rehearsed)
        for freshness in options.freshness:
            results = leave_one_out(parts, freshness, censored=not options.uncensored)
            sys.stdout.write(f"Stage {stage}, target freshness {freshness:g}\n\n")
            sys.stdout.write(f"{table(results)}\n\n{by_push_rate(results)}\n\n")
            sys.stdout.write(f"{known_causes(parts, freshness)}\n\n")
            if options.rehearsed:
                sys.stdout.write(f"{net_of_rehearsals(results)}\n\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
