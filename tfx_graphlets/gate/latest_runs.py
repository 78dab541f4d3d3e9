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

Of these runs it tells too which Trainer nodes there are, and whether one repeats itself.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.features.look_back import LOOK_BACK
from tfx_graphlets.graphlets import verdicts
from tfx_graphlets.graphlets.graphlet import Graphlet, Graphlets
from tfx_graphlets.graphlets.roles import Declared, present, roles_of_executions
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.timeline import Lanes
from tfx_graphlets.stores.lookups import lookups_of
from tfx_graphlets.stores.neighbourhood import read_neighbourhood
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import BoolArray, Trace
from tfx_graphlets.vocabulary import ExecutionState, PropertyName, Role

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
    from tfx_graphlets.stores.belonging import belonging_to

    return Recent(belonging_to(whole, pipeline, store.name, role_of_type), pipeline)


# A Trainer node that was in none of so many of the latest runs that trained is gone.
RUNS_OF_NODES: Final = 10


def latest_trainer_nodes(
    trace: Trace, pipeline: str | None, role_of_type: Mapping[str, Role] | None = None
) -> tuple[str, ...]:
    """Ids of the nodes of the Trainers in a pipeline's latest runs, sorted.

    Of a pipeline that is not named: of that of the latest Trainer. A node that
    trained in none of the latest RUNS_OF_NODES runs with a Trainer was removed.
    Trainers without a node context are not among them.
    """
    role = roles_of_executions(trace, present(trace, role_of_type))
    found = np.flatnonzero(role == Role.TRAINER)
    found = found[np.lexsort((found, trace.executions.create_ms[found]))]
    of = [trace.context_name(int(trace.pipeline_of_execution[at])) for at in found]
    if pipeline is None and of:
        pipeline = of[-1]
    names: set[str] = set()
    runs: dict[int, None] = {}
    for at, name in zip(found.tolist()[::-1], of[::-1]):
        node = trace.node_id(at)
        if name != pipeline or node is None:
            continue
        run = int(trace.run_of_execution[at])
        runs[run if run >= 0 else -2 - at] = None
        if len(runs) > RUNS_OF_NODES:
            break
        names.add(node)
    return tuple(sorted(names))


def segment_present(trace: Trace, declared: Declared) -> Graphlets:
    """``segment``, with those of the declared names that the trace holds."""
    kinds = present(trace, declared.role_of_type)
    counting = verdicts.present(trace, roles_of_executions(trace, kinds), declared.pushers)
    return segment(trace, role_of_type=kinds, pushers=counting)


def is_repeated(graphlet: Graphlet, code: str) -> bool:
    """Whether an earlier Trainer of the node has finished with the same artifacts and code.

    Args:
      graphlet: the current one.
      code: place of its code with a hash of it; "" where it is not known: then
        that of the earlier Trainer is taken to be the same.
    """
    trace, role = graphlet.graphlets.trace, graphlet.graphlets.role
    own = graphlet.trainer_position
    inputs = np.isin(trace.events.type, vocabulary.INPUT_EVENTS)

    def taken(execution: int) -> frozenset[int]:
        mine = inputs & (trace.events.execution == execution)
        return frozenset(at for at in trace.events.artifact[mine].tolist() if not own_artifact[at])

    own_artifact = np.array(
        [name.startswith(vocabulary.OWN_PREFIX) for name in trace.artifacts.type_names], bool
    )[trace.artifacts.type]
    wanted = taken(own)
    if not wanted:
        return False
    shared = inputs & np.isin(trace.events.artifact, list(wanted))
    sharing = np.unique(trace.events.execution[shared])
    places = trace.executions.properties.texts(PropertyName.MODULE_PATH, len(trace.executions))
    return any(
        role[at] == Role.TRAINER
        and at != own
        and trace.executions.state[at] in (ExecutionState.COMPLETE, ExecutionState.CACHED)
        and trace.node_of_execution[at] == trace.node_of_execution[own]
        and (not code or not places[at] or places[at] == code)
        and taken(int(at)) == wanted
        for at in sharing.tolist()
    )
