"""Neighbourhood: the part of a store that a run's graphlet can be made of.

A gate needs the graphlet of one run out of a store of years. So the store is
asked by its indexes only (``lookups``): the executions of the run and, if
wanted, of the latest runs of its pipeline; what they took in and put out; who
made that, to the end; data analysis beside it; what was made of their models.
The rules are those of ``segmentation``, applied to all the runs at once, so
what is read may be more than one graphlet, and ``segment`` cuts it out.

What is not seen:
- Of an artifact, no more than ``walk.MOST_JOINED`` producers in other runs, the first,
  and as many consumers, the latest; see also ``lookups.EVENTS_LOOKED_AT``.
- The run contexts of executions of other runs. None of the rules needs them:
  of those a CACHED one is never entered, and the rest always.
- What a gate has put out and taken in is not walked through (``pending.without_gates``).
- The executions of a custom class elsewhere in the store, which have a say in
  its role (``roles``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.lookups import ContextRow, Lookups
from tfx_graphlets.stores.walk import Walk
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.odd_rows import leave_out_odd_rows
from tfx_graphlets.trace.trace import Trace

# Runs that are read at first, and without a Trainer in them at most, for the latest Trainer.
_RUNS_AT_FIRST: Final = 2
_MOST_RUNS_WITHOUT_TRAINER: Final = 64


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
    """What was read.

    Attributes:
      trace: the executions, with their artifacts, their pipeline, run and node
        contexts, and without attributions.
      runs: names of the pipeline's runs that were read beside the current one,
        the latest first.
      complete: the pipeline has no other runs.
    """

    trace: Trace
    runs: tuple[str, ...]
    complete: bool


def read_neighbourhood(
    lookups: Lookups,
    *,
    run: str | None,
    pipeline: str | None = None,
    runs: int | None = None,
    uris: Sequence[str] = (),
    properties: Collection[str] | None = None,
    nodes: Collection[str] = (),
) -> Neighbourhood | None:
    """Reads what the graphlets of one run, and of the runs before it, are made of.

    ``current_graphlet`` finds in it the graphlet that it finds in the whole
    store, and ``segment`` the graphlets of the runs that were read.

    Args:
      lookups: the store.
      run: name of the current run's context; None for none.
      pipeline: name of its pipeline's context: of a run that several pipelines
        share, only its executions count; by default the parents of the run's
        context.
      runs: how many of the pipeline's latest runs are read beside it; None for
        as many as it takes to find a Trainer, which tells what the current run's
        Trainer will take in.
      uris: of further artifacts that its Trainer will take in.
      properties: names of the properties to keep; None for all.
      nodes: names that may be those of nodes in other pipelines, to know what is theirs (a
        Pusher that counts); names of types ask for nothing.

    Returns:
      None where the store cannot say by an index which runs a pipeline has
      (before TFX 1.11, and where there is no such pipeline), or where a row
      does not say what was run (Kubeflow's ``system.*`` types).
    """
    if not vocabulary.SystemType.EXECUTIONS.isdisjoint(lookups.execution_types):
        return None
    current = [] if run is None else lookups.contexts_named(vocabulary.RUN_CONTEXTS, run)
    if pipeline is not None:
        pipelines = lookups.contexts_named(vocabulary.PIPELINE_CONTEXTS, pipeline)
    else:
        pipelines = _of_types(
            lookups.parents([context.id for context in current]), vocabulary.PIPELINE_CONTEXTS
        )
    walk = Walk(lookups, None if pipeline is None else pipelines)
    wanted = _RUNS_AT_FIRST if runs is None else runs
    others, complete = _other_runs(lookups, pipelines, run, wanted)
    if wanted and complete and not others and not _has_runs(lookups, pipelines):
        return None
    read = len(others)
    walk.add_runs([*current, *_contexts_of(others)])
    own = {context.id for context in current}
    if runs is None and not complete and not walk.has_trainer(but=own):
        others, complete = _other_runs(lookups, pipelines, run, _MOST_RUNS_WITHOUT_TRAINER)
        while read < len(others) and not walk.has_trainer(but=own):
            walk.add_runs(_contexts_of(others[read : 2 * read]))
            read = min(2 * read, len(others))
    followed = current if runs is None else walk.runs
    walk.follow(followed, uris)
    rows = walk.rows(pipelines, properties, _no_types(nodes, lookups))
    leave_out_odd_rows(rows, lookups.odd)
    lookups.odd.say()
    return Neighbourhood(
        trace=assemble(rows, consume=True),
        runs=tuple(named[0].name for named in others[:read]),
        complete=complete and read == len(others),
    )


def _other_runs(
    lookups: Lookups, pipelines: Sequence[ContextRow], current: str | None, count: int
) -> tuple[list[list[ContextRow]], bool]:
    """The latest runs but the current one, each with its contexts; and if these are all.

    Kubeflow's first runner wrote two contexts of one name for one run.
    """
    # One more than is wanted tells whether there are more; and the current one.
    most = 2 * (count + 2)
    children = lookups.newest_children([context.id for context in pipelines], most)
    of_name: dict[str, list[ContextRow]] = {}
    for context in _of_types(children, vocabulary.RUN_CONTEXTS):
        of_name.setdefault(context.name, []).append(context)
    found = [contexts for name, contexts in of_name.items() if name != current]
    return found[:count], len(found) <= count and len(children) < most


def _no_types(names: Collection[str], lookups: Lookups) -> set[str]:
    types = lookups.execution_types
    return set(names) - {*types, *map(vocabulary.base_name, types)}


def _contexts_of(runs: Sequence[Sequence[ContextRow]]) -> list[ContextRow]:
    return [context for contexts in runs for context in contexts]


def _has_runs(lookups: Lookups, pipelines: Sequence[ContextRow]) -> bool:
    return bool(lookups.newest_children([context.id for context in pipelines], 1))


def _of_types(contexts: Iterable[ContextRow], type_names: Collection[str]) -> list[ContextRow]:
    return [context for context in contexts if context.type_name in type_names]
