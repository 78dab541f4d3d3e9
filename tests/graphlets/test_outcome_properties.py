"""What holds of waste and savings of every trace, on generated ones."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agreement import both, reference_of
from tests.reference import Reference
from tests.strategies import deterministic, permuted, pipeline_rows, rows, seeds
from tfx_graphlets.graphlets import outcome
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import BoolArray
from tfx_graphlets.vocabulary import Outcome, Role, Stage

stages = st.sampled_from(list(Stage))


def some(graphlets: Graphlets, seed: int) -> BoolArray:
    """A random set of graphlets, bool [num_graphlets]."""
    randomness = random.Random(seed)
    share = randomness.random()
    return np.array([randomness.random() < share for _ in range(len(graphlets))], bool)


def ids(graphlets: Graphlets, executions: BoolArray) -> set[int]:
    """MLMD ids of a set of executions."""
    return set(graphlets.trace.executions.id[executions].tolist())


def removed(reference: Reference, skipped: set[int], stage: Stage) -> float:
    """Waste removed as the rules word it, by brute force."""
    wasted = reference.wasted
    total = reference.cost_of(wasted)
    saved = reference.saved(skipped, stage.value)
    return reference.cost_of(saved & wasted) / total if total else math.nan


@deterministic
@given(rows())
def test_waste_is_what_the_reference_says(raw: RowBuilder) -> None:
    """Executions that only unpushed, not useful graphlets hold, each counted once."""
    graphlets, reference = both(raw)
    assert ids(graphlets, outcome.wasted_executions(graphlets)) == reference.wasted
    expected = sum(reference.cost[execution] for execution in reference.wasted)
    assert outcome.total_waste(graphlets) == pytest.approx(expected)


@deterministic
@given(rows(), stages)
def test_what_runs_after_the_gate_is_what_the_reference_says(raw: RowBuilder, stage: Stage) -> None:
    """Graphlet by graphlet, at every stage."""
    graphlets, reference = both(raw)
    after = outcome.after_the_gate(graphlets, stage)
    numbers, positions = graphlets.executions.rows()[after], graphlets.executions.index[after]
    found: list[set[int]] = [set() for _ in range(len(graphlets))]
    for number, execution in zip(numbers.tolist(), graphlets.trace.executions.id[positions]):
        found[number].add(int(execution))
    assert found == [reference.after_gate(fields, stage.value) for fields in reference.graphlets]


@deterministic
@given(rows(), seeds, stages)
def test_savings_are_what_the_reference_says(raw: RowBuilder, seed: int, stage: Stage) -> None:
    """Of any set of skipped graphlets, at every stage, in cost and in share of the waste."""
    weights = {Role.TRAINER: 8.0, Role.MODEL_VALIDATOR: 0.5}
    graphlets, reference = both(raw, cost_weight_of_role=weights)
    chosen = some(graphlets, seed)
    skipped = set(graphlets.trainer_id[chosen].tolist())
    saved = reference.saved(skipped, stage.value)
    assert ids(graphlets, outcome.saved_executions(graphlets, chosen, stage)) == saved
    expected = reference.cost_of(saved)
    assert outcome.saved_cost(graphlets, chosen, stage) == pytest.approx(expected)
    share = outcome.waste_removed(graphlets, chosen, stage)
    assert share == pytest.approx(removed(reference, skipped, stage), nan_ok=True)
    unpushed = {g["trainer"] for g in reference.graphlets if g["outcome"] == "unpushed"}
    most = outcome.waste_removable(graphlets, stage)
    assert most == pytest.approx(removed(reference, unpushed, stage), nan_ok=True)


@deterministic
@given(pipeline_rows(), seeds, stages)
def test_no_gate_removes_more_waste_than_the_oracle(
    raw: RowBuilder, seed: int, stage: Stage
) -> None:
    """Whatever is skipped, what is removable at the stage is the most; all lies in 0..1."""
    graphlets = segment(assemble(raw.rows()))
    most = outcome.waste_removable(graphlets, stage)
    share = outcome.waste_removed(graphlets, some(graphlets, seed), stage)
    everything = outcome.waste_removed(graphlets, np.ones(len(graphlets), bool), stage)
    if math.isnan(most):
        assert outcome.total_waste(graphlets) == 0.0
        assert math.isnan(share)
    else:
        assert 0.0 <= share <= most <= 1.0 + 1e-12
        assert everything == pytest.approx(most)


@deterministic
@given(pipeline_rows(), seeds, stages)
def test_skipping_more_saves_no_less(raw: RowBuilder, seed: int, stage: Stage) -> None:
    """Savings grow with the set of skipped graphlets; an empty set saves nothing."""
    graphlets = segment(assemble(raw.rows()))
    few = some(graphlets, seed)
    more = few | some(graphlets, seed + 1)
    saved_by_few = outcome.saved_executions(graphlets, few, stage)
    saved_by_more = outcome.saved_executions(graphlets, more, stage)
    assert not (saved_by_few & ~saved_by_more).any()
    assert not outcome.saved_executions(graphlets, np.zeros_like(few), stage).any()


@deterministic
@given(pipeline_rows(), seeds)
def test_an_earlier_gate_saves_no_less(raw: RowBuilder, seed: int) -> None:
    """What runs after a stage runs after every stage before it."""
    graphlets = segment(assemble(raw.rows()))
    skipped = some(graphlets, seed)
    saved = [outcome.saved_executions(graphlets, skipped, stage) for stage in Stage]
    for earlier, later in zip(saved, saved[1:]):
        assert not (later & ~earlier).any()


@deterministic
@given(pipeline_rows(), seeds, stages)
def test_a_skipped_graphlet_saves_nothing_of_those_that_run(
    raw: RowBuilder, seed: int, stage: Stage
) -> None:
    """No execution of a graphlet that still runs is counted as saved."""
    graphlets = segment(assemble(raw.rows()))
    skipped = some(graphlets, seed)
    saved = ids(graphlets, outcome.saved_executions(graphlets, skipped, stage))
    for graphlet in graphlets:
        if not skipped[graphlet.number]:
            assert not saved & set(graphlet.executions)


@deterministic
@given(pipeline_rows())
def test_useful_graphlets_lead_to_a_push(raw: RowBuilder) -> None:
    """Useful is the unpushed whose Model leads to a pushed one by a chain of warm starts."""
    graphlets, reference = segment(assemble(raw.rows())), reference_of(raw)

    def leads_to_a_push(trainer: int, seen: frozenset[int]) -> bool:
        models = {
            artifact
            for artifact in reference.outputs[trainer]
            if reference.artifact_type[artifact] == "Model"
        }
        followers = [g for g in graphlets if models & set(g.warm_start) and g.trainer not in seen]
        return any(
            g.outcome == Outcome.PUSHED or leads_to_a_push(g.trainer, seen | {g.trainer})
            for g in followers
        )

    expected = [
        g.outcome == Outcome.UNPUSHED and leads_to_a_push(g.trainer, frozenset({g.trainer}))
        for g in graphlets
    ]
    assert graphlets.useful.tolist() == expected


@deterministic
@given(rows(), seeds)
def test_waste_does_not_depend_on_the_order_of_rows(raw: RowBuilder, seed: int) -> None:
    """Other rows and ids, the same waste."""
    other, new = permuted(raw, random.Random(seed), renumber=True)
    one, two = segment(assemble(raw.rows())), segment(assemble(other.rows()))
    wasted = ids(one, outcome.wasted_executions(one))
    assert {new.executions[old] for old in wasted} == ids(two, outcome.wasted_executions(two))
    assert outcome.total_waste(one) == pytest.approx(outcome.total_waste(two))
