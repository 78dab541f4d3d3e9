"""Dataset: graphlets with features, outcomes and the moments of both.

The moments make honest replays possible: a decision is taken at
``decision_ms``, and an outcome may be learnt from after ``known_ms``, not at it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import Describer
from tfx_graphlets.features.table import FeatureKind, FeatureTable
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets
from tfx_graphlets.graphlets.outcome import missed_pushes
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.graphlets.timeline import decision_moment
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.trace.trace import BoolArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import Outcome, Stage

_DIGITS = 16  # of the digest of a store's content
_TEXTS = ("pipeline", "store", "node", "run")
_NUMBERS = ("outcome", "decision_ms", "known_ms", "start_ms")


class Redescribes(Protocol):
    """Describes graphlets of one store as if some had been skipped (``features.Describer``)."""

    def describe(
        self, *, rows: IntArray | None = None, moment_ms: IntArray | None = None
    ) -> FeatureTable:
        """Features of graphlets, by their numbers, as seen at moments after what was skipped."""
        ...

    def skip(self, graphlet: int, spared: IntArray) -> None:
        """A gate skipped this graphlet, and these executions did not run."""
        ...

    def run(self, graphlet: int) -> None:
        """A gate let this graphlet run."""
        ...

    def reset(self) -> None:
        """Nothing was skipped."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from, to score, or to replay.

    Attributes:
      table: features, one row per graphlet.
      outcome: int8 [n], vocabulary.Outcome.
      decision_ms: int64 [n], when a gate at the table's stage would decide,
        milliseconds since the epoch.
      known_ms: int64 [n], when the outcome was known: the last update of the
        graphlet's executions, not before ``decision_ms``.
      start_ms: int64 [n], earliest create time of the graphlet's executions.
      pipeline: name of the pipeline context [n], "" where there is none.
      store: name of the store that the row is from [n].
      node: id of the Trainer's node [n]; where the store does not tell it, the name that TFX
        gives by default, that of the class; empty, which becomes "" for each, where not known.
      run: name of the run [n], "" where there is none; likewise.
      needed_ms: int64 [n], when it became needed (pushed, or useful: a push that its Model led
        to), NEVER where it is not; None: at ``known_ms`` where it was pushed, else NEVER.
      sources: the graphlets of each store by its name, for counting compute
        on sets of executions; empty where only rows were kept.
      describers: of each store by its name, for describing a row anew as if
        earlier ones had been skipped; empty where rows were only read.
      declared: the roles and pushers that the graphlets were cut with.
    """

    table: FeatureTable
    outcome: SmallArray
    decision_ms: IntArray
    known_ms: IntArray
    start_ms: IntArray
    pipeline: tuple[str, ...]
    store: tuple[str, ...]
    needed_ms: IntArray | None = None
    node: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    sources: Mapping[str, Graphlets] = dataclasses.field(default_factory=dict)
    describers: Mapping[str, Redescribes] = dataclasses.field(default_factory=dict)
    declared: Declared = dataclasses.field(default_factory=Declared)

    def __post_init__(self) -> None:
        for name in ("node", "run"):
            if not getattr(self, name):
                object.__setattr__(self, name, ("",) * len(self.table))
        for name in (*_NUMBERS, *_TEXTS, "needed_ms"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.table):
                raise InvalidArgumentError(
                    name,
                    len(column),
                    f"its length must be the number of rows of the table, {len(self.table)}",
                )

    @classmethod
    def from_graphlets(
        cls,
        graphlets: Graphlets,
        table: FeatureTable,
        store: str = "",
        *,
        rows: IntArray | None = None,
    ) -> Dataset:
        """The dataset of the graphlets of one store.

        Args:
          graphlets: the graphlets.
          table: their features, ``describe(graphlets, stage, rows=rows)``, row-aligned.
          store: a name that tells this store from others.
          rows: int64 [k], numbers of the graphlets that are wanted; all by default.

        Raises:
          InvalidArgumentError: the table's rows are not these graphlets.
        """
        chosen = slice(None) if rows is None else rows
        if not np.array_equal(table.trainer, graphlets.trainer_id[chosen]):
            raise InvalidArgumentError(
                "table", len(table), "its rows must be the graphlets, in their order"
            )
        decision = decision_moment(graphlets, table.stage)[chosen]
        trace, trainer = graphlets.trace, graphlets.trainer[chosen]
        return cls(
            table=table,
            outcome=graphlets.outcome[chosen],
            decision_ms=decision,
            known_ms=np.maximum(graphlets.end_ms[chosen], decision),
            start_ms=graphlets.start_ms[chosen],
            pipeline=tuple(trace.context_name(int(at)) or "" for at in graphlets.pipeline[chosen]),
            store=(store,) * len(table),
            needed_ms=graphlets.needed_ms[chosen],
            node=tuple(_node(trace, at) for at in trainer.tolist()),
            run=tuple(trace.context_name(at) or "" for at in trace.run_of_execution[trainer]),
            sources={store: graphlets},
            declared=graphlets.declared,
        )

    @classmethod
    def describe(
        cls, graphlets: Graphlets, stage: Stage, payloads: Payloads | None = None, store: str = ""
    ) -> Dataset:
        """The dataset of all graphlets of one store, which can be replayed.

        Args:
          graphlets: the graphlets.
          stage: where the gate stands.
          payloads: of the store; a replay may still read from them.
          store: a name that tells this store from others.
        """
        describer = Describer(graphlets, stage, payloads=payloads)
        dataset = cls.from_graphlets(graphlets, describer.describe(), store)
        return dataclasses.replace(dataset, describers={store: describer})

    @classmethod
    def concatenate(cls, datasets: Sequence[Dataset]) -> Dataset:
        """The rows of all, in the order given.

        Raises:
          InvalidArgumentError: there are none, two hold the same store, their tables differ in
            stage or features, or they were cut with other pushers or contradicting roles.
        """
        table = FeatureTable.concatenate([dataset.table for dataset in datasets])
        sources: dict[str, Graphlets] = {}
        describers: dict[str, Redescribes] = {}
        seen: set[str] = set()
        for dataset in datasets:
            twice = seen & set(dataset.store)
            if twice:
                raise InvalidArgumentError(
                    "datasets", sorted(twice), "a store may be given only once"
                )
            seen |= set(dataset.store)
            sources.update(dataset.sources)
            describers.update(dataset.describers)
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(dataset, name) for dataset in datasets])
            for name in _NUMBERS
        }
        for name in _TEXTS:
            columns[name] = tuple(text for one in datasets for text in getattr(one, name))
        return cls(
            table=table,
            **columns,
            needed_ms=np.concatenate([dataset.since_needed_ms for dataset in datasets]),
            sources=sources,
            describers=describers,
            declared=Declared.of_all(dataset.declared for dataset in datasets),
        )

    def __len__(self) -> int:
        return len(self.table)

    def __str__(self) -> str:
        return (
            f"{len(self)} graphlets of {len(set(self.group.tolist()))} pipelines at stage "
            f"{self.stage} ({int(self.pushed.sum())} pushed, {int(self.unpushed.sum())} unpushed)"
        )

    @property
    def stage(self) -> Stage:
        """The stage of the features."""
        return self.table.stage

    @property
    def pushed(self) -> BoolArray:
        """True where the model reached serving, bool [n]."""
        return np.asarray(self.outcome == Outcome.PUSHED)

    @property
    def unpushed(self) -> BoolArray:
        """True where it was trained and did not, bool [n]."""
        return np.asarray(self.outcome == Outcome.UNPUSHED)

    @property
    def labelled(self) -> BoolArray:
        """True where the outcome is pushed or unpushed, bool [n]."""
        return self.pushed | self.unpushed

    @functools.cached_property
    def since_needed_ms(self) -> IntArray:
        """``needed_ms``, worked out where it was not given, int64 [n]."""
        if self.needed_ms is not None:
            return self.needed_ms
        return np.where(self.pushed, self.known_ms, NEVER)

    @property
    def needed(self) -> BoolArray:
        """True where it was pushed, or its Model led to a push, bool [n].

        The label that is learnt, promised and kept; false where there is no label.
        """
        return np.asarray(self.labelled & (self.since_needed_ms != NEVER))

    def needed_before(self, moment_ms: int) -> BoolArray:
        """``needed`` as it was known before a moment, bool [n], of rows known by then.

        The label of an unpushed row changes at the push that it led to, not before.
        """
        return np.asarray(self.pushed | (self.needed & (self.since_needed_ms < moment_ms)))

    @property
    def group(self) -> IntArray:
        """Number of the row's pipeline, int64 [n]; pipelines of two stores differ.

        Numbers follow what the stores hold, not how they are called.
        """
        return self._numbered(self.pipeline)

    @property
    def lane(self) -> IntArray:
        """Number of the row's Trainer node, int64 [n]; nodes of two pipelines differ."""
        return self._numbered(self.pipeline, self.node)

    def _numbered(self, *names: Sequence[str]) -> IntArray:
        # Tuples, not joined texts: a name may be long, and each is one object.
        keys = list(zip(list(self._store_rank), *names))
        number = {key: place for place, key in enumerate(sorted(set(keys)))}
        return np.array([number[key] for key in keys], np.int64)

    @property
    def time_order(self) -> IntArray:
        """Rows by decision moment, then store by its content, then Trainer, int64 [n]."""
        order = np.lexsort((self.table.trainer, self._store_rank, self.decision_ms))
        return order.astype(np.int64)

    @functools.cached_property
    def content_of_store(self) -> Mapping[str, str]:
        """Of each store a text that tells what its rows are about, whatever it is called.

        The first digits of the SHA-256 over Trainers, the moments of decisions and pipelines:
        figures of a seed depend on it, not on how a path is spelt.
        """
        names = np.asarray(self.store, object)
        texts = {}
        for store in set(self.store):
            rows = np.flatnonzero(names == store)
            rows = rows[np.argsort(self.table.trainer[rows], kind="stable")]
            whole = hashlib.sha256("\0".join(self.pipeline[row] for row in rows).encode())
            for column in (self.table.trainer, self.decision_ms):
                whole.update(column[rows].astype("<i8").tobytes())
            texts[store] = whole.hexdigest()[:_DIGITS]
        return texts

    @functools.cached_property
    def _store_rank(self) -> IntArray:
        """Place of each row's store in the order of their contents, int64 [n]."""
        # Two of the same content are told apart by their names: neither comes before by right.
        stores = sorted((text, store) for store, text in self.content_of_store.items())
        rank = {store: number for number, (_, store) in enumerate(stores)}
        return np.array([rank[store] for store in self.store], np.int64)

    def in_time_order(self) -> Dataset:
        """The same rows in ``time_order``: figures do not depend on the order they came in."""
        return self.take(self.time_order)

    def take(self, rows: IntArray) -> Dataset:
        """The rows at the given positions, in the given order; sources stay."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _NUMBERS}
        for name in _TEXTS:
            columns[name] = tuple(map(getattr(self, name).__getitem__, rows))
        return Dataset(
            table=self.table.take(rows),
            **columns,
            needed_ms=self.since_needed_ms[rows],
            sources=self.sources,
            describers=self.describers,
            declared=self.declared,
        )

    def with_table(self, table: FeatureTable) -> Dataset:
        """The same rows, described otherwise."""
        return dataclasses.replace(self, table=table)

    def only_labelled(self) -> Dataset:
        """The rows that are pushed or unpushed."""
        return self.take(np.flatnonzero(self.labelled).astype(np.int64))

    def missed_pushes(self, skipped: BoolArray) -> BoolArray:
        """Pushed rows that would not have been pushed, had these rows been skipped, bool [n].

        See ``outcome.missed_pushes``; without sources, the pushed rows that are skipped.

        Args:
          skipped: bool [n], aligned with the rows.
        """
        missed = np.asarray(self.pushed & skipped)
        names = np.asarray(self.store, object)
        for name, chosen in self.skips_by_store(skipped).items():
            graphlets = self.sources[name]
            lost = graphlets.trainer_id[missed_pushes(graphlets, chosen)]
            missed |= (names == name) & self.pushed & np.isin(self.table.trainer, lost)
        return missed

    def skips_by_store(self, skipped: BoolArray) -> dict[str, BoolArray]:
        """Which graphlets of each source are skipped, bool [its graphlets].

        A graphlet of a source that has no row here counts as not skipped; an attempt that was
        retried is skipped with the one that counts.

        Args:
          skipped: bool [n], aligned with the rows.
        """
        result = {}
        for name, graphlets in self.sources.items():
            mine = np.array([store == name for store in self.store], bool)
            chosen = np.isin(graphlets.trainer_id, self.table.trainer[mine & skipped])
            for number in np.flatnonzero(graphlets.outcome == Outcome.RETRIED)[::-1].tolist():
                chosen[number] |= chosen[graphlets.retry[number]]
            result[name] = chosen
        return result

    def fingerprint(self) -> str:
        """SHA-256 over Trainers, outcomes and features, hexadecimal.

        It knows neither the names of stores nor the order of rows.
        """
        names = [feature.name for feature in self.table.features]
        whole = hashlib.sha256("\0".join(names).encode())
        for digest in sorted(self.row_digests()):
            whole.update(digest)
        return whole.hexdigest()

    def row_digests(self) -> list[bytes]:
        """SHA-256 over Trainer, outcome and features of each row, [n]."""
        numbers = [f.name for f in self.table.features if f.kind is FeatureKind.NUMBER]
        categories = [f.name for f in self.table.features if f.kind is FeatureKind.CATEGORY]
        matrix = np.full((len(self), len(numbers)), np.nan, "<f8")  # one NaN for all
        for at, name in enumerate(numbers):
            column = self.table.numbers(name)
            known = ~np.isnan(column)
            matrix[known, at] = column[known]
        digests = []
        useful = self.needed & ~self.pushed
        for row in range(len(self)):
            texts = [str(self.table.trainer[row]), str(self.outcome[row])]
            texts += ["useful"] if useful[row] else []
            values = [self.table.columns[name][row] for name in categories]
            texts += ["-" if value is None else f"={value}" for value in values]
            row_hash = hashlib.sha256("\0".join(texts).encode())
            row_hash.update(matrix[row].tobytes())
            digests.append(row_hash.digest())
        return digests


def _node(trace: Trace, execution: int) -> str:
    name = trace.executions.type_names[trace.executions.type[execution]]
    return trace.node_id(execution) or name.rpartition(".")[2]
