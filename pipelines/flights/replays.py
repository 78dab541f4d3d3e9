"""Replays of a gate over the recorded variants, each by what others have shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.flights import history, variants
from tfx_graphlets import GatePolicy, Stage, open_store, segment
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.outcome import after_the_gate
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.waste_model import Dataset
from tfx_graphlets.waste_model.dataset import Redescribes
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.training import transfer_scores

RETRAIN_EVERY = 10  # newly known outcomes
SETTINGS = LearnerSettings(trees=100)
# What a Rehearsal of mode `scout` takes in this pipeline, its node's overhead among it; median of
# live runs with LocalDagRunner on two cores. Reading and fitting alone take 0.1 s.
REHEARSAL_SECONDS = 1.2
# Features that an ablation leaves out, by the beginning of their names.
ABLATIONS: Mapping[str, tuple[str, ...]] = {
    "code": ("code.",),
    "holds": ("history.held_by_",),
    "pair": ("rehearsal.pair_",),
    "scout": ("rehearsal.scout_", "rehearsal.expected_change", "rehearsal.chance"),
    "rehearsal": ("rehearsal.",),
}
Results = dict[str, BacktestResult]  # by variant


@dataclasses.dataclass(frozen=True)
class Job:
    """What one process replays: a stage, with or without rehearsals.

    Attributes:
      stage: where the gate stands.
      rehearsed: with a rehearsal in every run.
      targets: freshness of each replay, 0..1.
      hold_out: what is held out together: one, three, or task.
      censored: skipped runs show their outcome to nobody.
      without: names of ABLATIONS.
      pipelines: how many others are known, the first after the held out ones; None: all.
      judged: stores to replay with all variants known; empty: the variants.
      min_labelled: outcomes of its own that a pipeline must have shown before it is gated.
    """

    stage: Stage
    rehearsed: bool
    targets: tuple[float, ...]
    hold_out: str = "three"
    censored: bool = True
    without: tuple[str, ...] = ()
    pipelines: int | None = None
    judged: tuple[str, ...] = ()
    min_labelled: int = GatePolicy.min_labelled


class _Blind:
    """Describes graphlets without some features."""

    def __init__(self, inner: Redescribes, left_out: Sequence[str]) -> None:
        self._inner, self._left_out = inner, left_out
        self.skip, self.run, self.reset = inner.skip, inner.run, inner.reset

    def describe(
        self, *, rows: IntArray | None = None, moment_ms: IntArray | None = None
    ) -> FeatureTable:
        """See Redescribes."""
        return blind(self._inner.describe(rows=rows, moment_ms=moment_ms), self._left_out)


def blind(table: FeatureTable, left_out: Sequence[str]) -> FeatureTable:
    """The table, features whose names begin so missing everywhere."""
    columns = dict(table.columns)
    for name, column in table.columns.items():
        if name.startswith(tuple(left_out)):
            numbers = isinstance(column, np.ndarray)
            columns[name] = np.full(len(table), np.nan) if numbers else (None,) * len(table)
    return dataclasses.replace(table, columns=columns)


def _without(dataset: Dataset, names: Sequence[str]) -> Dataset:
    left_out = [start for name in names for start in ABLATIONS[name]]
    if not left_out:
        return dataset
    return dataclasses.replace(
        dataset,
        table=blind(dataset.table, left_out),
        describers={name: _Blind(one, left_out) for name, one in dataset.describers.items()},
    )


def held_out(names: Sequence[str], by: str) -> Iterator[tuple[str, ...]]:
    """Variants that are judged together, by models that know none of them."""
    if by == "task":
        tasks = {name: variants.get_variant(name).task.name for name in names}
        for task in sorted(set(tasks.values())):
            yield tuple(name for name in names if tasks[name] == task)
        return
    folds = len(names) if by == "one" else -(-len(names) // 3)
    for fold in range(folds):
        yield tuple(names[fold::folds])


def run(job: Job) -> tuple[dict[float, Results], dict[str, tuple[float, ...]]]:
    """Replays of a job, by target; and what stands behind the gate costs, seconds [graphlets]."""
    found = history.datasets(job.stage, rehearsed=job.rehearsed)
    parts = {name: _without(part, job.without) for name, part in found.items()}
    judged, names = dict(parts), list(parts)
    groups = list(held_out(names, job.hold_out))
    if job.judged:
        judged = {name: _read(store, name, job) for store in job.judged for name in [_name(store)]}
        groups = [tuple(judged)]
    results: dict[float, Results] = {target: {} for target in job.targets}
    for group in groups:
        first = names.index(group[-1]) + 1 if group[-1] in parts else 0
        known = [name for name in (*names[first:], *names[:first]) if name not in group]
        past = Dataset.concatenate([parts[name] for name in sorted(known[: job.pipelines])])
        past = past.only_labelled().in_time_order()
        scores = transfer_scores(past, 0, settings=SETTINGS)
        for name in group:
            for target in job.targets:
                results[target][name] = backtest(
                    judged[name],
                    GatePolicy(freshness=target, min_labelled=job.min_labelled),
                    history=past,
                    history_scores=scores,
                    censored=job.censored,
                    retrain_every=RETRAIN_EVERY,
                    settings=SETTINGS,
                    draws=0,
                )
    return results, {name: _behind_seconds(dataset) for name, dataset in judged.items()}


def _name(store: str) -> str:
    path = Path(store)
    return path.name if path.is_dir() else path.parent.name


def _read(store: str, name: str, job: Job) -> Dataset:
    with open_store(store) as opened:
        graphlets = segment(opened.read_trace())
        dataset = Dataset.describe(graphlets, job.stage, opened.payloads, name)
    return _without(dataset, job.without)


def _behind_seconds(dataset: Dataset) -> tuple[float, ...]:
    (graphlets,) = dataset.sources.values()
    after = np.where(
        after_the_gate(graphlets, dataset.stage), graphlets.cost[graphlets.executions.index], 0.0
    )
    sums = np.add.reduceat(after, graphlets.executions.start[:-1]) / 1000
    return tuple(sums.tolist())
