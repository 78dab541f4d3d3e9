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
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfx_graphlets.backtest.baselines import Baseline, baselines
from tfx_graphlets.backtest.bootstrap import PairedDifference, paired_bootstrap
from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.backtest.figures import (
    Figures,
    WeightedWaste,
    cost_sensitivity,
    figures_of,
    or_none,
)
from tfx_graphlets.backtest.online import ModelScores
from tfx_graphlets.backtest.replay import FixedScores, replay
from tfx_graphlets.backtest.text import backtest_text
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decide import GateDecision, GatePolicy
from tfx_graphlets.trace.trace import BoolArray
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


@dataclasses.dataclass(frozen=True)
class ReplayedDecision:
    """One decision of the replay.

    Attributes:
      store, pipeline, trainer: which graphlet.
      decision_ms: when it was decided, milliseconds since the epoch.
      outcome: what became of it.
      needed: whether it was pushed, or its Model led to a push.
      decision: the decision.
    """

    store: str
    pipeline: str
    trainer: int
    decision_ms: int
    outcome: Outcome
    needed: bool
    decision: GateDecision

    def to_dict(self) -> dict[str, object]:
        """Plain values; ``pushed`` is None where the graphlet has no label."""
        labelled = self.outcome in (Outcome.PUSHED, Outcome.UNPUSHED)
        return {
            "store": self.store,
            "pipeline": self.pipeline or None,
            "trainer": self.trainer,
            "decision_ms": self.decision_ms,
            "probability": self.decision.probability,
            "threshold": self.decision.threshold,
            "skip": not self.decision.proceed,
            "explored": self.decision.explored,
            "risk": self.decision.risk,
            "pushed": self.outcome is Outcome.PUSHED if labelled else None,
            "outcome": str(self.outcome),
            "needed": self.needed if labelled else None,
            "reason": self.decision.reason,
        }


@dataclasses.dataclass(frozen=True)
class BacktestResult:
    """What the gate would have achieved, beside baselines and the oracle.

    Attributes:
      stage: where the gate stands.
      policy: what it was allowed to do.
      graphlets, pushed, unpushed: numbers of graphlets that were replayed; the
        rest failed or is incomplete.
      history: labelled graphlets that were known from the start.
      retrain_every: newly known outcomes after which it was trained anew.
      censored: whether skipped runs showed nothing to later ones.
      explored: runs that the gate would have skipped and explored.
      promise: what was promised and what was achieved
        (``waste_model.metrics.promise_kept``).
      against_best: the gate against the baseline that removes most waste at no
        lower a freshness than promised, by name and paired bootstrap; None
        where there is none.
      waste_ms: cost of all waste in the replayed stores.
      waste_removable: share of it that the oracle removes at this stage.
      gate: what the gate achieved.
      pipelines: the same for each pipeline, by ``store`` and name.
      baselines: what each baseline achieved.
      by_trainer_price: what the same skips remove where a Trainer's machine
        costs so many times more, on top of the weights that were given; empty
        where executions are not at hand.
      decisions: in the order of time.
      notes: what the replay cannot know, and what it could not do.
    """

    stage: str
    policy: GatePolicy
    graphlets: int
    pushed: int
    unpushed: int
    history: int
    retrain_every: int
    censored: bool
    explored: int
    promise: Mapping[str, float | int | bool | None]
    against_best: tuple[str, PairedDifference] | None
    waste_ms: float
    waste_removable: float
    gate: Figures
    pipelines: tuple[Figures, ...]
    baselines: tuple[Figures, ...]
    by_trainer_price: tuple[WeightedWaste, ...]
    decisions: tuple[ReplayedDecision, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; the gate's figures stand at the top level."""
        gate = self.gate.to_dict()
        return {
            "stage": self.stage,
            "freshness_target": self.policy.freshness,
            "policy": dataclasses.asdict(self.policy),
            "graphlets": self.graphlets,
            "pushed": self.pushed,
            "unpushed": self.unpushed,
            "history_graphlets": self.history,
            "retrain_every": self.retrain_every,
            "censored": self.censored,
            "explored": self.explored,
            "promise": dict(self.promise),
            "against_best": None
            if self.against_best is None
            else {"baseline": self.against_best[0], **self.against_best[1].to_dict()},
            **{key: value for key, value in gate.items() if key not in ("name", "kind")},
            "waste_ms": or_none(self.waste_ms),
            "waste_removable": or_none(self.waste_removable),
            "pipelines": [figures.to_dict() for figures in self.pipelines],
            "baselines": [figures.to_dict() for figures in self.baselines],
            "by_trainer_price": [weighted.to_dict() for weighted in self.by_trainer_price],
            "decisions": [decision.to_dict() for decision in self.decisions],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return backtest_text(self)


def backtest(
    dataset: Dataset,
    policy: GatePolicy,
    *,
    history: Dataset | None = None,
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
    if history is not None:
        history = history.in_time_order()
        _check_history(dataset, history)
    scorer = ModelScores(
        dataset, history, retrain_every=retrain_every, seed=seed, settings=settings
    )
    world = World(dataset, censored=censored)
    replayed = replay(dataset, policy, scorer, world, seed=seed, progress=progress)
    skipped = np.zeros(len(dataset), bool)
    skipped[replayed.rows] = [not decision.proceed for decision in replayed.decisions]
    meter = WasteMeter(dataset.sources, dataset.stage)
    gate = figures_of("gate", "gate", dataset, skipped, meter, draws=draws, seed=seed)
    others = _all_baselines(dataset, history, policy, meter, seed)
    pushes = int(dataset.pushed.sum())
    notes = [_MISSED_PUSHES, _CENSORED if censored else _UNCENSORED, _UNLABELLED]
    if not scorer.trainings:
        notes.insert(0, "There is too little to learn from: every run proceeds.")
    elif replayed.last_choice is not None and replayed.last_choice.threshold is None:
        notes.insert(0, f"At the end the gate had no threshold: {replayed.last_choice.note}.")
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
        pipelines=_per_pipeline(dataset, skipped, meter, draws, seed),
        baselines=tuple(figures for figures, _ in others),
        by_trainer_price=cost_sensitivity(dataset, skipped) if dataset.sources else (),
        decisions=tuple(
            ReplayedDecision(
                dataset.store[row],
                dataset.pipeline[row],
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
    dataset: Dataset, history: Dataset | None, policy: GatePolicy, meter: WasteMeter, seed: int
) -> list[tuple[Figures, BoolArray]]:
    result = []
    for baseline in baselines():
        skipped = _baseline_skips(baseline, dataset, history, policy, seed)
        if skipped is not None:
            kind = "oracle" if baseline.name == "oracle" else "rule"
            kind = "scored" if baseline.scores is not None else kind
            result.append((figures_of(baseline.name, kind, dataset, skipped, meter), skipped))
    return result


def _baseline_skips(
    baseline: Baseline, dataset: Dataset, history: Dataset | None, policy: GatePolicy, seed: int
) -> BoolArray | None:
    if baseline.skips is not None:
        return baseline.skips(dataset, policy.freshness, seed)
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
    replayed = replay(dataset, scored_policy, scorer, World(dataset, censored=False), seed=seed)
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
