"""Everything that the rows of a store are made of, and how to ask it about some executions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.arrays import Cells, Numbers, Texts
from tests.benchmarks.synthetic.contexts import Contexts
from tests.benchmarks.synthetic.new_store import Insert
from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.pipelines import Pipelines
from tests.benchmarks.synthetic.runs import Runs
from tests.benchmarks.synthetic.schedule import Schedule
from tests.benchmarks.synthetic.values import ANOMALIES, Values
from tfx_graphlets.trace.trace import BoolArray, IntArray


class Load(NamedTuple):
    """Rows of columns, and what is inserted for each."""

    insert: Insert
    columns: Sequence[Sequence[object]]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Executions of one slot.

    Attributes:
      slot: the slot.
      row: int64 [n], the runs that they belong to, in the order of time.
      moment: int64 [n], positions of their starts or ends in the schedule.
    """

    slot: int
    row: IntArray
    moment: IntArray

    @property
    def lane(self) -> int:
        """The lane of the slot."""
        return layout.lane_of(self.slot)

    @property
    def resolves(self) -> bool:
        """They are Resolvers: they make nothing, they find."""
        return layout.resolves(self.slot)

    def only(self, chosen: BoolArray | IntArray) -> Group:
        """Some of them."""
        return Group(self.slot, self.row[chosen], self.moment[chosen])


@dataclasses.dataclass(frozen=True, eq=False)
class World:
    """What a store is made of. What it is asked for has one value for each of a group, [n].

    Attributes:
      type_ids: MLMD's ids of types, by kind and name.
    """

    parameters: StoreParameters
    pipelines: Pipelines
    runs: Runs
    schedule: Schedule
    contexts: Contexts
    values: Values
    type_ids: Mapping[str, Mapping[str, int]]

    def pipeline(self, group: Group) -> Numbers:
        """Number of the pipeline."""
        return self.runs.pipeline[group.row]

    def state(self, group: Group) -> Numbers:
        """MLMD state."""
        return self.runs.state[group.row, group.slot]

    def origin(self, group: Group) -> Numbers:
        """Run that made the outputs, -1 for none."""
        return self.runs.origin[group.row, group.slot]

    def execution(self, group: Group) -> Numbers:
        """Id of the execution."""
        return self.schedule.execution[group.row, group.slot]

    def start_ms(self, group: Group) -> IntArray:
        """When it started, milliseconds since the epoch."""
        start: IntArray = self.schedule.run_start_ms[group.row]
        return start + self.schedule.start_ms[group.row, group.slot]

    def end_ms(self, group: Group) -> IntArray:
        """When it ended, milliseconds since the epoch."""
        start: IntArray = self.schedule.run_start_ms[group.row]
        return start + self.schedule.end_ms[group.row, group.slot]

    def node_context(self, group: Group) -> Numbers:
        """Id of the node context."""
        return self.contexts.of_node[self.pipeline(group), group.slot]

    def contexts_of(self, group: Group) -> list[Numbers]:
        """Ids of the contexts that it stands in, one array for each kind."""
        found: list[Numbers] = [
            self.contexts.of_pipeline[self.pipeline(group)],
            self.contexts.of_run[group.row],
            self.node_context(group),
        ]
        if not group.resolves:
            found.append(self.contexts.of_cache[group.row, group.slot])
        return found

    def artifact_ids(self, output: int, source: Numbers) -> IntArray:
        """Ids of artifacts.

        Args:
          output: position in layout.OUTPUTS.
          source: [n], the runs that made them.
        """
        made = layout.OUTPUTS[output]
        first: IntArray = self.schedule.first_output[source, made.slot].astype(np.int64)
        return first + made.position

    def column(self, group: Group, name: str) -> Cells:
        """One of statements.COLUMNS: what properties are made of."""
        runs, known, pipeline = self.runs, self.values, self.pipeline(group)
        by_pipeline = {
            "root": known.root,
            "custom_config": known.custom_config,
            "train_args": known.train_args,
            "eval_config": known.eval_config,
        }
        by_run: dict[str, Numbers] = {
            "span": runs.span,
            "total_bytes": known.total_bytes,
            "checksum": known.checksum,
        }
        by_lane = {
            "blessed": runs.blessed,
            "infra_blessed": runs.infra_blessed,
            "pushed": runs.pushed,
        }
        if name in by_pipeline:
            return by_pipeline[name][pipeline]
        if name in by_run:
            return by_run[name][group.row]
        if name in by_lane:
            return by_lane[name][group.row, group.lane].astype(np.int64)
        if name == "trainer_code":
            return known.code[runs.code[group.row, 1]]
        if name == "transform_code":
            of_transform, of_trainer = runs.code[group.row].T
            own = of_transform + known.first_transform_code
            return known.code[np.where(self.pipelines.shares_code[pipeline], of_trainer, own)]
        if name == "anomalies":
            return ANOMALIES[runs.anomalies[group.row].astype(np.int64)]
        if name == "seconds":
            return self.end_ms(group) // 1000
        return self._model_column(group, name)

    def _model_column(self, group: Group, name: str) -> Cells:
        """Id or URI of the model that was judged, or of its baseline."""
        slot = layout.in_lane(layout.TRAINER, group.lane)
        source = group.row
        if name.startswith("baseline"):
            source = self.runs.baseline[group.row, group.lane].astype(np.int64)
        if name.endswith("_id"):
            return self.artifact_ids(layout.output(slot, "model"), source)
        execution: Texts = self.schedule.execution[source, slot].astype(str).astype(object)
        folder = f"/{layout.NODES[slot].node_id}/model/"
        return self.values.root[self.pipeline(group)] + folder + execution


def by_id(parts: Sequence[Sequence[Cells]]) -> list[Cells]:
    """Columns of all parts, sorted by the first column."""
    columns = [np.concatenate(column) for column in zip(*parts)]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]


def lists(columns: Sequence[Cells]) -> list[list[object]]:
    """Columns as Python's own values, which SQLite takes."""
    return [column.tolist() for column in columns]
