"""Backtest: what a gate would have done over a history, decided in its order.

Every decision uses only what was known at its moment: forests are trained on
outcomes that were known by then, and the threshold is chosen from the scores
that earlier graphlets were given before their outcome was known.

The replay is *censored*: a run that the gate skips has no Trainer and nothing
after the gate. Later runs are described without it, and its outcome is never
learnt, unless exploration ran it all the same. What a replay cannot know: a
missed push leaves an older model in serving, against which later models would
have been judged; here they are judged as they were.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from tfx_graphlets.backtest.baselines import Baseline, baselines
from tfx_graphlets.backtest.bootstrap import PairedDifference, paired_bootstrap
from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.backtest.figures import (
    Figures,
    cost_sensitivity,
    figures_of,
)
from tfx_graphlets.backtest.gates import behind_one_gate
from tfx_graphlets.backtest.online import ModelScores
from tfx_graphlets.backtest.replay import FixedScores, replay
from tfx_graphlets.backtest.result import BacktestResult, NodeFigures, ReplayedDecision
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import Outcome
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import DEFAULT_SETTINGS, LearnerSettings
from tfx_graphlets.waste_model.metrics import WasteMeter, promise_kept

_MOST_TRAININGS = 150

_MISSED_PUSHES = (
    "A missed push would have left an older model in serving, and later models would have been "
    "judged against it: the replay judges them as they were judged."
)
_CENSORED = (
    "Censored: later runs are described as if the skipped ones had no Trainer, and learn nothing "
    "of their outcome. Baselines see everything, which favours them."
)
_UNCENSORED = (
    "Outcomes of skipped runs are shown to later decisions and training (uncensored), as they "
    "are in shadow mode; features of later runs are as recorded."
)
_UNLABELLED = (
    "Graphlets that failed or are incomplete are decided about and count as compute, not as "
    "pushed or unpushed."
)

_NODES = (
    "Some pipelines have several Trainer nodes: each has its own history, threshold and account. "
    "Those that one gate would stop (a base model and its fine-tuning, two before one Pusher) run "
    "where either would."
)


def backtest(
    dataset: Dataset,
    policy: GatePolicy,
    *,
    history: Dataset | None = None,
    history_scores: FloatArray | None = None,
    censored: bool = True,
    retrain_every: int | None = None,
    seed: int = 0,
    settings: LearnerSettings = DEFAULT_SETTINGS,
    draws: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> BacktestResult:
    """Replays a gate over a history.

    Args:
      dataset: the graphlets to decide about, of any number of stores, with
        features of the gate's stage.
      policy: its freshness is what thresholds are chosen for at every
        decision; a threshold that it states is used instead.
      history: graphlets of other pipelines, whose outcomes are known from the
        start, whatever their clock says; None: none.
      history_scores: ``transfer_scores`` of ``history.only_labelled().in_time_order()``
        with this seed and these settings, where several replays share them;
        None: they are worked out.
      censored: a skipped run shows its outcome to nobody and later runs are
        described without it; else everything is seen, as in shadow mode.
      retrain_every: newly known outcomes after which the forest is trained
        anew, at least 1; None: 1, and more where that would be over 150
        trainings.
      seed: of all randomness.
      settings: how forests are grown.
      draws: of the bootstrap; 0 for no intervals.
      progress: called after each decision of the gate with the number of
        decisions taken and of those to take; None: nobody is told.

    Returns:
      The result. Where there is too little to learn from, every run proceeds
      and a note says so.

    Raises:
      InvalidArgumentError: an argument is out of range, or ``history`` is of
        another stage or holds a store of ``dataset``, or the replay is censored
        and ``dataset`` cannot be described anew (see Dataset.describe).
      MissingDependencyError: ydf is not installed.
    """
    if retrain_every is None:
        retrain_every = max(1, math.ceil(len(dataset) / _MOST_TRAININGS))
    if retrain_every < 1:
        raise InvalidArgumentError("retrain_every", retrain_every, "must be 1 or more")
    # One order of rows, whatever order the stores came in; a gate decides once about a run,
    # however often its training was attempted.
    dataset = dataset.in_time_order()
    dataset = dataset.take(np.flatnonzero(dataset.outcome != Outcome.RETRIED).astype(np.int64))
    dataset, gates = behind_one_gate(dataset)
    if history is not None:
        history = history.in_time_order()
        _check_history(dataset, history)
    scorer = ModelScores(
        dataset,
        history,
        scores=history_scores,
        retrain_every=retrain_every,
        seed=seed,
        settings=settings,
    )
    world = World(dataset, censored=censored)
    replayed = replay(dataset, policy, scorer, world, gate=gates, seed=seed, progress=progress)
    skipped = np.zeros(len(dataset), bool)
    skipped[replayed.rows] = [not decision.proceed for decision in replayed.decisions]
    meter = WasteMeter(dataset.sources, dataset.stage)
    gate = figures_of("gate", "gate", dataset, skipped, meter, draws=draws, seed=seed)
    pipelines = _per_pipeline(dataset, skipped, meter, draws, seed)
    others = _all_baselines(dataset, gates, history, policy, meter, seed)
    pushes = int(dataset.pushed.sum())
    notes = [_MISSED_PUSHES, _CENSORED if censored else _UNCENSORED, _UNLABELLED]
    if not scorer.trainings:
        notes.insert(0, "There is too little to learn from: every run proceeds.")
    elif replayed.last_choice is not None and replayed.last_choice.threshold is None:
        notes.insert(0, f"At the end the gate had no threshold: {replayed.last_choice.note}.")
    if len(set(dataset.lane.tolist())) > len(pipelines):
        notes.append(_NODES)
    if not dataset.sources:
        notes.append("The graphlets' executions are not at hand: waste is not counted.")
    return BacktestResult(
        stage=str(dataset.stage),
        policy=policy,
        graphlets=len(dataset),
        pushed=pushes,
        unpushed=int(dataset.unpushed.sum()),
        history=0 if history is None else int(history.labelled.sum()),
        retrain_every=retrain_every,
        censored=censored,
        explored=sum(decision.explored for decision in replayed.decisions),
        promise=promise_kept(policy.freshness, pushes - gate.pushes_missed, pushes),
        against_best=_against_best(dataset, policy, skipped, others, meter, draws, seed),
        waste_ms=meter.waste_ms,
        waste_removable=meter.removable,
        gate=gate,
        pipelines=pipelines,
        nodes=_per_node(dataset, skipped, meter, draws, seed, pipelines),
        baselines=tuple(figures for figures, _ in others),
        by_trainer_price=cost_sensitivity(dataset, skipped) if dataset.sources else (),
        decisions=tuple(
            ReplayedDecision(
                dataset.store[row],
                dataset.pipeline[row],
                dataset.node[row],
                int(dataset.table.trainer[row]),
                int(dataset.decision_ms[row]),
                Outcome(int(dataset.outcome[row])),
                bool(dataset.needed[row]),
                decision,
            )
            for row, decision in zip(replayed.rows.tolist(), replayed.decisions)
        ),
        notes=tuple(notes),
    )


def _against_best(
    dataset: Dataset,
    policy: GatePolicy,
    skipped: BoolArray,
    others: Sequence[tuple[Figures, BoolArray]],
    meter: WasteMeter,
    draws: int,
    seed: int,
) -> tuple[str, PairedDifference] | None:
    fair = [
        (figures.waste_removed, figures.name, skips)
        for figures, skips in others
        if figures.kind != "oracle" and figures.freshness >= policy.freshness
    ]
    if not fair or not draws or not meter.waste_ms > 0:
        return None
    _, name, skips = max(fair, key=lambda one: one[0])
    return name, paired_bootstrap(dataset, skipped, skips, meter, draws=draws, seed=seed)


def _check_history(dataset: Dataset, history: Dataset) -> None:
    if history.stage is not dataset.stage:
        raise InvalidArgumentError(
            "history", str(history.stage), f"must be of the replayed stage, {dataset.stage}"
        )
    both = sorted(set(dataset.store) & set(history.store))
    if both:
        raise InvalidArgumentError(
            "history", both, "a store that is replayed cannot be known from the start"
        )


def _all_baselines(
    dataset: Dataset,
    gates: IntArray,
    history: Dataset | None,
    policy: GatePolicy,
    meter: WasteMeter,
    seed: int,
) -> list[tuple[Figures, BoolArray]]:
    result = []
    for baseline in baselines():
        skipped = _baseline_skips(baseline, dataset, gates, history, policy, seed)
        if skipped is not None:
            kind = "oracle" if baseline.name == "oracle" else "rule"
            kind = "scored" if baseline.scores is not None else kind
            result.append((figures_of(baseline.name, kind, dataset, skipped, meter), skipped))
    return result


def _baseline_skips(
    baseline: Baseline,
    dataset: Dataset,
    gates: IntArray,
    history: Dataset | None,
    policy: GatePolicy,
    seed: int,
) -> BoolArray | None:
    if baseline.skips is not None:
        return baseline.skips(dataset, policy.freshness)
    if baseline.scores is None:
        return None
    scores = baseline.scores(dataset, seed)
    if scores is None:
        return None
    past, past_pushed = None, np.zeros(0, bool)
    if history is not None:
        # Another seed: the same ties in both would not be exchangeable.
        past = baseline.scores(history, seed + 1)
        if past is not None:
            scored = history.labelled & ~np.isnan(past)
            past, past_pushed = past[scored], history.needed[scored]
    # A threshold of the policy's own belongs to the model's scores, not to these.
    scored_policy = dataclasses.replace(policy, threshold=None, exploration=0.0)
    scorer = FixedScores(scores, past, past_pushed.tolist())
    world = World(dataset, censored=False)
    replayed = replay(dataset, scored_policy, scorer, world, gate=gates, seed=seed)
    skipped = np.zeros(len(dataset), bool)
    skipped[replayed.rows] = [not decision.proceed for decision in replayed.decisions]
    return skipped


def _per_pipeline(
    dataset: Dataset, skipped: BoolArray, meter: WasteMeter, draws: int, seed: int
) -> tuple[Figures, ...]:
    group = dataset.group
    result = []
    for number in np.unique(group):
        rows = np.flatnonzero(group == number).astype(np.int64)
        name = f"{dataset.store[rows[0]]} {dataset.pipeline[rows[0]]}".strip()
        mine = dataset.take(rows)
        result.append(figures_of(name, "gate", mine, skipped[rows], meter, draws=draws, seed=seed))
    return tuple(result)


def _per_node(
    dataset: Dataset,
    skipped: BoolArray,
    meter: WasteMeter,
    draws: int,
    seed: int,
    pipelines: Sequence[Figures],
) -> tuple[NodeFigures, ...]:
    """Figures of each node; those of the pipeline where it has one node only."""
    group, lane, needed = dataset.group, dataset.lane, dataset.needed
    result = []
    for number in np.unique(lane):
        rows = np.flatnonzero(lane == number).astype(np.int64)
        first, mine = int(rows[0]), dataset.take(rows)
        if (group == group[first]).sum() == len(rows):
            figures = pipelines[int(group[first])]
        else:
            figures = figures_of(
                dataset.node[first], "gate", mine, skipped[rows], meter, draws=draws, seed=seed
            )
        result.append(
            NodeFigures(
                dataset.store[first],
                dataset.pipeline[first],
                dataset.node[first],
                len(rows),
                int(mine.pushed.sum()),
                int(needed[rows].sum()),
                int((needed & skipped)[rows].sum()),
                dataclasses.replace(figures, name=dataset.node[first]),
            )
        )
    return tuple(result)
