"""Edges of a trace, sets of pairs, and steps that cache hits take part in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfx_graphlets import segment
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.ragged import Adjacency, PairSet
from tfx_graphlets.vocabulary import ContextType, ExecutionState

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=30)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Two int64 columns of pairs."""
    table = np.array(rows, np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


@given(st.lists(pairs, max_size=6))
def test_a_set_of_pairs_says_which_were_new(batches: list[list[tuple[int, int]]]) -> None:
    """What ``add`` returns is what the set did not hold, each once, ascending."""
    found, expected = PairSet(10), set()
    for batch in batches:
        new = sorted(set(batch) - expected)
        assert list(zip(*(side.tolist() for side in found.add(*columns(batch))))) == new
        expected |= set(batch)
    assert found.contains(*columns(sorted(expected))).all()
    assert list(zip(*(side.tolist() for side in found.pairs()))) == sorted(expected)


def test_a_copy_grows_on_its_own() -> None:
    """Pairs that are added to a copy are not in the original."""
    original = PairSet(10)
    original.add(*columns([(0, 1)]))
    original.copy().add(*columns([(0, 2)]))
    assert original.contains(*columns([(0, 1), (0, 2)])).tolist() == [True, False]


@given(pairs)
def test_rows_hold_the_edges_of_their_node(edges: list[tuple[int, int]]) -> None:
    """Every edge is in the row of its source, parallel ones as often as they were given."""
    source, target = columns(edges)
    adjacency = Adjacency.from_edges(source, target, 6)
    index, found = adjacency.expand(np.arange(6))
    assert sorted(zip(index.tolist(), found.tolist())) == sorted(edges)


def test_labels_go_along_the_edges() -> None:
    """``follow`` gives the label of a node to each of its edges, in the order of the nodes."""
    adjacency = Adjacency.from_edges(*columns([(0, 7), (0, 8), (2, 9)]), 3)
    label, target = adjacency.follow(np.array([30, 10, 20]), np.array([2, 1, 0]))
    assert (label.tolist(), target.tolist()) == ([30, 20, 20], [9, 7, 8])


def test_cache_hits_are_stepped_to_within_their_run_only() -> None:
    """A Trainer steps to the producer that is not CACHED and to the CACHED one of its run."""
    build = TraceBuilder()
    schema, model = build.artifact("Schema"), build.artifact("Model")
    for run, state in (("a", 3), ("b", 5), ("c", 5)):
        build.execution(
            "SchemaGen", outputs={"schema": [schema]}, run=run, state=ExecutionState(state)
        )
    build.execution("Trainer", inputs={"schema": [schema]}, outputs={"model": [model]}, run="c")
    edges = segment(build.trace()).edges
    label, execution = edges.makers.follow(np.array([0]), np.array([0]), np.array([3]))
    assert (label.tolist(), execution.tolist()) == ([0, 0], [0, 2])


def test_any_common_run_is_a_shared_run() -> None:
    """Of executions that stand in several runs, one in common is enough; none is none."""
    build = TraceBuilder()
    for _ in range(4):
        build.execution("Trainer")
    for execution, runs in ((1, "ab"), (2, "bc"), (3, "c")):
        for run in runs:
            build.associate(execution, ContextType.PIPELINE_RUN, run)
    edges = Edges(build.trace(), np.zeros(4, np.int8))
    left, right = np.array([0, 1, 0, 0, 3]), np.array([1, 2, 2, 3, 3])
    assert edges.shares_run(left, right).tolist() == [True, True, False, False, False]
