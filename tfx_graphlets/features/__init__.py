"""Features of graphlets, as they could be known at a given stage.

One file per group; each declares its features with stage, unit, meaning of
missing and source. No feature of a stage changes when everything that is
recorded after that stage's moment is removed from the trace. Labels have no
way in: nothing here imports ``graphlets.outcome``, and the fate of *earlier* graphlets is
read from the trace as it stood at the moment.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import code, evaluation, history, input_data, model, rehearsal, shape
from tfx_graphlets.features.columns import describe_columns
from tfx_graphlets.features.columns.entries import Entries
from tfx_graphlets.features.facts import Facts
from tfx_graphlets.features.moment import decision_moment
from tfx_graphlets.features.past import Past
from tfx_graphlets.features.presence import any_payload
from tfx_graphlets.features.registry import FeatureGroup, Value
from tfx_graphlets.features.table import Column, Feature, FeatureKind, FeatureTable
from tfx_graphlets.features.view import View
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.rehearsal import record
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import PropertyName, Stage

__all__ = [
    "GROUPS",
    "Describer",
    "Feature",
    "FeatureGroup",
    "FeatureKind",
    "FeatureTable",
    "all_features",
    "decision_moment",
    "describe",
    "properties_read",
]

GROUPS: tuple[FeatureGroup, ...] = (
    input_data.GROUP,
    code.GROUP,
    model.GROUP,
    shape.GROUP,
    history.GROUP,
    evaluation.GROUP,
    rehearsal.GROUP,
)


def all_features(stage: Stage, groups: Sequence[FeatureGroup] = GROUPS) -> tuple[Feature, ...]:
    """Declarations of all features that are known at a stage, in column order."""
    return tuple(
        feature
        for group in groups
        for feature in group.features
        if feature.stage.order <= stage.order
    )


def properties_read(stage: Stage) -> frozenset[str]:
    """Names of the MLMD properties that segmentation and the features of a stage read."""
    names = {
        PropertyName.STATE,
        PropertyName.SPAN,
        PropertyName.VERSION,
        PropertyName.INPUT_FINGERPRINT,
        PropertyName.BLESSED,
        PropertyName.PUSHED,
        PropertyName.MODULE_PATH,
        PropertyName.CODE_KNOWN,
        PropertyName.EVAL_CONFIG,
        record.REHEARSED,
        record.STAGE,
        record.RUN,
        record.TRAINER,
        *record.MARGINS,
    }
    if stage.order >= Stage.TRAINER.order:
        names |= {PropertyName.TRAIN_ARGS, PropertyName.CUSTOM_CONFIG}
    return frozenset(names)


def describe(
    graphlets: Graphlets,
    stage: Stage,
    *,
    payloads: Payloads | None = None,
    moment_ms: IntArray | None = None,
    rows: IntArray | None = None,
    groups: Sequence[FeatureGroup] = GROUPS,
) -> FeatureTable:
    """Features of graphlets as a gate at ``stage`` could have known them.

    >>> from tfx_graphlets.graphlets.segmentation import segment
    >>> from tfx_graphlets.testing import TraceBuilder
    >>> build = TraceBuilder()
    >>> data, model = build.artifact("Examples"), build.artifact("Model")
    >>> _ = build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r")
    >>> _ = build.execution("Trainer", inputs={"examples": [data]},
    ...                     outputs={"model": [model]}, run="r")
    >>> table = describe(segment(build.trace()), Stage.PRE)
    >>> table.row(0)["input_data.spans"]
    1.0

    Args:
      graphlets: all graphlets of the trace, earlier ones too: they are the
        history of later ones.
      stage: where the gate stands; features of later stages are left out.
      payloads: where statistics, schemas and metrics are; without them what
        comes from them is missing.
      moment_ms: int64 [number of rows], when each decision is taken, in
        milliseconds; ``decision_moment`` of the stage by default. For the
        graphlet of a Trainer that does not exist yet: now.
      rows: int64 [k], numbers of the graphlets to describe, in this order; all
        by default.
      groups: groups of features.

    Returns:
      One row per graphlet, the same columns whatever the data.

    Raises:
      InvalidArgumentError: ``moment_ms`` has another length than the rows.
    """
    describer = Describer(graphlets, stage, payloads=payloads, groups=groups)
    return describer.describe(rows=rows, moment_ms=moment_ms)


class Describer:
    """Describes graphlets of one trace, also as if a gate had skipped some.

    What it looks up and decodes it keeps, so that describing row by row, as a
    replay does, costs little more than all at once. Where no payload is there, and
    while nothing is skipped, it describes by columns: a corpus in seconds.
    """

    def __init__(
        self,
        graphlets: Graphlets,
        stage: Stage,
        *,
        payloads: Payloads | None = None,
        groups: Sequence[FeatureGroup] = GROUPS,
    ) -> None:
        """Makes one; see ``describe`` for the arguments."""
        self.graphlets, self.stage = graphlets, stage
        self.features = all_features(stage, groups)
        self._groups = tuple(groups)
        self._payloads = payloads
        self._skips = False

    @functools.cached_property
    def _entries(self) -> Entries:
        return Entries(self.graphlets)

    @functools.cached_property
    def _facts(self) -> Facts:
        return Facts(self.graphlets, self._payloads)

    @functools.cached_property
    def _past(self) -> Past:
        return Past(self._facts)

    @property
    def _by_columns(self) -> bool:
        return not self._skips and self._groups == GROUPS and not self._has_payloads

    @functools.cached_property
    def _has_payloads(self) -> bool:
        payloads = self._payloads
        return payloads is not None and any_payload(self.graphlets.trace, payloads)

    @functools.cached_property
    def moment_ms(self) -> IntArray:
        """``decision_moment`` of every graphlet, int64 [n], milliseconds."""
        timeline = self._entries.timeline if self._by_columns else self._facts.timeline
        return decision_moment(self.graphlets, self.stage, timeline)

    def describe(
        self, *, rows: IntArray | None = None, moment_ms: IntArray | None = None
    ) -> FeatureTable:
        """Features of graphlets; see the function ``describe``."""
        numbers = np.arange(len(self.graphlets)) if rows is None else np.asarray(rows)
        numbers = numbers.astype(np.int64)
        if moment_ms is None:
            moment_ms = self.moment_ms[numbers]
        elif len(moment_ms) != len(numbers):
            raise InvalidArgumentError(
                "moment_ms", len(moment_ms), f"its length must be {len(numbers)}, one for each row"
            )
        moment_ms = np.asarray(moment_ms, np.int64)
        if self._by_columns:
            columns = describe_columns(self._entries, self.stage, self.features, numbers, moment_ms)
        else:
            columns = self._row_by_row(numbers, moment_ms)
        trainer = self.graphlets.trainer_id[numbers]
        return FeatureTable(self.stage, trainer, self.features, columns)

    def _row_by_row(self, numbers: IntArray, moment_ms: IntArray) -> dict[str, Column]:
        values: list[dict[str, Value]] = []
        for graphlet, moment in zip(numbers.tolist(), moment_ms.tolist()):
            view = View(self._past, graphlet, self.stage, moment)
            row: dict[str, Value] = {}
            for group in self._groups:
                row.update(group.describe(view))
            values.append(row)
        return {feature.name: _column(feature, values) for feature in self.features}

    def skip(self, graphlet: int, spared: IntArray) -> None:
        """A gate skipped this graphlet: later rows do not see it.

        Args:
          graphlet: its number.
          spared: int64 [k], positions of the executions that did not run.
        """
        self._skips = True
        self._past.hide(graphlet, spared.tolist())

    def reset(self) -> None:
        """Nothing was skipped."""
        self._skips = False
        self.__dict__.pop("_past", None)

    def run(self, graphlet: int) -> None:
        """A gate let this graphlet run: all its executions did, whatever was spared before."""
        if self._skips:
            self._past.show(member.execution for member in self._facts.members(graphlet))


def _column(feature: Feature, rows: list[dict[str, Value]]) -> Column:
    values = [row.get(feature.name) for row in rows]
    if feature.kind is FeatureKind.CATEGORY:
        return tuple(None if value is None else str(value) for value in values)
    return np.array([np.nan if value is None else value for value in values], np.float64)
