"""One decision about a run from those about the Trainer nodes behind its gate."""

from __future__ import annotations

import dataclasses

import pytest

from tests.components.histories import pipeline_history
from tfx_graphlets.gate.record import nodes_of_text, nodes_to_text
from tfx_graphlets.gate.run import of_all
from tfx_graphlets.policy.decide import GateDecision

YES = GateDecision(True, False, 0.9, 0.5, "Runs.", risk=0.04)
NO = GateDecision(False, True, 0.1, 0.5, "Skipped.", risk=0.03)
EXPLORED = dataclasses.replace(NO, proceed=True, explored=True, reason="Runs to explore.")


def decided(*found: GateDecision, caching: bool = False) -> GateDecision:
    """The decision about a run whose nodes are A, B and so on."""
    histories = [
        dataclasses.replace(pipeline_history(), nodes=(name,), repeats=(True,)) for name in "ABC"
    ]
    return of_all(list(zip(histories, found)), caching)


@pytest.mark.parametrize(
    ("found", "proceed", "explored"),
    [
        ((NO, NO), False, False),
        ((NO, YES), True, False),
        ((YES, NO, NO), True, False),
        ((EXPLORED, EXPLORED), True, True),
        ((EXPLORED, YES), True, False),
    ],
)
def test_a_run_proceeds_if_it_would_for_any_node(
    found: tuple[GateDecision, ...], proceed: bool, explored: bool
) -> None:
    """It is explored only where nothing but exploration lets it run."""
    whole = decided(*found)
    assert (whole.proceed, whole.explored) == (proceed, explored)
    assert [one.node for one in whole.nodes] == list("ABC"[: len(found)])
    assert [one.proceed for one in whole.nodes] == [one.proceed for one in found]


def test_a_node_that_another_lets_run_is_at_no_risk() -> None:
    """Its own risk stands where nothing else lets the run go on."""
    assert [one.risk for one in decided(NO, YES).nodes] == [0.0, 0.04]
    assert [one.risk for one in decided(NO, NO).nodes] == [0.03, 0.03]


def test_what_was_found_about_nodes_is_read_back_without_reasons() -> None:
    """Text that is damaged, or of another release, tells nothing and breaks nothing."""
    nodes = decided(NO, YES, caching=True).nodes
    assert nodes[0].cache_hit
    kept = tuple(dataclasses.replace(one, reason="") for one in nodes)
    assert nodes_of_text(nodes_to_text(nodes)) == kept
    assert nodes_of_text("[1") == nodes_of_text(None) == nodes_of_text('[{"other": 1}]') == ()


@pytest.mark.parametrize(
    ("caching", "repeats", "hit"),
    [
        (True, (True,), True),
        (True, (False,), False),
        (True, (), False),  # an earlier release did not write it
        (False, (True,), False),
    ],
)
def test_a_run_that_the_cache_holds_is_told_that_a_skip_saves_nothing(
    caching: bool, repeats: tuple[bool, ...], hit: bool
) -> None:
    """Where the cache is in use and the node has trained on exactly this before."""
    history = dataclasses.replace(pipeline_history(), nodes=("A",), repeats=repeats)
    whole = of_all([(history, NO)], caching)
    assert whole.nodes[0].cache_hit is hit
    said = " TFX's cache holds what A would train: a skip of it saves nothing."
    assert whole.reason == "Skipped." + (said if hit else "")


def test_a_node_of_a_history_that_names_none_is_the_trainer() -> None:
    """As histories of earlier releases are; its name is empty."""
    whole = of_all([(dataclasses.replace(pipeline_history(), repeats=(True,)), NO)], True)
    assert [one.node for one in whole.nodes] == [""]
    assert "what the Trainer would train" in whole.reason
