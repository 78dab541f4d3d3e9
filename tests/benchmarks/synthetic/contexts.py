"""The contexts of a store: pipelines, runs, nodes and keys of TFX's cache."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.arrays import Int32Array
from tests.benchmarks.synthetic.pipelines import Pipelines
from tests.benchmarks.synthetic.runs import Runs
from tests.benchmarks.synthetic.schedule import Schedule
from tfx_graphlets.trace.trace import BoolArray
from tfx_graphlets.vocabulary import ExecutionState

KINDS = ("pipeline", "pipeline_run", "node", "execution_cache")


@dataclasses.dataclass(frozen=True, eq=False)
class Contexts:
    """Ids of contexts, in the order in which executions first stood in them.

    Attributes:
      of_pipeline: int32 [pipelines].
      of_run: int32 [R].
      of_node: int32 [pipelines, S], 0 for a node that never ran.
      of_cache: int32 [R, S], of the execution that made the outputs, or of the one that failed
        to; 0 for a Resolver. A cache hit stands in the context of what it hit.
      new: bool [executions, 4], by execution id: the pipeline, the run, the node, the cache key
        is new with it.
      before: int32 [executions], contexts that were there before it.
    """

    of_pipeline: Int32Array
    of_run: Int32Array
    of_node: Int32Array
    of_cache: Int32Array
    new: BoolArray
    before: Int32Array


def number_contexts(pipelines: Pipelines, runs: Runs, schedule: Schedule) -> Contexts:
    """Hands out the ids."""
    begins = schedule.moment[~schedule.is_end].astype(np.int64)
    row, slot = begins // layout.SLOTS, begins % layout.SLOTS
    pipeline = runs.pipeline[row].astype(np.int64)
    opens = slot == layout.EXAMPLE_GEN  # the first of every run
    new = np.zeros((len(begins), len(KINDS)), bool)
    new[:, 0] = opens & runs.first[row]
    new[:, 1] = opens
    node = pipeline * layout.SLOTS + slot
    nodes, first_use = np.unique(node, return_index=True)
    new[first_use, 2] = True
    resolves = np.isin(slot, [s for s in range(layout.SLOTS) if layout.resolves(s)])
    new[:, 3] = ~resolves & (runs.state[row, slot] != ExecutionState.CACHED)

    total = np.cumsum(new.reshape(-1), dtype=np.int32).reshape(new.shape)
    of_pipeline = np.zeros(len(pipelines), np.int32)
    of_run = np.zeros(len(runs), np.int32)
    of_node = np.zeros(len(pipelines) * layout.SLOTS, np.int32)
    of_cache = np.zeros(runs.state.size, np.int32)
    of_pipeline[pipeline[new[:, 0]]] = total[new[:, 0], 0]
    of_run[row[opens]] = total[opens, 1]
    of_node[nodes] = total[first_use, 2]
    of_cache[begins[new[:, 3]]] = total[new[:, 3], 3]
    of_cache = of_cache.reshape(runs.state.shape)
    hits = np.nonzero(runs.state == ExecutionState.CACHED)
    of_cache[hits] = of_cache[runs.origin[hits], hits[1]]
    before = total[:, -1] - new.sum(axis=1, dtype=np.int32)
    return Contexts(
        of_pipeline, of_run, of_node.reshape(len(pipelines), layout.SLOTS), of_cache, new, before
    )
