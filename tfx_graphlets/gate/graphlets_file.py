"""What a Graphlets artifact holds, as a value and as files.

``summary.json`` states the format, the stage, where and when the store was
read, the features, earlier decisions, and the problem if there was one.
``current.parquet`` is one row of features; ``history.parquet`` one row per
graphlet of the pipeline, with outcome and moments beside the features.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Collection, Mapping
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tfx_graphlets.errors import Fault, GraphletsError
from tfx_graphlets.features.table import Feature, FeatureColumn, FeatureKind, FeatureTable
from tfx_graphlets.gate.rehearsals import RehearsalPast
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.decision import NodeDecision, PastDecision
from tfx_graphlets.version import __version__
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset

KIND: Final = "tfx_graphlets.graphlets"
# Since 2: the runs of past graphlets, and all that a PastDecision says. Since 3: the Trainer
# nodes; the current graphlet has a row for each.
FORMAT_VERSION: Final = 3
READ_VERSIONS: Final = (1, 2, 3)
SUMMARY_FILE: Final = "summary.json"
CURRENT_FILE: Final = "current.parquet"
HISTORY_FILE: Final = "history.parquet"
# The summary comes last, so that where it stands the others do.
FILES: Final = (CURRENT_FILE, HISTORY_FILE, SUMMARY_FILE)

_DAMAGES: Final = (KeyError, TypeError, ValueError, OSError, RecursionError)
_NEEDED: Final = "needed_ms"
_NUMBERS: Final = ("outcome", "decision_ms", "known_ms", "start_ms")
_TEXTS: Final = ("pipeline", "store")
_LATER_TEXTS: Final = ("run", "node")  # an earlier release did not write them


class GraphletsFormatError(GraphletsError):
    """The files of a Graphlets artifact cannot be used.

    Attributes:
      problem: what is wrong with them.
    """

    fault = Fault.GRAPHLETS_DAMAGED

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the Graphlets artifact cannot be used: {problem}")


@dataclasses.dataclass(frozen=True)
class PipelineHistory:
    """One pipeline at the moment of a decision.

    Attributes:
      stage: the stage that the features are of.
      pipeline: name of the pipeline; "" where it is not known.
      run: name of the current run; "" where it is not known.
      read_ms: when the store was read, milliseconds since the epoch.
      current: features of the current graphlet, one row for each of ``nodes``
        (one where they are not known); None where there is no current graphlet.
      past: the pipeline's graphlets that have a Trainer, without the current
        one; None where the store could not be read.
      decisions: earlier gates' decisions, oldest first.
      problem: why ``current`` or ``past`` is None; "" where neither is.
      fault: the same as a code (``errors.Fault``); likewise.
      release: version of this library that described the graphlets.
      rehearsals: what the runs before tell a rehearsal.
      nodes: ids of the Trainer nodes that the rows of ``current`` are of; ""
        for one that has no node context; empty where an earlier release did not
        write them.
      repeats: of each node, whether an earlier Trainer of it has finished with
        exactly the same artifacts and code: TFX's cache would hold the training.
      hint: what to do about a pipeline whose Models no Trainer has made; "" where there is none.
      pipeline_pushes: of a history of one node (``of_nodes``), how many pushes of
        all nodes were known; not written.
    """

    stage: Stage
    pipeline: str
    run: str
    read_ms: int
    current: FeatureTable | None
    past: Dataset | None
    decisions: tuple[PastDecision, ...] = ()
    problem: str = ""
    fault: str = ""
    release: str = __version__
    rehearsals: RehearsalPast = dataclasses.field(default_factory=RehearsalPast)
    nodes: tuple[str, ...] = ()
    repeats: tuple[bool, ...] = ()
    hint: str = ""
    pipeline_pushes: int | None = None

    def of_nodes(self, wanted: Collection[str] = ()) -> tuple[PipelineHistory, ...]:
        """The history of each Trainer node by itself: its row, its past, its decisions.

        Args:
          wanted: ids of nodes; those that are there, all where none of them is.

        Returns: one history per node, in the order of ``nodes``; the whole as the
          only one where nodes are not known, or nothing is described.
        """
        if not self.nodes or self.current is None or self.past is None:
            return (self,)
        chosen = [at for at, node in enumerate(self.nodes) if node in wanted]
        return tuple(self._of_node(at) for at in chosen or range(len(self.nodes)))

    def _of_node(self, at: int) -> PipelineHistory:
        if self.current is None or self.past is None:
            return self
        node = self.nodes[at]
        rows = [row for row, name in enumerate(self.past.node) if name == node]
        seen = (decision.of_node(node) for decision in self.decisions)
        return dataclasses.replace(
            self,
            current=self.current.take(np.array([at], np.int64)),
            past=self.past.take(np.array(rows, np.int64)),
            decisions=tuple(one for one in seen if one is not None),
            nodes=(node,),
            repeats=self.repeats[at : at + 1],
            pipeline_pushes=int((self.past.pushed & (self.past.known_ms < self.read_ms)).sum()),
        )

    def __str__(self) -> str:
        if self.problem:
            return f"No graphlets of {self.pipeline or 'the pipeline'}: {self.problem}"
        return f"Current graphlet of {self.pipeline} at stage {self.stage}, after {self.past}"

    @property
    def num_labelled(self) -> int:
        """Number of past graphlets whose outcome is pushed or unpushed."""
        return 0 if self.past is None else int(self.past.labelled.sum())


def to_files(history: PipelineHistory) -> dict[str, bytes]:
    """The files of a Graphlets artifact: content by name."""
    tables = [table for table in (history.current, _table(history.past)) if table is not None]
    summary = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "stage": str(history.stage),
        "pipeline": history.pipeline,
        "run": history.run,
        "read_ms": history.read_ms,
        "features": [_feature_to_dict(feature) for feature in tables[0].features] if tables else [],
        "decisions": [dataclasses.asdict(decision) for decision in history.decisions],
        "graphlets": 0 if history.past is None else len(history.past),
        "labelled": history.num_labelled,
        "problem": history.problem,
        "fault": history.fault,
        "release": history.release,
        "rehearsals": history.rehearsals.to_dict(),
        "nodes": list(history.nodes),
        "repeats": list(history.repeats),
        "hint": history.hint,
        **(Declared() if history.past is None else history.past.declared).to_dict(),
    }
    text = json.dumps(summary, indent=1, sort_keys=True, allow_nan=False)
    files = {}
    if history.current is not None:
        files[CURRENT_FILE] = _to_parquet(history.current.to_arrow())
    if history.past is not None:
        rows = history.past.table.to_arrow()
        for name in _NUMBERS:
            column = np.asarray(getattr(history.past, name), np.int64)
            rows = rows.append_column(name, pa.array(column))
        rows = rows.append_column(_NEEDED, pa.array(history.past.since_needed_ms))
        for name in (*_TEXTS, *_LATER_TEXTS):
            column = pa.array(getattr(history.past, name), pa.string())
            rows = rows.append_column(name, column)
        files[HISTORY_FILE] = _to_parquet(rows)
    files[SUMMARY_FILE] = text.encode() + b"\n"
    return files


def from_files(files: Mapping[str, bytes]) -> PipelineHistory:
    """The value of the files that ``to_files`` made.

    Raises:
      GraphletsFormatError: they are incomplete, damaged, or of a format that
        this release does not know.
    """
    if SUMMARY_FILE not in files:
        raise GraphletsFormatError(f"there is no {SUMMARY_FILE}")
    try:
        return _parse(files)
    except GraphletsFormatError:
        raise
    except (*_DAMAGES, pa.ArrowException) as error:
        raise GraphletsFormatError(f"{type(error).__name__}: {error}") from error


def _parse(files: Mapping[str, bytes]) -> PipelineHistory:
    summary = json.loads(files[SUMMARY_FILE])
    version = summary["format_version"] if summary["kind"] == KIND else None
    if version not in READ_VERSIONS:
        raise GraphletsFormatError(
            f"its format is {summary['kind']} {version}, this release reads {KIND} "
            f"{' and '.join(map(str, READ_VERSIONS))}"
        )
    stage = Stage(summary["stage"])
    features = tuple(_feature_from_dict(document) for document in summary["features"])
    current = past = None
    nodes = tuple(map(str, summary.get("nodes", ())))
    if CURRENT_FILE in files:
        current = _feature_table(_from_parquet(files[CURRENT_FILE]), stage, features)
        if len(current) != max(len(nodes), 1):
            raise GraphletsFormatError(
                f"{CURRENT_FILE} holds {len(current)} rows and not {max(len(nodes), 1)}"
            )
    if HISTORY_FILE in files:
        past = dataclasses.replace(
            _dataset(_from_parquet(files[HISTORY_FILE]), stage, features),
            declared=Declared.from_dict(summary.get("role_of_type"), summary.get("pushers")),
        )
    if not summary["problem"] and (current is None or past is None):
        raise GraphletsFormatError(f"{CURRENT_FILE} or {HISTORY_FILE} is missing")
    return PipelineHistory(
        stage=stage,
        pipeline=summary["pipeline"],
        run=summary["run"],
        read_ms=int(summary["read_ms"]),
        current=current,
        past=past,
        decisions=tuple(map(_decision_from_dict, summary["decisions"])),
        problem=summary["problem"],
        fault=str(summary.get("fault", "")),
        release=summary["release"],
        rehearsals=RehearsalPast.from_dict(summary.get("rehearsals", {})),
        nodes=nodes,
        repeats=tuple(map(bool, summary.get("repeats", ()))),
        hint=str(summary.get("hint", "")),
    )


def _decision_from_dict(document: Mapping[str, Any]) -> PastDecision:
    nodes = tuple(NodeDecision(**one) for one in document.get("nodes", ()))
    return PastDecision(**{**document, "nodes": nodes})


def _table(dataset: Dataset | None) -> FeatureTable | None:
    return None if dataset is None else dataset.table


def _feature_to_dict(feature: Feature) -> dict[str, str]:
    texts = ("name", "unit", "missing", "source")
    return {name: getattr(feature, name) for name in texts} | {
        "stage": str(feature.stage),
        "kind": feature.kind.value,
    }


def _feature_from_dict(document: Mapping[str, str]) -> Feature:
    texts = {**document, "stage": Stage(document["stage"]), "kind": FeatureKind(document["kind"])}
    return Feature(**texts)  # type: ignore[arg-type]


def _to_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def _from_parquet(content: bytes) -> pa.Table:
    # Threads, and what looks for several files, take longer than reading so few rows.
    return parquet.ParquetFile(pa.BufferReader(content)).read(use_threads=False)


def _feature_table(rows: pa.Table, stage: Stage, features: tuple[Feature, ...]) -> FeatureTable:
    columns: dict[str, FeatureColumn] = {}
    for feature in features:
        values = rows.column(feature.name)
        if feature.kind is FeatureKind.NUMBER:
            # A missing value becomes NaN.
            columns[feature.name] = np.array(values.to_numpy(), np.float64)
        else:
            columns[feature.name] = tuple(cast("list[str | None]", values.to_pylist()))
    trainer = np.array(rows.column("trainer").to_numpy(), np.int64)
    return FeatureTable(stage, trainer, features, columns)


def _dataset(rows: pa.Table, stage: Stage, features: tuple[Feature, ...]) -> Dataset:
    number = {name: np.array(rows.column(name).to_numpy(), np.int64) for name in _NUMBERS}
    written = (*_TEXTS, *(name for name in _LATER_TEXTS if name in rows.column_names))
    text = {name: tuple(rows.column(name).to_pylist()) for name in written}
    needed_ms = None  # an earlier release did not know it
    if _NEEDED in rows.column_names:
        needed_ms = np.array(rows.column(_NEEDED).to_numpy(), np.int64)
    return Dataset(
        table=_feature_table(rows, stage, features),
        outcome=number["outcome"].astype(np.int8),
        decision_ms=number["decision_ms"],
        known_ms=number["known_ms"],
        start_ms=number["start_ms"],
        pipeline=text["pipeline"],
        store=text["store"],
        needed_ms=needed_ms,
        node=text.get("node", ()),
        run=text.get("run", ()),
    )
