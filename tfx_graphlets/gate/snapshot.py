"""From a metadata store to a PipelineHistory: what GraphletGen does."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import Fault, GraphletsError, TraceNotFoundError, fault_of, in_one_line
from tfx_graphlets.features import all_features, describe
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.features.user_code import ANY_ROLE, CODE_ROLES
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.graphlets_file import (
    FILES,
    GraphletsFormatError,
    PipelineHistory,
    from_files,
    to_files,
)
from tfx_graphlets.gate.latest_runs import (
    is_repeated,
    latest_trainer_nodes,
    read_recent,
    segment_present,
)
from tfx_graphlets.gate.record import past_decisions, skipped_runs
from tfx_graphlets.gate.rehearsals import rehearsal_past
from tfx_graphlets.gate.request import InputArtifact, Request, TrainerWanted
from tfx_graphlets.graphlets.current import current_graphlet
from tfx_graphlets.graphlets.graphlet import Graphlet, Graphlets
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.roles import no_trainer_hint, present, roles_of_executions
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.stores.store import Store, declared_by
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace
from tfx_graphlets.version import __version__
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model.dataset import Dataset

_LOGGER = logging.getLogger(__name__)
NO_PAYLOADS: Final = NoPayloads()


def collect_files(
    open_store: Callable[[], Store], request: Request, now_ms: int, live: Payloads = NO_PAYLOADS
) -> dict[str, bytes]:
    """Files of the Graphlets artifact: what ``collect`` finds, or the problem. Never raises."""
    try:
        with open_store() as store:
            return to_files(collect(store, request, now_ms, live))
    except Exception as error:
        if not isinstance(error, GraphletsError):
            _LOGGER.exception("the graphlets could not be collected")
        return to_files(broken(request, error, now_ms))


def broken(request: Request, error: BaseException, now_ms: int) -> PipelineHistory:
    """A history that holds only the problem."""
    return PipelineHistory(
        stage=request.stage,
        pipeline=request.pipeline,
        run=request.run,
        read_ms=now_ms,
        current=None,
        past=None,
        problem=in_one_line(error),
        fault=str(fault_of(error)),
    )


def collect(
    store: Store, request: Request, now_ms: int, live: Payloads = NO_PAYLOADS
) -> PipelineHistory:
    """Reads the pipeline, and describes its current and its past graphlets.

    Args:
      store: where the pipeline's runs are recorded, the current one too; or,
        where the request names no run, an archive of them without it (see
        ``unrecorded``).
      request: which graphlet is asked for.
      now_ms: the moment of the decision, milliseconds since the epoch.
      live: reads what the current run has written, where the store is such an
        archive.

    Raises:
      GraphletsError: the store cannot be read, or does not hold the pipeline,
        the run, or an artifact that is wired.
    """
    given = declared_by(store, request.declared)
    request = dataclasses.replace(request, role_of_type=given.role_of_type, pushers=given.pushers)
    recent = read_recent(
        store,
        pipeline=request.pipeline,
        run=request.run,
        runs=request.runs,
        uris=sorted({wired.uri for found in request.inputs.values() for wired in found}),
        nodes=request.pushers or (),
        role_of_type=request.role_of_type,
    )
    recorded = recent.trace
    trace, run = without_gates(recorded), request.run or None
    kept: Payloads = DecodedPayloads(store.payloads)
    payloads = kept
    inputs: dict[str, tuple[int, ...]] | None
    if is_unrecorded(trace, request):
        from tfx_graphlets.gate.unrecorded import UNRECORDED_RUN, LivePayloads, with_unrecorded_run

        trace, inputs = with_unrecorded_run(
            trace, request.inputs, pipeline=request.pipeline or None, moment_ms=now_ms
        )
        run, payloads = UNRECORDED_RUN, DecodedPayloads(LivePayloads(store.payloads, live))
    else:
        inputs = trainer_inputs(trace, request, store.name)
        if request.stage.order >= Stage.TRAINER.order:
            run = run or run_of_model(trace, request)
    pending = [
        current_graphlet(
            trace,
            moment_ms=now_ms,
            stage=request.stage,
            run=run,
            input_artifacts=wanted.takes(inputs),
            pipeline=request.pipeline or None,
            node=wanted.node or None,
            trainer_type=wanted.type or None,
            role_of_type=request.role_of_type,
            pushers=request.pushers,
            model=_wired_model(trace, request, store.name),
            code=_code_known(trace, wanted, request),
        )
        for wanted in _wanted(trace, request)
    ]
    current = [_described(graphlet, request.stage, payloads, now_ms) for graphlet in pending]
    names = tuple(_node_name(graphlet, request) for graphlet in pending)
    graphlets = segment_present(trace, request.declared)
    before = last_described(recorded, request, store.payloads)
    wanted_rows = recent.has_look_back(graphlets) | is_described(graphlets, before)
    nodes = tuple(_node_of(trace, int(at), names) for at in graphlets.trainer)
    of_them = np.array([node in names for node in nodes], bool)
    wanted_rows &= recent.is_past(graphlets) | of_them
    wanted_rows &= ~np.isin(graphlets.trainer_id, [graphlet.trainer for graphlet in pending])
    rows = np.flatnonzero(wanted_rows).astype(np.int64)
    table = describe_again(graphlets, request.stage, kept, before, rows)
    decisions = past_decisions(recorded)
    past = Dataset.from_graphlets(graphlets, table, rows=rows)
    past = dataclasses.replace(past, node=tuple(nodes[row] for row in rows.tolist()))
    past = without_cut_short(past, decisions)
    first = pending[0]
    return PipelineHistory(
        stage=request.stage,
        pipeline=request.pipeline or first.pipeline or "",
        run=request.run,
        read_ms=now_ms,
        current=FeatureTable.concatenate(current),
        past=dataclasses.replace(past, sources={}, declared=request.declared),
        decisions=decisions,
        rehearsals=rehearsal_past(first.graphlets, first.number, request.stage, payloads, now_ms),
        nodes=names,
        repeats=tuple(
            is_repeated(graphlet, wanted.code)
            for graphlet, wanted in zip(pending, _wanted(trace, request))
        ),
        hint=no_trainer_hint(trace, graphlets.role) or "",
    )


def _described(graphlet: Graphlet, stage: Stage, payloads: Payloads, now_ms: int) -> FeatureTable:
    """Features of a current graphlet, one row; the id of a pending Trainer is 0."""
    table = describe(
        graphlet.graphlets,
        stage,
        payloads=payloads,
        moment_ms=np.array([now_ms], np.int64),
        rows=np.array([graphlet.number], np.int64),
    )
    if stage.order >= Stage.TRAINER.order:
        return table
    return dataclasses.replace(table, trainer=np.zeros(1, np.int64))


def _wanted(trace: Trace, request: Request) -> tuple[TrainerWanted, ...]:
    """The Trainers whose graphlets are described: one from stage ``trainer`` on."""
    if request.stage.order >= Stage.TRAINER.order:
        return (request.trainers or (TrainerWanted(""),))[:1]
    if request.trainers:
        return request.trainers
    names = latest_trainer_nodes(trace, request.pipeline or None, request.role_of_type)
    return tuple(TrainerWanted(name) for name in names) or (TrainerWanted(""),)


def _code_known(trace: Trace, wanted: TrainerWanted, request: Request) -> dict[str, str]:
    """Hash of the code by role, of a Trainer that is asked for."""
    known = dict(wanted.code_known or request.code_known)
    any_role = known.pop(ANY_ROLE, "")
    if any_role:
        there = set(roles_of_executions(trace, present(trace, request.role_of_type)).tolist())
        of_all = {name: any_role for name, role in CODE_ROLES.items() if role in there}
        known = {**of_all, **known}
    return known


def _node_name(graphlet: Graphlet, request: Request) -> str:
    node = graphlet.node or ""
    return next((one.node for one in request.trainers if one.node == node), node)


def _node_of(trace: Trace, execution: int, names: Sequence[str]) -> str:
    """Id of an execution's node; the name among those that are asked for, where it is one.

    A store may hold no node contexts (TFX before 0.24): where one node alone is asked for, an
    execution without one counts as its.
    """
    context = trace.context_name(int(trace.node_of_execution[execution])) or ""
    if not context and len(names) == 1:
        return names[0]
    return context if context in names else trace.node_id(execution) or ""


def _wired_model(trace: Trace, request: Request, store_name: str) -> int | None:
    """Id of the wired model, or of what came of it; None where nothing is wired."""
    if request.stage.order < Stage.TRAINER.order:
        return None
    for key in (keys.MODEL, "blessing", "evaluation", "infra_blessing"):
        for wired in request.inputs.get(key, ()):
            return _id_in(trace, wired, store_name)
    return None


def without_cut_short(past: Dataset, decisions: Sequence[PastDecision]) -> Dataset:
    """The dataset, with no outcome where a gate behind the Trainer cut the run short.

    Such a graphlet has a Model that was not pushed: the gate's doing, from
    which nothing can be learnt about the gate's being right.
    """
    cut_short = skipped_runs(decisions)
    unknown = np.array([pair in cut_short for pair in zip(past.pipeline, past.run)], bool)
    outcome = np.where(unknown, np.int8(Outcome.INCOMPLETE), past.outcome).astype(np.int8)
    return dataclasses.replace(past, outcome=outcome)


def is_unrecorded(trace: Trace, request: Request) -> bool:
    """True if the store has not recorded the run that is going on.

    So it is where the runner does not tell the run's name (Kubeflow) and an
    artifact is wired that the store does not hold: it is an archive.
    """
    if request.run or request.stage.order >= Stage.TRAINER.order:
        return False
    known = set(trace.artifacts.uri)
    return any(wired.uri not in known for found in request.inputs.values() for wired in found)


def run_of_model(trace: Trace, request: Request) -> str | None:
    """Name of the run that made the wired model; None where none is wired, or none made it.

    From stage ``trainer`` on it is the current run, also where the runner does
    not tell its name (Kubeflow).
    """
    for wired in request.inputs.get(keys.MODEL, ()):
        found = [at for at, uri in enumerate(trace.artifacts.uri) if uri == wired.uri]
        made = np.isin(trace.events.artifact, found)
        made &= np.isin(trace.events.type, vocabulary.OUTPUT_EVENTS)
        for execution in trace.events.execution[made][::-1]:
            name = trace.context_name(int(trace.run_of_execution[execution]))
            if name is not None:
                return name
    return None


def trainer_inputs(
    trace: Trace, request: Request, store_name: str
) -> dict[str, tuple[int, ...]] | None:
    """MLMD ids of what is wired for the Trainer, by its keys.

    None if nothing is wired: then the run says what it has made so far. Empty
    if there is no run either: then nothing is known of what comes in.

    An artifact is known by its id if the one of that id in the store has its
    URI, else by its URI (a component's ids are not MLMD's on Kubeflow).

    Raises:
      TraceNotFoundError: an artifact is not in the store.
    """
    ids: dict[str, tuple[int, ...]] = {}
    for key in keys.TRAINER_INPUTS:
        ids[key] = tuple(
            _id_in(trace, artifact, store_name) for artifact in request.inputs.get(key, ())
        )
    ids = {key: found for key, found in ids.items() if found}
    return ids if ids or not request.run else None


def _id_in(trace: Trace, artifact: InputArtifact, store_name: str) -> int:
    position = trace.artifact_position(artifact.id)
    if position >= 0 and trace.artifacts.uri[position] == artifact.uri:
        return int(artifact.id)
    for position in range(len(trace.artifacts) - 1, -1, -1):
        if trace.artifacts.uri[position] == artifact.uri:
            return int(trace.artifacts.id[position])
    raise TraceNotFoundError(
        artifact.uri,
        f"{store_name} does not hold the {artifact.type_name} of this run at {artifact.uri!r}: "
        "GraphletGen needs a store that the current run is recorded in",
    )


def is_described(graphlets: Graphlets, before: Dataset | None) -> BoolArray:
    """Graphlets that were described before when their outcome was known, bool [n]."""
    described = () if before is None else before.table.trainer[before.labelled]
    return np.isin(graphlets.trainer_id, described)


def describe_again(
    graphlets: Graphlets, stage: Stage, payloads: Payloads, before: Dataset | None, rows: IntArray
) -> FeatureTable:
    """Features of graphlets; those that were described before are taken from there.

    What a gate could know of a graphlet at its moment does not change after it,
    so a row of a graphlet whose outcome was known need not be made again.

    Args:
      graphlets: of this pipeline.
      stage: the features' stage.
      payloads: for what has to be made.
      before: what was described earlier, of the same pipeline, with the same
        features; None for nothing.
      rows: int64 [k], numbers of the graphlets that are wanted, ascending.

    Returns: one row for each of ``rows``, in their order.
    """
    known = is_described(graphlets, before)[rows]
    made = describe(graphlets, stage, payloads=payloads, rows=rows[~known])
    if before is None or not known.any():
        return made
    order = np.argsort(before.table.trainer, kind="stable")
    trainers = graphlets.trainer_id[rows[known]]
    at = order[np.searchsorted(before.table.trainer, trainers, sorter=order)]
    both = FeatureTable.concatenate([before.table.take(at.astype(np.int64)), made])
    return both.take(np.argsort(both.trainer, kind="stable").astype(np.int64))


def last_described(trace: Trace, request: Request, payloads: Payloads) -> Dataset | None:
    """The past that the latest usable Graphlets artifact of this stage holds.

    None where there is none, where its files are gone, or where another
    release, other features, roles or pushers described it.
    """
    artifacts = trace.artifacts
    found = np.flatnonzero(trace.artifacts_of_types([keys.GRAPHLETS_TYPE]))
    usable = artifacts.properties.numbers(keys.USABLE, len(artifacts))
    stage = artifacts.properties.texts(keys.STAGE, len(artifacts))
    for at in reversed(found.tolist()):
        if usable[at] != 1 or stage[at] != str(request.stage):
            continue
        uri = artifacts.uri[at]
        files = {name: content for name in FILES if (content := payloads.read(uri, name))}
        try:
            history = from_files(files)
        except GraphletsFormatError:
            return None
        same = history.release == __version__ and history.pipeline == request.pipeline
        if history.past is None or not same or history.past.declared != request.declared:
            return None
        return history.past if history.past.table.features == all_features(request.stage) else None
    return None


def graphlets_properties(summary: bytes) -> dict[str, int | float | str]:
    """What is written on the Graphlets artifact, by key; see ``keys``.

    Args:
      summary: content of the artifact's SUMMARY_FILE.

    Raises:
      GraphletsFormatError: it is damaged.
    """
    try:
        found = json.loads(summary)
        problem = str(found["problem"])
        properties: dict[str, int | float | str] = {
            keys.USABLE: int(not problem),
            keys.STAGE: str(found["stage"]),
            keys.NUM_GRAPHLETS: int(found["labelled"]),
        }
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise GraphletsFormatError(in_one_line(error)) from error
    if problem:
        properties[keys.PROBLEM] = problem
        properties[keys.FAULT] = str(found.get("fault") or Fault.BUG)
    return properties
