"""Verdicts: what validators said of a model, and whose verdict counts (docs/graphlets.md, Outcome).

That of the model validator whose blessing the graphlet's pusher took in. Where no pusher took one
in, a model is blessed if every model validator with a verdict blessed it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.trace.adjacency import Adjacency
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role


@dataclasses.dataclass(frozen=True, eq=False)
class Verdicts:
    """What each entry of some graphlets says of the model; an entry is a row of their executions.

    Attributes:
      model: float64 [entries], the least ``blessed`` of the ModelBlessings that a model validator
        put out; NaN for other entries, and where nothing is said.
      infra: float64 [entries], the same of an InfraValidator's InfraBlessings.
      validates: bool [entries], a model validator behind the Trainer.
      heard: entry of a pusher that counts to those of the graphlet's model validators whose
        blessing it took in.
    """

    model: FloatArray
    infra: FloatArray
    validates: BoolArray
    heard: Adjacency

    @classmethod
    def of(cls, graphlets: Graphlets) -> Verdicts:
        """Those of all graphlets of a trace."""
        return cls(
            model=_said(graphlets, Role.MODEL_VALIDATOR, ArtifactType.MODEL_BLESSING),
            infra=_said(graphlets, Role.INFRA_VALIDATOR, ArtifactType.INFRA_BLESSING),
            validates=_behind_the_trainer(graphlets, Role.MODEL_VALIDATOR),
            heard=_heard(graphlets),
        )

    def counting(self, query: IntArray, entry: IntArray) -> BoolArray:
        """Which of some entries of each query are model validators whose verdict counts.

        A query is a graphlet as it was known at some moment: a pusher that is not among its
        entries was not known to listen to anybody.

        Args:
          query, entry: int64 [m].

        Returns: bool [m].
        """
        index, validator = self.heard.expand(entry)
        listening = query[index]
        result: BoolArray = self.validates[entry]
        at = np.flatnonzero(result & np.isin(query, listening))
        pairs = len(self.model)
        result[at] = np.isin(query[at] * pairs + entry[at], listening * pairs + validator)
        return result

    def of_model(self, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
        """The verdict that counts on the model of each query, as far as its entries tell.

        Args:
          query, entry: int64 [m], see ``counting``.
          num_queries: length of the result.

        Returns: float64 [num_queries], 1 or 0; NaN where nothing is said.
        """
        counts = self.counting(query, entry)
        return _least(self.model, query[counts], entry[counts], num_queries)

    def of_infra(self, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
        """Whether every InfraValidator with a verdict blessed the model; as ``of_model``."""
        return _least(self.infra, query, entry, num_queries)


def _least(said: FloatArray, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
    result = np.full(num_queries, np.nan)
    np.fmin.at(result, query, said[entry])
    return result


def _behind_the_trainer(graphlets: Graphlets, role: Role) -> BoolArray:
    downstream = graphlets.part == Part.DOWNSTREAM
    behind: BoolArray = downstream & (graphlets.role[graphlets.executions.index] == role)
    return behind


def _said(graphlets: Graphlets, role: Role, blessing: str) -> FloatArray:
    artifacts, executions = graphlets.trace.artifacts, graphlets.executions
    blessed = artifacts.properties.numbers(PropertyName.BLESSED, len(artifacts))
    blessed[~graphlets.trace.artifacts_of_types([blessing])] = np.nan
    entry = np.flatnonzero(_behind_the_trainer(graphlets, role))
    index, artifact = graphlets.edges.outputs.expand(executions.index[entry])
    return _least(blessed, entry[index], artifact, len(executions.index))


def _heard(graphlets: Graphlets) -> Adjacency:
    executions, edges = graphlets.executions, graphlets.edges
    num_executions = len(graphlets.trace.executions)
    row, execution = executions.rows(), executions.index
    is_blessing = graphlets.trace.artifacts_of_types([ArtifactType.MODEL_BLESSING])

    pusher = np.flatnonzero((graphlets.part == Part.DOWNSTREAM) & graphlets.pusher[execution])
    pusher, artifact = edges.inputs.follow(pusher, execution[pusher])
    taken = is_blessing[artifact]
    pusher, producer = edges.producers.follow(pusher[taken], artifact[taken])

    # Entries ascend by graphlet, then execution: the producer's in the pusher's graphlet.
    validator = np.flatnonzero(_behind_the_trainer(graphlets, Role.MODEL_VALIDATOR))
    keys = row[validator] * num_executions + execution[validator]
    wanted = row[pusher] * num_executions + producer
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    found = keys[place] == wanted if len(keys) else np.zeros(len(wanted), bool)
    return Adjacency.from_edges(pusher[found], validator[place[found]], len(execution))
