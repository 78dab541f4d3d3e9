"""The steps from a group of pipelines to a table of features: values to values.

Each is a small frozen object, so that it can be sent to a worker, and is called
with the group and with what the step before it returned.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from tfx_graphlets.beam.groups import Group
from tfx_graphlets.errors import ModelFormatError
from tfx_graphlets.features import describe, properties_read
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.verdicts import present
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.partition import only_others
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import load_waste_model
from tfx_graphlets.waste_model.model import WasteModel

if TYPE_CHECKING:
    import pyarrow

_In_contra = TypeVar("_In_contra", contravariant=True)
_Out_co = TypeVar("_Out_co", covariant=True)

# The column that Score adds: probability of a push, double, 0..1.
PROBABILITY: Final = "push_probability"


class Step(Protocol[_In_contra, _Out_co]):
    """A step: a function of a group and of what the step before it returned."""

    def __call__(self, group: Group, value: _In_contra, /) -> _Out_co:
        """What the next step is called with."""
        ...


@dataclasses.dataclass(frozen=True)
class Read:
    """Reads the pipelines of a group, as much as features without payloads need."""

    def __call__(self, group: Group, _value: object) -> Trace:
        """The trace of the group; ``_value`` is not looked at.

        Raises:
          StoreError: the store cannot be read.
          TraceNotFoundError: a pipeline is there no more.
        """
        pipelines = None if group.others else group.pipelines
        with open_store(group.store) as store:
            trace = store.read_trace(
                pipelines=pipelines,
                properties=properties_read(Stage.VALIDATION),
                columns=Columns.FOR_FEATURES,
            )
        # No store reads executions by the pipeline that they do not have.
        return only_others(trace) if group.others else trace


@dataclasses.dataclass(frozen=True)
class Cut:
    """Cuts a trace into graphlets, with the roles and the pushers of the whole store."""

    def __call__(self, group: Group, value: Trace) -> Graphlets:
        """The graphlets."""
        trace = without_gates(value)
        there = present(trace, group.classes.roles_in(trace), group.pushers)
        return segment(trace, pushers=there, classes=group.classes)


@dataclasses.dataclass(frozen=True)
class DescribeAt:
    """Describes graphlets at a stage, without payloads.

    Attributes:
      stage: where the gate stands.
      pipeline: only graphlets whose Trainer is of this one; None: all.
    """

    stage: Stage
    pipeline: str | None = None

    def __call__(self, _group: Group, value: Graphlets) -> FeatureTable:
        """One row per graphlet, in ascending id of the Trainer."""
        rows = None if self.pipeline is None else value.of(pipeline=self.pipeline)
        return describe(value, self.stage, rows=rows)


@dataclasses.dataclass(frozen=True)
class ScoreWith:
    """Adds what a waste model predicts.

    Attributes:
      directory: the model's, which every worker can read.
      fingerprint: of the model that was there when the job was submitted.
    """

    directory: str
    fingerprint: str

    def __call__(self, _group: Group, value: FeatureTable) -> pyarrow.Table:
        """The table in Arrow, with the column PROBABILITY at its end.

        Raises:
          ModelFormatError: the directory holds no model, or another one.
          InvalidArgumentError: the model is for another stage.
        """
        import pyarrow

        model = _model(self.directory, self.fingerprint)
        probability = pyarrow.array(model.predict(value), pyarrow.float64())
        return value.to_arrow().append_column(PROBABILITY, probability)


@functools.lru_cache(maxsize=4)
def _model(directory: str, fingerprint: str) -> WasteModel:
    model = load_waste_model(directory)
    if model.fingerprint != fingerprint:
        raise ModelFormatError(
            directory,
            f"holds model {model.fingerprint[:12]}, and this job was submitted with "
            f"{fingerprint[:12]}; submit it anew",
        )
    return model
