"""Explanation: what moved a probability, and which past graphlets are like the one it is about.

Features say the same in many ways: that the data are those of the last run is
seen by the overlap of spans, by the statistics, by the means. Changed one at a
time none of them moves a forest much, since the others still tell it. So the
features of one topic (``Feature.topic``) are changed together.

What the effect is: by how much the model's answer changes if all that it knows
of a topic is taken away. What it is not: a cause in the world, a share of the
whole (effects do not add up), or what would happen if the topic alone changed;
a row with usual values in one topic may be one that never occurs.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.table import (
    Feature,
    FeatureColumn,
    FeatureKind,
    FeatureTable,
    Value,
    advice,
)
from tfx_graphlets.policy.decision import Contribution, SimilarGraphlet
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.waste_model.dataset import Dataset

_NOTHING = 1e-9
# A feature that says it more plainly is told if it moved at least this share of the strongest.
_NEARLY_AS_STRONG = 0.25


def contributions(
    predict: Callable[[FeatureTable], FloatArray],
    features: Sequence[Feature],
    usual_values: Mapping[str, Value],
    table: FeatureTable,
    row: int,
    top: int,
) -> tuple[Contribution, ...]:
    """The topics that moved the probability of one row most; see ``WasteModel.explain``."""
    variants = Variants.of(features, usual_values, table, row)
    return variants.contributions(predict(variants.table), top)


@dataclasses.dataclass(frozen=True)
class Variants:
    """What is asked of a model to explain one row, all at once.

    The row as it is, with each topic at its usual values, and, to find the
    feature that a topic is told by, with each of its features alone changed and
    with each alone kept. The mean of what those two change is the feature's
    strength: its Shapley value where a topic has two.

    Attributes:
      values: the row's own, by name.
      topics: its features with unusual values, by topic.
      changed: names of the features that are at their usual values, for each
        row of ``table``; none of them in the first.
      table: the row in each variant.
    """

    values: Mapping[str, Value]
    topics: Mapping[str, Sequence[Feature]]
    changed: Sequence[frozenset[str]]
    table: FeatureTable

    @classmethod
    def of(
        cls,
        features: Sequence[Feature],
        usual_values: Mapping[str, Value],
        table: FeatureTable,
        row: int,
    ) -> Variants:
        """The variants of one row of a table."""
        values = {feature.name: _value(table, feature, row) for feature in features}
        topics: dict[str, list[Feature]] = {}
        for feature in features:
            if values[feature.name] != usual_values[feature.name]:
                topics.setdefault(feature.topic, []).append(feature)
        changed = [frozenset[str]()]
        for members in topics.values():
            names = frozenset(member.name for member in members)
            changed.append(names)
            if len(names) > 1:
                changed += [frozenset({name}) for name in sorted(names)]
                changed += [names - {name} for name in sorted(names)]
        changed = list(dict.fromkeys(changed))
        variants = _variants(table, features, row, values, usual_values, changed)
        return cls(values, topics, changed, variants)

    def contributions(self, probability: FloatArray, top: int) -> tuple[Contribution, ...]:
        """The contributions.

        Args:
          probability: float64 [len(table)], of each variant.
          top: most contributions to return.
        """
        scores = dict(zip(self.changed, probability.tolist()))
        as_it_is = scores[frozenset()]
        found = []
        for members in self.topics.values():
            names = frozenset(member.name for member in members)
            effect = as_it_is - scores[names]
            if abs(effect) <= _NOTHING:
                continue
            sign = float(np.sign(effect))
            strength = {
                member: sign * (as_it_is - scores[frozenset({member.name})]) / 2
                + sign * (scores[names - {member.name}] - scores[names]) / 2
                for member in members
            }
            least = _NEARLY_AS_STRONG * max(strength.values())
            strong = {member: one for member, one in strength.items() if one >= least}
            found.append((effect, members, _plainest(strong)))
        # Words are found for those only that are told.
        found.sort(key=lambda one: -abs(one[0]))
        return tuple(
            Contribution(
                spokesman.name,
                as_text(self.values[spokesman.name]),
                effect,
                spokesman.phrase(self.values[spokesman.name]),
                advice(members, self.values),
            )
            for effect, members, spokesman in found[:top]
        )


def _plainest(strength: Mapping[Feature, float]) -> Feature:
    """Which feature of a topic, in the order of declaration, says it best."""
    groups = list(dict.fromkeys(member.group for member in strength))
    best = min(
        strength,
        key=lambda one: (groups.index(one.group), one.wording.rank if one.wording else 0),
    )
    return best if best.wording else max(strength, key=strength.__getitem__)


def usual_value(table: FeatureTable, feature: Feature) -> Value:
    """Median of a number, most common category; None where most are missing."""
    if feature.kind is FeatureKind.NUMBER:
        column = table.numbers(feature.name)
        known = column[np.isfinite(column)]
        return float(np.median(known)) if 2 * len(known) >= max(len(column), 1) else None
    counts = Counter(cast("tuple[str | None, ...]", table.columns[feature.name]))
    # Of equally common ones the first in the alphabet, missing before all.
    return min(counts, key=lambda value: (-counts[value], value or "")) if counts else None


def as_text(value: Value) -> str:
    """A value as a contribution holds it; ``missing`` where there is none."""
    if value is None:
        return "missing"
    return value if isinstance(value, str) else f"{value:.4g}"


def _value(table: FeatureTable, feature: Feature, row: int) -> Value:
    value = table.columns[feature.name][row]
    if value is None or isinstance(value, str):
        return value
    return None if np.isnan(value) else float(value)


def _variants(
    table: FeatureTable,
    features: Sequence[Feature],
    row: int,
    values: Mapping[str, Value],
    usual_values: Mapping[str, Value],
    variants: Sequence[frozenset[str]],
) -> FeatureTable:
    """The row once for each variant, with the features that it names at their usual values."""
    count = len(variants)
    changed: dict[str, BoolArray] = {}
    for at, names in enumerate(variants):
        for name in names:
            changed.setdefault(name, np.zeros(count, bool))[at] = True
    columns: dict[str, FeatureColumn] = {}
    for feature in features:
        own, usual = values[feature.name], usual_values[feature.name]
        usual_at = changed.get(feature.name)
        if feature.kind is FeatureKind.NUMBER:
            column = np.full(count, np.nan if own is None else own, np.float64)
            if usual_at is not None:
                column[usual_at] = np.nan if usual is None else float(usual)
            columns[feature.name] = column
        else:
            at_usual = [False] * count if usual_at is None else usual_at.tolist()
            columns[feature.name] = tuple(
                None if value is None else str(value)
                for value in (usual if there else own for there in at_usual)
            )
    trainer = np.full(count, table.trainer[row], np.int64)
    return FeatureTable(table.stage, trainer, tuple(features), columns)


# The latest ones that are looked at: what is older says little, and looking takes time.
MOST_COMPARED: Final = 100


def most_similar(
    proximity: Callable[[FeatureTable, FeatureTable], FloatArray],
    table: FeatureTable,
    row: int,
    past: Dataset,
    top: int,
    runs: Sequence[str] = (),
    moment_ms: int | None = None,
) -> tuple[SimilarGraphlet, ...]:
    """The most similar past graphlets; see ``WasteModel.similar``.

    Args:
      proximity: of the rows of two tables, float64 [n, m], 0..1.
    """
    rows = compared(table, row, past, runs, moment_ms)
    if not len(rows) or top < 1:
        return ()
    this = table.take(np.array([row], np.int64))
    return nearest(proximity(this, past.table.take(rows))[0], past, rows, top, runs)


def compared(
    table: FeatureTable,
    row: int,
    past: Dataset,
    runs: Sequence[str] = (),
    moment_ms: int | None = None,
) -> IntArray:
    """Which past graphlets a row is compared with: the latest with a known outcome.

    Returns: int64 [k], rows of ``past``, at most MOST_COMPARED.
    """
    if runs and len(runs) != len(past):
        raise InvalidArgumentError(
            "runs", len(runs), f"its length must be that of past, {len(past)}, or 0"
        )
    if table.stage is not past.stage:
        raise InvalidArgumentError(
            "past", str(past.stage), f"its stage must be that of the table, {table.stage}"
        )
    candidate = past.labelled & (past.table.trainer != table.trainer[row])
    if moment_ms is not None:
        candidate &= past.known_ms <= moment_ms
    rows = np.flatnonzero(candidate)
    return rows[np.argsort(past.decision_ms[rows], kind="stable")][-MOST_COMPARED:].astype(np.int64)


def nearest(
    similarity: FloatArray, past: Dataset, rows: IntArray, top: int, runs: Sequence[str] = ()
) -> tuple[SimilarGraphlet, ...]:
    """The most similar ones.

    Args:
      similarity: float64 [len(rows)], 0..1, to each of the rows that were compared.
      past, rows, top, runs: as above.
    """
    # Of equally similar ones the latest first.
    order = np.lexsort((-past.decision_ms[rows], -similarity))[: max(top, 0)]
    names = runs or _runs(past)
    return tuple(
        SimilarGraphlet(
            trainer=int(past.table.trainer[rows[at]]),
            run=names[rows[at]],
            decision_ms=int(past.decision_ms[rows[at]]),
            pushed=bool(past.pushed[rows[at]]),
            similarity=float(similarity[at]),
        )
        for at in order
    )


def _runs(past: Dataset) -> tuple[str, ...]:
    """Name of each graphlet's run, as far as the graphlets are at hand; "" elsewhere."""
    names: dict[tuple[str, int], str] = {}
    for store, graphlets in past.sources.items():
        trace = graphlets.trace
        of_trainer = trace.run_of_execution[graphlets.trainer]
        for trainer, run in zip(graphlets.trainer_id.tolist(), of_trainer.tolist()):
            names[store, trainer] = trace.context_name(run) or ""
    return tuple(names.get(key, "") for key in zip(past.store, past.table.trainer.tolist()))
