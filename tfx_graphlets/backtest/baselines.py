"""Baselines: what a gate has to beat, each without a learner.

A *scored* baseline gives every graphlet a score, the higher the likelier a
push; it is replayed like the waste model, with a threshold chosen for the same
freshness from its own past scores. A *rule* skips without a threshold, and
keeps the freshness that it happens to keep. The oracle knows the outcome: it
is no baseline but the limit.

Sources: the rules of thumb in section 5.2.2 of Xin et al. (model type, code
and data unchanged), and what drift monitors do (skip while nothing drifts).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Final

import numpy as np

from tfx_graphlets.features.table import FeatureKind
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.waste_model.dataset import Dataset

# Scores of rules take few values: a small seeded share breaks ties, so that a
# threshold can meet the freshness inside a tie. It never reorders two values.
_TIE = 1e-6
_WINDOW = 10  # outcomes over which a push rate is taken


@dataclasses.dataclass(frozen=True)
class Baseline:
    """One baseline.

    Attributes:
      name: its name in tables.
      scores: scores of a dataset's rows, float64 [n], given a seed; NaN where
        it has none; None if this is a rule.
      skips: rows that it skips, bool [n], given a freshness; None if this is
        scored.
    """

    name: str
    scores: Callable[[Dataset, int], FloatArray | None] | None = None
    skips: Callable[[Dataset, float], BoolArray | None] | None = None


def baselines() -> tuple[Baseline, ...]:
    """All baselines; one that lacks its features returns None for them."""
    return (
        Baseline("always_run", skips=_nothing),
        Baseline("random", scores=_random),
        Baseline("every_kth", skips=_every_kth),
        Baseline("repeat_last", scores=_repeat_last),
        Baseline("repeat_last_rule", skips=_repeat_last_rule),
        Baseline("push_rate", scores=_push_rate),
        Baseline("majority", skips=_majority),
        Baseline("model_type", scores=_model_type),
        Baseline("same_spans", scores=_same_spans),
        Baseline("same_spans_rule", skips=_same_spans_rule),
        Baseline("drift", scores=_drift),
        Baseline("drift_last_push", scores=_drift_last_push),
        Baseline("oracle", skips=_oracle),
    )


# Names of the features that baselines look at; absent ones leave them out.
SAME_SPANS: Final = "input_data.jaccard_1"
DRIFT: Final = "input_data.similarity_1"
DRIFT_LAST_PUSH: Final = "input_data.similarity_pushed"
MODEL_TYPE: Final = "model.trainer_type"


def _nothing(dataset: Dataset, _freshness: float) -> BoolArray:
    """Skips nothing."""
    return np.zeros(len(dataset), bool)


def _random(dataset: Dataset, seed: int) -> FloatArray:
    return np.random.default_rng(seed).random(len(dataset))


def _every_kth(dataset: Dataset, freshness: float) -> BoolArray:
    """Skips every k-th run, k = 1 / (1 - freshness)."""
    skips = np.zeros(len(dataset), bool)
    if freshness < 1:
        every = max(math.ceil(1 / (1 - freshness) - 1e-9), 1)
        order, group = dataset.time_order, dataset.lane
        for number in np.unique(group):
            skips[order[group[order] == number][every - 1 :: every]] = True
    return skips


def _repeat_last(dataset: Dataset, seed: int) -> FloatArray:
    """What became of the run before."""
    return _untied(_recent_push_rate(dataset, 1), seed)


def _repeat_last_rule(dataset: Dataset, _freshness: float) -> BoolArray:
    """Skips after a run that was not pushed."""
    return np.asarray(_recent_push_rate(dataset, 1) == 0)


def _push_rate(dataset: Dataset, seed: int) -> FloatArray:
    """Share of pushes in the last runs."""
    return _untied(_recent_push_rate(dataset, _WINDOW), seed)


def _majority(dataset: Dataset, _freshness: float) -> BoolArray:
    """Skips if most runs so far were not pushed."""
    return np.asarray(_recent_push_rate(dataset, len(dataset)) < 0.5)


def _model_type(dataset: Dataset, seed: int) -> FloatArray | None:
    """Share of pushes of this model type so far."""
    types = dataset.table.columns.get(MODEL_TYPE)
    if not isinstance(types, tuple):
        return None
    kinds = np.array([value or "" for value in types], object)
    rates = np.full(len(dataset), np.nan)
    for row in range(len(dataset)):
        known = _known_to(dataset, row) & (kinds == kinds[row])
        if known.any():
            rates[row] = dataset.needed_before(int(dataset.decision_ms[row]))[known].mean()
    return _untied(rates, seed)


def _same_spans(dataset: Dataset, seed: int) -> FloatArray | None:
    """Are the spans those of the run before?"""
    similarity = _number(dataset, SAME_SPANS)
    return None if similarity is None else _untied(np.where(similarity >= 1.0, 0.0, 1.0), seed)


def _same_spans_rule(dataset: Dataset, _freshness: float) -> BoolArray | None:
    """Skips if the spans are those of the run before."""
    similarity = _number(dataset, SAME_SPANS)
    return None if similarity is None else np.asarray(similarity >= 1.0)


def _drift(dataset: Dataset, seed: int) -> FloatArray | None:
    """How far the statistics moved since the run before."""
    similarity = _number(dataset, DRIFT)
    return None if similarity is None else _untied(np.clip(1.0 - similarity, 0, 1), seed)


def _drift_last_push(dataset: Dataset, seed: int) -> FloatArray | None:
    """How far the statistics moved since the last push."""
    similarity = _number(dataset, DRIFT_LAST_PUSH)
    return None if similarity is None else _untied(np.clip(1.0 - similarity, 0, 1), seed)


def _oracle(dataset: Dataset, _freshness: float) -> BoolArray:
    """Skips exactly what is not needed."""
    return np.asarray(dataset.labelled & ~dataset.needed)


def _number(dataset: Dataset, name: str) -> FloatArray | None:
    kinds = {feature.name: feature.kind for feature in dataset.table.features}
    if kinds.get(name) is not FeatureKind.NUMBER:
        return None
    column = dataset.table.numbers(name)
    return None if bool(np.isnan(column).all()) else column


def _known_to(dataset: Dataset, row: int) -> BoolArray:
    """Labelled rows of any pipeline whose outcome the row's decision knew."""
    return dataset.labelled & (dataset.known_ms < dataset.decision_ms[row])


def _recent_push_rate(dataset: Dataset, window: int) -> FloatArray:
    """Share of pushes among the last outcomes of the Trainer node that were known.

    Returns:
      float64 [n]; NaN where none was known.
    """
    rates = np.full(len(dataset), np.nan)
    group, labelled = dataset.lane, dataset.labelled
    for number in np.unique(group):
        mine = np.flatnonzero(group == number)
        known = mine[labelled[mine]]
        known = known[np.argsort(dataset.known_ms[known], kind="stable")]
        pushes = np.concatenate([[0], np.cumsum(dataset.needed[known])])
        count = np.searchsorted(dataset.known_ms[known], dataset.decision_ms[mine], side="left")
        first = np.maximum(count - window, 0)
        seen = count > 0
        among = pushes[count] - pushes[first]
        late = dataset.since_needed_ms[known] > dataset.known_ms[known]
        for at in np.flatnonzero(dataset.needed[known] & late):  # known as unneeded at first
            held = (first <= at) & (at < count)
            among -= held & (dataset.decision_ms[mine] <= dataset.since_needed_ms[known[at]])
        rates[mine[seen]] = among[seen] / (count - first)[seen]
    return rates


def _untied(values: FloatArray, seed: int) -> FloatArray:
    """Values of 0..1 moved by less than they differ, so that no two are equal."""
    ties = np.random.default_rng(seed).random(len(values))
    return np.asarray(values * (1 - _TIE) + ties * _TIE)
