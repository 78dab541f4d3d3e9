"""Gates: which rows of a history one gate decides about together, and at which moment.

A gate stands before the Trainer nodes that cannot run when it says no (docs/graphlets.md, The
unit of a decision): a base model and its fine-tuning, champion and challenger before one
Pusher. What ``gate_pipeline`` reads from the wiring of a pipeline is read here from what its
runs recorded.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets import outcome
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets
from tfx_graphlets.trace.ragged import PairSet
from tfx_graphlets.trace.trace import BoolArray, IntArray
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset


def behind_one_gate(dataset: Dataset) -> tuple[Dataset, IntArray]:
    """The rows at the moments of their gates, and which rows share one.

    Rows of one run share a gate where a gate before one of them leaves out something that a
    gate before the other leaves out. It decides when all of its Trainers could begin which
    follow from no other one behind it (at ``input``: when the first of them is to be decided
    about), and the rows are described as of then.

    Args:
      dataset: the rows; those without sources, and those without a run, have a gate each.

    Returns:
      The rows, in time order, and the number of each row's decision, int64 [n].
    """
    gate = np.arange(len(dataset), dtype=np.int64)
    depends = np.zeros(len(dataset), bool)
    if len(set(zip(dataset.store, dataset.run))) == len(dataset):
        return dataset, gate  # no run trains twice
    for store, graphlets in dataset.sources.items():
        of_trainer = {int(t): n for n, t in enumerate(graphlets.trainer_id.tolist())}
        rows = np.flatnonzero(np.array([name == store for name in dataset.store], bool))
        numbers = np.array([of_trainer[int(t)] for t in dataset.table.trainer[rows]], np.int64)
        of_graphlet, dependent = _gates(graphlets, dataset.stage, numbers)
        gate[rows] = rows[of_graphlet]
        depends[rows] = dependent
    if len(np.unique(gate)) == len(gate):
        return dataset, gate
    moment = _moments(dataset, gate, depends)
    dataset = _described_at(dataset, moment)
    order = dataset.time_order
    return dataset.take(order), gate[order]


def _moments(dataset: Dataset, gate: IntArray, depends: BoolArray) -> IntArray:
    """When each row's gate decides, int64 [n], milliseconds."""
    moment = dataset.decision_ms
    first = np.full(len(gate), NEVER, np.int64)
    np.minimum.at(first, gate, moment)
    if dataset.stage is Stage.INPUT:
        return first[gate]
    latest = first.copy()
    np.maximum.at(latest, gate[~depends], moment[~depends])
    return latest[gate]


def _described_at(dataset: Dataset, moment: IntArray) -> Dataset:
    """The rows as of other moments; those without a describer keep their features."""
    table = dataset.table
    for store, describer in dataset.describers.items():
        graphlets = dataset.sources[store]
        mine = np.array([name == store for name in dataset.store], bool)
        rows = np.flatnonzero(mine & (moment != dataset.decision_ms))
        if not len(rows):
            continue
        describer.reset()  # what an earlier replay has skipped
        numbers = np.searchsorted(graphlets.trainer_id, table.trainer[rows])
        new = describer.describe(rows=numbers, moment_ms=moment[rows])
        place = np.arange(len(table), dtype=np.int64)
        place[rows] = len(table) + np.arange(len(rows))
        table = FeatureTable.concatenate([table, new]).take(place)
    known = np.maximum(dataset.known_ms, moment)
    return dataclasses.replace(dataset, table=table, decision_ms=moment, known_ms=known)


def _gates(graphlets: Graphlets, stage: Stage, numbers: IntArray) -> tuple[IntArray, BoolArray]:
    """Gates of some graphlets of a store.

    Args:
      graphlets: all of the store.
      stage: where the gates stand.
      numbers: of the graphlets that are asked about, int64 [k].

    Returns:
      Of each the position in ``numbers`` of one that stands for all behind its gate, int64 [k];
      and whether its Trainer follows from another one behind the gate, bool [k].
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    place, execution = _left_out(graphlets, stage, numbers)
    holder = np.full(len(graphlets.trace.executions), -1, np.int64)
    holder[execution] = place  # one of those that share it stands for all
    of_trainer = np.full(len(holder), -1, np.int64)
    of_trainer[graphlets.trainer[numbers]] = np.arange(len(numbers))
    depends = np.zeros(len(numbers), bool)
    followed = of_trainer[execution]
    depends[followed[(followed >= 0) & (followed != place)]] = True

    links = (np.ones(len(place), np.int8), (place, holder[execution]))
    _, part = connected_components(coo_matrix(links, (len(numbers),) * 2), directed=False)
    _, first = np.unique(part, return_index=True)
    return first[part].astype(np.int64), depends


def _left_out(graphlets: Graphlets, stage: Stage, numbers: IntArray) -> tuple[IntArray, IntArray]:
    """What a gate before each graphlet leaves out of its run: (place in numbers, execution).

    That is what runs after the gate, and all that follows from it in the run, other Trainers too;
    at ``trainer`` and ``validation`` the Trainer itself counts.
    """
    trace, edges = graphlets.trace, graphlets.edges
    place = np.full(len(graphlets), -1, np.int64)
    place[numbers] = np.arange(len(numbers))
    rows, index = graphlets.executions.rows(), graphlets.executions.index
    kept = outcome.after_the_gate(graphlets, Stage.INPUT if stage is Stage.INPUT else Stage.PRE)
    kept = kept & (place[rows] >= 0)
    graphlet, execution = rows[kept], index[kept]
    here = edges.shares_run(execution, graphlets.trainer[graphlet])
    found = PairSet(len(trace.executions))
    graphlet, execution = found.add(graphlet[here], execution[here])
    while len(graphlet):
        at, artifact = edges.outputs.expand(execution)
        graphlet = graphlet[at]
        at, execution = edges.consumers.expand(artifact)
        graphlet = graphlet[at]
        here = edges.shares_run(execution, graphlets.trainer[graphlet])
        graphlet, execution = found.add(graphlet[here], execution[here])
    graphlet, execution = found.pairs()
    return place[graphlet], execution
