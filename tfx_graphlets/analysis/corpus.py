"""Features of whole corpora: from a trace of any size to one table.

The trace is cut into shards (see ``trace.partition``), each is segmented and described
on its own, over processes; the result is that of the whole trace at once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import gc
import mmap
import multiprocessing
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Final, cast

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import all_features, describe, properties_read
from tfx_graphlets.features.executions import READ_TYPES
from tfx_graphlets.features.table import Feature, FeatureColumn, FeatureKind, FeatureTable
from tfx_graphlets.graphlets import verdicts
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.selection import PROPERTIES_FOR_PARTS, Columns
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.partition import Shards, parts_of
from tfx_graphlets.trace.trace import FloatArray, IntArray, Trace
from tfx_graphlets.vocabulary import ExecutionState, Role, Stage

# Arrays of a shard of so many executions take about 200 megabytes.
MAX_EXECUTIONS: Final = 50_000

# So few are described sooner than a process is forked.
_FEW_EXECUTIONS: Final = 20_000

Progress = Callable[[Iterable[int], int], Iterable[int]]


def describe_store(
    store: Store,
    stage: Stage,
    *,
    processes: int = 1,
    executions_in_memory: int | None = None,
    role_of_type: Mapping[str, Role] | None = None,
    progress: Progress | None = None,
) -> FeatureTable:
    """Features of all graphlets of a store of any size.

    >>> from tfx_graphlets.payloads.statistics import NoPayloads
    >>> from tfx_graphlets.testing import TraceBuilder
    >>> build = TraceBuilder()
    >>> data = build.artifact("Examples", span=3)
    >>> _ = build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r")
    >>> _ = build.execution("Trainer", inputs={"examples": [data]},
    ...                     outputs={"model": [build.artifact("Model")]}, run="r")
    >>> class InMemory:  # in place of open_store("metadata.sqlite")
    ...     name, payloads = "memory", NoPayloads()
    ...     def read_trace(self, **_):
    ...         return build.trace()
    >>> describe_store(InMemory(), Stage.INPUT).row(0)["input_data.span_weekday"]
    3.0

    Args:
      store: an open store.
      stage: where the gate stands.
      processes: how many work at the same time.
      executions_in_memory: the most whose rows are read at once, about 300
        bytes each; None for the whole store. A store that holds more is read
        some pipelines at a time, after its events alone, which tell what
        belongs together. It is read at once if executions have no pipeline.
      role_of_type, progress: as for ``describe_trace``; the progress is told
        of each part of the store anew.

    Returns:
      One row per graphlet, in ascending id of the Trainer.

    Raises:
      InvalidArgumentError: as ``describe_trace``; or ``executions_in_memory``
        is below 1.
      StoreError: the store cannot be read.
    """
    if executions_in_memory is not None and executions_in_memory < 1:
        raise InvalidArgumentError(
            "executions_in_memory", executions_in_memory, "it must be 1 or more"
        )
    parts, classes = _parts(store, executions_in_memory, role_of_type)
    tables = []
    for pipelines in parts:
        trace = read_for_features(store, stage, pipelines=pipelines)
        few = len(trace.executions) <= _FEW_EXECUTIONS
        tables.append(
            describe_trace(
                trace,
                stage,
                processes=1 if few else processes,
                payloads=store.payloads,
                role_of_type=role_of_type,
                classes=classes,
                progress=progress,
            )
        )
        del trace
    if len(tables) == 1:
        return tables[0]
    table = FeatureTable.concatenate(tables)
    return table.take(np.argsort(table.trainer, kind="stable"))


def read_for_features(
    store: Store, stage: Stage, *, pipelines: Collection[str] | None = None
) -> Trace:
    """Reads what segmentation and the features of a stage look at, and no more.

    Args:
      store: an open store.
      stage: where the gate stands.
      pipelines: names of pipelines; None for the whole store.

    Raises:
      StoreError: as ``Store.read_trace``.
    """
    return store.read_trace(
        pipelines=pipelines,
        properties=properties_read(stage),
        columns=dataclasses.replace(
            Columns.FOR_FEATURES, uris=True, uri_types=frozenset(READ_TYPES)
        ),
    )


def _parts(
    store: Store, executions_in_memory: int | None, role_of_type: Mapping[str, Role] | None
) -> tuple[Sequence[tuple[str, ...] | None], verdicts.Classes | None]:
    """Pipelines that are read together, and what the store tells of its types; None for all."""
    if executions_in_memory is None or sum(store.pipelines().values()) <= executions_in_memory:
        return (None,), None
    trace = store.read_trace(properties=PROPERTIES_FOR_PARTS, columns=Columns.FOR_PARTS)
    parts = parts_of(trace, executions_in_memory)
    if len(parts) == 1 or any(part.others for part in parts):
        return (None,), None
    classes = verdicts.Classes.of(without_gates(trace), role_of_type)
    return [part.pipelines for part in parts], classes


def describe_trace(
    trace: Trace,
    stage: Stage,
    *,
    processes: int = 1,
    max_executions: int = MAX_EXECUTIONS,
    payloads: Payloads | None = None,
    role_of_type: Mapping[str, Role] | None = None,
    pushers: Collection[str] | None = None,
    classes: verdicts.Classes | None = None,
    progress: Progress | None = None,
) -> FeatureTable:
    """Features of all graphlets of a trace.

    The same as ``describe(segment(without_gates(trace)), stage)``, whose memory
    grows with the trace; here it grows with the largest shard.

    Args:
      trace: what a store recorded; at least what ``read_for_features`` reads.
      stage: where the gate stands.
      processes: how many work at the same time; above 1 they are forked.
      max_executions: about how many executions are worked on at once in each.
      payloads: where statistics, schemas and metrics are.
      role_of_type, pushers, classes: as for ``segment``.
      progress: told of the shards' numbers and their count; hands them on.

    Returns:
      One row per graphlet, in ascending id of the Trainer.

    Raises:
      InvalidArgumentError: ``processes`` or ``max_executions`` is below 1, a role is given to a
        type that is not in the trace, or ``pushers`` names one that is not.
    """
    if processes < 1:
        raise InvalidArgumentError("processes", processes, "it must be 1 or more")
    if max_executions < 1:
        raise InvalidArgumentError("max_executions", max_executions, "it must be 1 or more")
    trace = without_gates(trace)
    classes = classes or verdicts.Classes.of(trace, role_of_type)
    work = _Work.of(trace, stage, max_executions, processes, payloads, classes, pushers)
    numbers: Iterable[int] = range(len(work.shards))
    if progress is not None:
        numbers = progress(numbers, len(work.shards))
    if processes == 1:
        for number in numbers:
            work.take_in(work.describe(number))
    else:
        _in_processes(work, numbers, processes)
    return work.table()


@dataclasses.dataclass(frozen=True, eq=False)
class _Names:
    """The categories of one shard: their rows in the table, and the values by feature."""

    rows: IntArray
    values: Mapping[str, FeatureColumn]


class _Work:
    """The shards of a trace and the table that they fill, in memory that forks share."""

    def __init__(
        self,
        shards: Shards,
        stage: Stage,
        payloads: Payloads | None,
        classes: verdicts.Classes,
        counting: Collection[str] | None,
        trainer: IntArray,
    ) -> None:
        self.shards, self.stage, self.payloads = shards, stage, payloads
        self.classes, self.counting, self.trainer = classes, counting, trainer
        self.features = all_features(stage)
        self.numbers = [f for f in self.features if f.kind is FeatureKind.NUMBER]
        self._place = {feature.name: at for at, feature in enumerate(self.numbers)}
        size = max(len(self.numbers) * len(trainer), 1)
        self.cells: FloatArray = np.frombuffer(mmap.mmap(-1, size * 8), np.float64)
        self.names: dict[str, list[str | None]] = {
            feature.name: [None] * len(trainer)
            for feature in self.features
            if feature.kind is FeatureKind.CATEGORY
        }

    @classmethod
    def of(
        cls,
        trace: Trace,
        stage: Stage,
        max_executions: int,
        processes: int,
        payloads: Payloads | None,
        classes: verdicts.Classes,
        pushers: Collection[str] | None,
    ) -> _Work:
        executions, role = trace.executions, classes.roles_in(trace)
        verdicts.counted(trace, role, pushers)  # refuses a name that no pusher has
        trainer = np.flatnonzero(
            (role == Role.TRAINER) & (executions.state != ExecutionState.CACHED)
        )
        # Small shards keep all processes busy to the end.
        even = -(-len(executions) // (4 * processes)) if processes > 1 else max_executions
        shards = Shards(trace, max_executions=max(1, min(max_executions, even)))
        return cls(shards, stage, payloads, classes, pushers, trainer)

    def column(self, feature: Feature) -> FloatArray:
        """The column of a number."""
        at, count = self._place[feature.name], len(self.trainer)
        return self.cells[at * count : (at + 1) * count]

    def describe(self, number: int) -> _Names:
        """Puts the numbers of one shard into the table; returns its categories."""
        shard = self.shards[number]
        there = verdicts.present(shard, self.classes.roles_in(shard), self.counting)
        graphlets = segment(shard, pushers=there, classes=self.classes)
        table = describe(graphlets, self.stage, payloads=self.payloads)
        position = self.shards.executions(number)[graphlets.trainer]
        rows = np.searchsorted(self.trainer, position)
        for feature in self.numbers:
            self.column(feature)[rows] = table.columns[feature.name]
        names = _Names(rows, {name: table.columns[name] for name in self.names})
        # Columns that are worked out once refer to each other: without this the arrays of
        # several shards wait for Python to find that nobody holds them.
        del shard, graphlets, table
        gc.collect()
        return names

    def take_in(self, names: _Names) -> None:
        """Puts the categories of one shard into the table."""
        for name, values in names.values.items():
            column = self.names[name]
            for row, value in zip(names.rows.tolist(), values):
                column[row] = value

    def table(self) -> FeatureTable:
        """The table, once all shards are in it."""
        columns: dict[str, FeatureColumn] = {f.name: self.column(f) for f in self.numbers}
        columns.update({name: tuple(values) for name, values in self.names.items()})
        trainer_id = self.shards.trace.executions.id[self.trainer]
        return FeatureTable(self.stage, trainer_id, self.features, columns)


_forked: _Work | None = None  # what a forked process works on


def _in_processes(work: _Work, numbers: Iterable[int], processes: int) -> None:
    global _forked  # noqa: PLW0603 - memory is shared by forking, not by sending
    _forked, others = work, multiprocessing.active_children()
    pool = concurrent.futures.ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("fork")
    )
    try:
        with pool, _children_killed_on_error(others):
            with _interrupts_held():
                waiting = [pool.submit(_describe_forked, n) for n in range(len(work.shards))]
            for done, _ in zip(concurrent.futures.as_completed(waiting), numbers):
                work.take_in(done.result())
    finally:
        _forked = None


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """An interrupt comes at the end: amid a fork it would leave a process that nobody knows.

    Processes that are forked inside hear none: the one that forked them ends them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    held = {
        number: signal.signal(number, lambda which, _frame: came.append(which))
        for number in (signal.SIGINT, signal.SIGALRM)
    }
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for which in came[:1]:
            signal.raise_signal(which)


@contextlib.contextmanager
def _children_killed_on_error(others: Sequence[BaseProcess]) -> Iterator[None]:
    """Whatever is raised inside, an interrupt above all, no process but ``others`` works on."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            if child not in others:
                child.kill()
        raise


def _describe_forked(number: int) -> _Names:
    work = cast("_Work", _forked)  # set before the fork
    return work.describe(number)
