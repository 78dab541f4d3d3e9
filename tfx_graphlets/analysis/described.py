"""A store as the statistics see it: its graphlets, their features, and which of them count."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray


@dataclasses.dataclass(frozen=True, eq=False)
class Described:
    """The graphlets of one store with what is asked of them.

    Attributes:
      store: its name.
      graphlets: the graphlets.
      table: features at stage ``validation``, row-aligned.
      payloads: files below artifact URIs.
      own: bool [num_executions], nodes of this project, which are left out.
      pipeline, node: count the graphlets whose Trainer is of these alone; None: of any.
    """

    store: str
    graphlets: Graphlets
    table: FeatureTable
    payloads: Payloads
    own: BoolArray
    pipeline: str | None = None
    node: str | None = None

    @property
    def selects(self) -> bool:
        """Whether a pipeline or a node is named."""
        return (self.pipeline, self.node) != (None, None)

    @functools.cached_property
    def numbers(self) -> IntArray:
        """Numbers of the graphlets that count, int64 [n], ascending.

        Empty where this store has none of the name; another may.
        """
        try:
            return self.graphlets.of(pipeline=self.pipeline, node=self.node)
        except TraceNotFoundError:
            return np.zeros(0, np.int64)

    @functools.cached_property
    def trainers(self) -> IntArray:
        """Trainer executions of the graphlets that count, int64 [n], positions in the trace."""
        return self.graphlets.trainer[self.numbers]

    @functools.cached_property
    def end_ms(self) -> IntArray:
        """End of every graphlet, int64 [num_graphlets], see ``Graphlets``."""
        return self.graphlets.end_ms

    @functools.cached_property
    def counted(self) -> BoolArray:
        """Executions that count, bool [num_executions].

        Those of the graphlets that count, whatever pipeline they stand in; where no node is
        named also those of the pipeline that belong to no graphlet of its own.
        """
        if not self.selects:
            return ~self.own
        counted = np.zeros(len(self.own), bool)
        of = self.graphlets.executions
        counted[of.index[np.isin(of.rows(), self.numbers)]] = True
        if self.node is None:
            counted |= self.in_pipeline(self.graphlets.trace.pipeline_of_execution)
        return counted & ~self.own

    @functools.cached_property
    def overhead(self) -> BoolArray:
        """This project's own executions in the pipelines that count, bool [num_executions]."""
        context = self.graphlets.trace.pipeline_of_execution
        if self.node is None:
            return self.own & self.in_pipeline(context)
        return self.own & np.isin(context, self.graphlets.pipeline[self.numbers])

    def in_pipeline(self, context: IntArray) -> BoolArray:
        """Which pipeline contexts (-1: none) have the name that is asked for, bool, aligned."""
        if self.pipeline is None:
            return np.ones(len(context), bool)
        names = np.array(
            [name == self.pipeline for name in (*self.graphlets.trace.contexts.name, "")]
        )
        return names[context]  # the last, -1: without a pipeline

    def feature(self, name: str) -> FloatArray:
        """A feature of the graphlets that count, float64 [n], NaN where missing."""
        return self.table.numbers(name)[self.numbers]

    def by_pipeline(self) -> Mapping[str, IntArray]:
        """Numbers of the graphlets of each pipeline, int64 [k], in the order of their Trainers."""
        found, number = np.unique(self.graphlets.pipeline[self.numbers], return_inverse=True)
        order = self.numbers[np.argsort(number.reshape(-1), kind="stable")]
        parts = np.split(order, np.cumsum(np.bincount(number.reshape(-1)))[:-1])
        names = [
            self.graphlets.trace.context_name(int(at)) or "" if at >= 0 else "" for at in found
        ]
        return dict(zip(names, parts)) if len(self.numbers) else {}


def joined(
    sources: Sequence[Described],
    of: Callable[[Described], IntArray | FloatArray | SmallArray | BoolArray],
) -> FloatArray:
    """Numbers of several stores as one column, float64 [n]."""
    parts = [np.asarray(of(one), np.float64) for one in sources]
    return np.concatenate(parts) if parts else np.zeros(0)
