"""Features of graphlets, as they could be known at a given stage.

One module of ``groups`` per group; each declares its features with stage, unit, meaning of
missing and source, and computes them as columns, for any number of graphlets at
once. No feature of a stage changes when everything that is
recorded after that stage's moment is removed from the trace. Labels have no
way in: nothing here imports ``graphlets.outcome``, and the fate of *earlier* graphlets is
read from the trace as it stood at the moment.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.groups import GROUPS
from tfx_graphlets.features.look_back import pieces
from tfx_graphlets.features.table import (
    Feature,
    FeatureColumn,
    FeatureGroup,
    FeatureKind,
    FeatureTable,
)
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.timeline import decision_moment
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
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

_OF_SEGMENTATION = (
    PropertyName.STATE,
    PropertyName.PUSHED,
    PropertyName.PARENT_DAG_ID,
    PropertyName.ITERATION_INDEX,
)


def all_features(stage: Stage, groups: Sequence[FeatureGroup] = GROUPS) -> tuple[Feature, ...]:
    """Declarations of all features that are known at a stage, in column order."""
    return tuple(feature for group in groups for feature in group.known_at(stage))


def properties_read(stage: Stage, groups: Sequence[FeatureGroup] = GROUPS) -> frozenset[str]:
    """Names of the MLMD properties that segmentation and the features of a stage read."""
    return frozenset(_OF_SEGMENTATION).union(*(group.properties_at(stage) for group in groups))


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
        comes from them is missing. What was decoded before, if it is to serve
        several calls.
      moment_ms: int64 [number of rows], when each decision is taken, in
        milliseconds; ``decision_moment`` of the stage by default. For the
        graphlet of a Trainer that does not exist yet: now.
      rows: int64 [k], numbers of the graphlets to describe, in this order; all
        by default.
      groups: groups of features.

    Returns:
      One row per graphlet, the same columns whatever the data.

    Raises:
      InvalidArgumentError: ``moment_ms`` has another length than the rows, or a
        group does not return the features that it declares.
    """
    describer = Describer(graphlets, stage, payloads=payloads, groups=groups)
    return describer.describe(rows=rows, moment_ms=moment_ms)


class Describer:
    """Describes graphlets of one trace, also as if a gate had skipped some.

    What it looks up and decodes it keeps, so that describing row by row, as a
    replay does, costs little more than all at once.
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
        self._entries = Entries(graphlets, DecodedPayloads.of(payloads or NoPayloads()))

    @functools.cached_property
    def moment_ms(self) -> IntArray:
        """``decision_moment`` of every graphlet, int64 [n], milliseconds."""
        return decision_moment(self.graphlets, self.stage, self._entries.timeline)

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
        columns = self._columns(numbers, np.asarray(moment_ms, np.int64))
        trainer = self.graphlets.trainer_id[numbers]
        return FeatureTable(self.stage, trainer, self.features, columns)

    def _columns(self, numbers: IntArray, moment_ms: IntArray) -> dict[str, FeatureColumn]:
        columns: dict[str, FeatureColumn] = {}
        names: dict[str, list[str | None]] = {}
        for feature in self.features:
            if feature.kind is FeatureKind.CATEGORY:
                names[feature.name] = [None] * len(numbers)
            else:
                columns[feature.name] = np.full(len(numbers), np.nan)
        for piece, rows in pieces(self._entries, self.stage, numbers, moment_ms):
            for group in self._groups:
                for name, values in group.values(rows).items():
                    if name in names:
                        names[name][piece] = values
                    else:
                        columns[name][piece] = values  # type: ignore[index]
        return {**columns, **{name: tuple(values) for name, values in names.items()}}

    def skip(self, graphlet: int, spared: IntArray) -> None:
        """A gate skipped this graphlet: later rows do not see it.

        Args:
          graphlet: its number.
          spared: int64 [k], positions of the executions that did not run.
        """
        self._entries.hide(graphlet, spared)

    def reset(self) -> None:
        """Nothing was skipped."""
        self._entries.show_all()

    def run(self, graphlet: int) -> None:
        """A gate let this graphlet run: all its executions did, whatever was spared before."""
        self._entries.show(graphlet)
