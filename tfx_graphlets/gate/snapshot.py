"""From a metadata store to a PipelineHistory: what GraphletGen does."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import GraphletsError, TraceNotFoundError
from tfx_graphlets.features import all_features, describe
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.gate import keys
from tfx_graphlets.gate import run as gate_run
from tfx_graphlets.gate.checks import check_stage
from tfx_graphlets.gate.graphlets_file import (
    FILES,
    GraphletsFormatError,
    PipelineHistory,
    from_files,
    to_files,
)
from tfx_graphlets.gate.latest_runs import DEFAULT_RUNS, read_recent
from tfx_graphlets.gate.record import past_decisions, skipped_runs
from tfx_graphlets.gate.rehearsals import rehearsal_past
from tfx_graphlets.gate.unrecorded import RUN as UNRECORDED_RUN
from tfx_graphlets.gate.unrecorded import LivePayloads, with_unrecorded_run
from tfx_graphlets.graphlets.current import current_graphlet
from tfx_graphlets.graphlets.gate_nodes import without_gates
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace
from tfx_graphlets.version import __version__
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model.dataset import Dataset

_LOGGER = logging.getLogger(__name__)
NO_PAYLOADS: Final = NoPayloads()


class InputArtifact(Protocol):
    """What is asked of a TFX artifact."""

    id: int
    uri: str
    type_name: str


@dataclasses.dataclass(frozen=True)
class Request:
    """Which graphlet is asked for.

    Attributes:
      stage: where the gate stands.
      pipeline: name of the pipeline; "" where it is not known.
      run: name of the current run; "" where it is not known or has not begun.
      inputs: artifacts that are wired to GraphletGen, by key.
      runs: how many runs before the current one are read; 0 for all.
    """

    stage: Stage
    pipeline: str
    run: str
    inputs: Mapping[str, tuple[InputArtifact, ...]]
    runs: int = DEFAULT_RUNS

    @classmethod
    def of(
        cls,
        exec_properties: Mapping[str, object],
        input_dict: Mapping[str, Sequence[InputArtifact]],
        *,
        pipeline: str,
        run: str,
    ) -> Request:
        """The request of a GraphletGen node.

        Args:
          exec_properties, input_dict: the node's.
          pipeline: what the runner says; the execution property counts first.
          run: the current run's name.
        """
        given = exec_properties.get(keys.RUNS)
        return cls(
            stage=check_stage(str(exec_properties.get(keys.STAGE))),
            pipeline=str(exec_properties.get(keys.PIPELINE_NAME) or pipeline),
            run=run,
            inputs={key: tuple(artifacts) for key, artifacts in input_dict.items()},
            runs=DEFAULT_RUNS if given is None else int(str(given)),
        )


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


def broken(request: Request, error: Exception, now_ms: int) -> PipelineHistory:
    """A history that holds only the problem."""
    return PipelineHistory(
        stage=request.stage,
        pipeline=request.pipeline,
        run=request.run,
        read_ms=now_ms,
        current=None,
        past=None,
        problem=gate_run.in_one_line(error),
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
    recent = read_recent(
        store, pipeline=request.pipeline, run=request.run, runs=request.runs,
        uris=sorted({wired.uri for found in request.inputs.values() for wired in found}),
    )  # fmt: skip
    recorded = recent.trace
    trace, run = without_gates(recorded), request.run or None
    payloads = store.payloads
    inputs: dict[str, tuple[int, ...]] | None
    if is_unrecorded(trace, request):
        trace, inputs = with_unrecorded_run(
            trace, request.inputs, pipeline=request.pipeline or None, moment_ms=now_ms
        )
        run, payloads = UNRECORDED_RUN, LivePayloads(payloads, live)
    else:
        inputs = trainer_inputs(trace, request, store.name)
        if request.stage.order >= Stage.TRAINER.order:
            run = run or run_of_model(trace, request)
    graphlet = current_graphlet(
        trace,
        moment_ms=now_ms,
        stage=request.stage,
        run=run,
        input_artifacts=inputs,
        pipeline=request.pipeline or None,
    )
    current = describe(
        graphlet.graphlets,
        request.stage,
        payloads=payloads,
        moment_ms=np.array([now_ms], np.int64),
        rows=np.array([graphlet.number], np.int64),
    )
    pending = graphlet.trainer not in trace.executions.id
    if pending:
        current = dataclasses.replace(current, trainer=np.zeros(1, np.int64))
    graphlets = segment(trace)
    before = last_described(recorded, request, store.payloads)
    wanted = recent.has_look_back(graphlets) | is_described(graphlets, before)
    wanted &= recent.is_past(graphlets) & (graphlets.trainer_id != graphlet.trainer)
    rows = np.flatnonzero(wanted).astype(np.int64)
    table = describe_again(graphlets, request.stage, store.payloads, before, rows)
    decisions = past_decisions(recorded)
    runs = tuple(
        trace.context_name(at) or "" for at in trace.run_of_execution[graphlets.trainer[rows]]
    )
    past = Dataset.from_graphlets(graphlets, table, rows=rows)
    past = without_cut_short(past, runs, decisions)
    return PipelineHistory(
        stage=request.stage,
        pipeline=request.pipeline or graphlet.pipeline or "",
        run=request.run,
        read_ms=now_ms,
        current=current,
        past=dataclasses.replace(past, sources={}),
        decisions=decisions,
        past_runs=runs,
        rehearsals=rehearsal_past(
            graphlet.graphlets, graphlet.number, request.stage, payloads, now_ms
        ),
    )


def without_cut_short(
    past: Dataset, runs: Sequence[str], decisions: Sequence[PastDecision]
) -> Dataset:
    """The dataset, with no outcome where a gate behind the Trainer cut the run short.

    Such a graphlet has a Model that was not pushed: the gate's doing, from
    which nothing can be learnt about the gate's being right.
    """
    cut_short = skipped_runs(decisions)
    unknown = np.array([pair in cut_short for pair in zip(past.pipeline, runs)], bool)
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
    release, or other features, described it.
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
        if history.past is None or not same:
            return None
        return history.past if history.past.table.features == all_features(request.stage) else None
    return None


def custom_properties(history: PipelineHistory) -> dict[str, int | float | str]:
    """What is written on the Graphlets artifact, by key; see ``keys``."""
    properties: dict[str, int | float | str] = {
        keys.USABLE: int(not history.problem),
        keys.STAGE: str(history.stage),
        keys.NUM_GRAPHLETS: history.num_labelled,
    }
    if history.problem:
        properties[keys.PROBLEM] = history.problem
    return properties
