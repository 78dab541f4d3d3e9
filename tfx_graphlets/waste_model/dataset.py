"""Dataset: graphlets with features, outcomes and the moments of both.

The moments make honest replays possible: a decision is taken at
``decision_ms``, and an outcome may be learnt from after ``known_ms``, not at it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import Describer
from tfx_graphlets.features.moment import decision_moment
from tfx_graphlets.features.table import FeatureKind, FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.trace.trace import BoolArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import Outcome, Stage


class Redescribes(Protocol):
    """Describes graphlets of one store as if some had been skipped (``features.Describer``)."""

    def describe(self, *, rows: IntArray | None = None) -> FeatureTable:
        """Features of graphlets, by their numbers, as seen after what was skipped."""
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
      sources: the graphlets of each store by its name, for counting compute
        on sets of executions; empty where only rows were kept.
      describers: of each store by its name, for describing a row anew as if
        earlier ones had been skipped; empty where rows were only read.
    """

    table: FeatureTable
    outcome: SmallArray
    decision_ms: IntArray
    known_ms: IntArray
    start_ms: IntArray
    pipeline: tuple[str, ...]
    store: tuple[str, ...]
    sources: Mapping[str, Graphlets] = dataclasses.field(default_factory=dict)
    describers: Mapping[str, Redescribes] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("outcome", "decision_ms", "known_ms", "start_ms", "pipeline", "store"):
            if len(getattr(self, name)) != len(self.table):
                raise InvalidArgumentError(
                    name, len(getattr(self, name)),
                    f"its length must be the number of rows of the table, {len(self.table)}",
                )  # fmt: skip

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
        trace = graphlets.trace
        return cls(
            table=table,
            outcome=graphlets.outcome[chosen],
            decision_ms=decision,
            known_ms=np.maximum(graphlets.end_ms[chosen], decision),
            start_ms=graphlets.start_ms[chosen],
            pipeline=tuple(trace.context_name(int(at)) or "" for at in graphlets.pipeline[chosen]),
            store=(store,) * len(table),
            sources={store: graphlets},
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
          InvalidArgumentError: there are none, two hold the same store, or
            their tables differ in stage or features.
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
        return cls(
            table=table,
            outcome=np.concatenate([dataset.outcome for dataset in datasets]),
            decision_ms=np.concatenate([dataset.decision_ms for dataset in datasets]),
            known_ms=np.concatenate([dataset.known_ms for dataset in datasets]),
            start_ms=np.concatenate([dataset.start_ms for dataset in datasets]),
            pipeline=tuple(name for dataset in datasets for name in dataset.pipeline),
            store=tuple(name for dataset in datasets for name in dataset.store),
            sources=sources,
            describers=describers,
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

    @property
    def group(self) -> IntArray:
        """Number of the row's pipeline, int64 [n]; pipelines of two stores differ."""
        keys = [f"{store}\0{name}" for store, name in zip(self.store, self.pipeline)]
        return np.unique(np.asarray(keys, object), return_inverse=True)[1].astype(np.int64)

    @property
    def time_order(self) -> IntArray:
        """Rows by decision moment, then store and Trainer, int64 [n]."""
        stores = np.unique(np.asarray(self.store, object), return_inverse=True)[1]
        return np.lexsort((self.table.trainer, stores, self.decision_ms)).astype(np.int64)

    def take(self, rows: IntArray) -> Dataset:
        """The rows at the given positions, in the given order; sources stay."""
        return Dataset(
            table=self.table.take(rows),
            outcome=self.outcome[rows],
            decision_ms=self.decision_ms[rows],
            known_ms=self.known_ms[rows],
            start_ms=self.start_ms[rows],
            pipeline=tuple(self.pipeline[row] for row in rows),
            store=tuple(self.store[row] for row in rows),
            sources=self.sources,
            describers=self.describers,
        )

    def with_table(self, table: FeatureTable) -> Dataset:
        """The same rows, described otherwise."""
        return dataclasses.replace(self, table=table)

    def only_labelled(self) -> Dataset:
        """The rows that are pushed or unpushed."""
        return self.take(np.flatnonzero(self.labelled).astype(np.int64))

    def skips_by_store(self, skipped: BoolArray) -> dict[str, BoolArray]:
        """Which graphlets of each source are skipped, bool [its graphlets].

        A graphlet of a source that has no row here counts as not skipped.

        Args:
          skipped: bool [n], aligned with the rows.
        """
        result = {}
        for name, graphlets in self.sources.items():
            mine = np.array([store == name for store in self.store], bool)
            result[name] = np.isin(graphlets.trainer_id, self.table.trainer[mine & skipped])
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
        for row in range(len(self)):
            texts = [str(self.table.trainer[row]), str(self.outcome[row])]
            values = [self.table.columns[name][row] for name in categories]
            texts += ["-" if value is None else f"={value}" for value in values]
            row_hash = hashlib.sha256("\0".join(texts).encode())
            row_hash.update(matrix[row].tobytes())
            digests.append(row_hash.digest())
        return digests
