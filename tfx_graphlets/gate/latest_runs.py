"""Recent: as much of a pipeline's history as a gate looks at, and no more.

A gate's features look back over the latest ``features.look_back.LOOK_BACK`` graphlets
of its Trainer node. So the latest runs of the pipeline are read by indexed
queries (``stores.neighbourhood``), and what it costs does not grow with the
store, nor with the age of the pipeline.

What is lost of an older pipeline, compared with reading all of it: graphlets of
older runs are not among the past ones (labelled, pushes, the account of the
risk taken count those that are there); past graphlets whose own look-back is
not all there are only those that an earlier run has described; a span is not
known to be the same as one that only older runs took in.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tfx_graphlets.features.look_back import LOOK_BACK
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.timeline import Lanes
from tfx_graphlets.stores.belonging import belonging_to
from tfx_graphlets.stores.indexed import lookups_of
from tfx_graphlets.stores.neighbourhood import read_neighbourhood
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import BoolArray, Trace
from tfx_graphlets.vocabulary import Role

_LOGGER = logging.getLogger(__name__)

# So that half of them have a full look-back.
DEFAULT_RUNS: Final = 2 * LOOK_BACK


@dataclasses.dataclass(frozen=True)
class Recent:
    """What was read of a pipeline.

    Attributes:
      trace: its executions.
      pipeline: its name.
      around: the trace holds the runs that were read, and what belongs to them
        of other runs and pipelines; else it holds all that belongs to the
        pipeline's graphlets.
      complete: no run of the pipeline was left out.
    """

    trace: Trace
    pipeline: str = ""
    around: bool = False
    complete: bool = True

    def is_past(self, graphlets: Graphlets) -> BoolArray:
        """Graphlets of the pipeline's runs that were read, bool [n]; others may lack a part."""
        mine = np.ones(len(graphlets), bool)
        if self.pipeline:
            mine = np.isin(graphlets.trainer, self.trace.members_of_pipeline(self.pipeline))
        if self.around:
            mine &= self.trace.run_of_execution[graphlets.trainer] >= 0
        return mine

    def has_look_back(self, graphlets: Graphlets) -> BoolArray:
        """Graphlets before which all that their features look at was read, bool [n]."""
        if self.complete:
            return np.ones(len(graphlets), bool)
        lanes = Lanes.of(graphlets)
        position = np.zeros(len(graphlets), np.int64)
        position[lanes.order] = np.arange(len(graphlets))
        return position - lanes.start[lanes.lane] >= LOOK_BACK


def read_recent(
    store: Store,
    *,
    pipeline: str,
    run: str,
    runs: int = DEFAULT_RUNS,
    uris: Sequence[str] = (),
    nodes: Sequence[str] = (),
    role_of_type: Mapping[str, Role] | None = None,
) -> Recent:
    """Reads the latest runs of a pipeline, all of it where only that can be done.

    All of it is read where neither run nor pipeline is known, from an archive,
    and from a store that does not know a pipeline's runs (before TFX 1.11).

    Args:
      store: where they are recorded.
      pipeline: its name; "" for the whole store.
      run: name of the current run, which is read besides; "" for none.
      runs: how many runs before it; 0 for all of the pipeline.
      uris: of artifacts that are wired to the node.
      nodes: names of nodes that may stand in other pipelines, see ``read_neighbourhood``.
      role_of_type: roles that the user gives, which tell what belongs to the pipeline.

    Raises:
      StoreError, TraceNotFoundError: as ``Store.read_trace``.
    """
    if pipeline and run and runs:
        with lookups_of(store) as lookups:
            found = lookups and read_neighbourhood(
                lookups, run=run, pipeline=pipeline, runs=runs, uris=uris, nodes=nodes
            )
        if found:
            return Recent(found.trace, pipeline, around=True, complete=found.complete)
        _LOGGER.warning(
            "runs=%d cannot hold: %s does not tell by an index which runs %s has, so all of it is "
            "read",
            runs,
            store.name,
            pipeline,
        )
    whole = store.read_trace()
    if not pipeline:
        return Recent(whole)
    return Recent(belonging_to(whole, pipeline, store.name, role_of_type), pipeline)
