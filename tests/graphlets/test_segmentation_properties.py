"""What holds of the segmentation of every trace, on generated ones."""

from __future__ import annotations

import copy
import random

from hypothesis import given

from tests.agreement import assert_same, both, reference_of
from tests.row_lists import put, rows_of
from tests.strategies import (
    arbitrary_rows,
    deterministic,
    permuted,
    pipeline_rows,
    rows,
    seeds,
    thorough,
    with_unrelated,
)
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import EventType, ExecutionState, Role


@thorough
@given(pipeline_rows())
def test_both_implementations_agree_on_pipelines(raw: RowBuilder) -> None:
    """Rolling windows, cache hits, warm starts, failures: the same graphlets from both."""
    both(raw)


@thorough
@given(arbitrary_rows())
def test_both_implementations_agree_on_anything(raw: RowBuilder) -> None:
    """Whatever is wired to whatever, cycles included: the same graphlets from both."""
    both(raw)


@deterministic
@given(rows())
def test_both_implementations_agree_under_overrides_and_weights(raw: RowBuilder) -> None:
    """Roles and prices that the user gives change both in the same way."""
    names = sorted(set(raw["Execution"]["type"]))
    given_roles = {names[0]: Role.TRAINER, names[-1].split(".")[-1]: Role.CUSTOM}
    both(
        raw,
        role_of_type=given_roles,
        cost_weight_of_role={Role.TRAINER: 3.0, Role.CUSTOM: 0.0},
        cost_weight_of_type={names[0]: 0.5, "Evaluator": 2.0},
    )


@deterministic
@given(rows())
def test_every_trainer_that_is_not_cached_has_one_graphlet(raw: RowBuilder) -> None:
    """It is in exactly one graphlet, its own, and no graphlet holds another Trainer."""
    trace = assemble(raw.rows())
    graphlets = segment(trace)
    trains = graphlets.role == Role.TRAINER
    not_cached = trace.executions.state != ExecutionState.CACHED
    trainers = trace.executions.id[trains & not_cached].tolist()
    assert graphlets.trainer_id.tolist() == trainers
    assert [g.with_role(Role.TRAINER) for g in graphlets] == [(trainer,) for trainer in trainers]
    assert [g.in_part(Part.TRAINER) for g in graphlets] == [(trainer,) for trainer in trainers]


@deterministic
@given(rows())
def test_memberships_are_sets_in_order(raw: RowBuilder) -> None:
    """Members ascend without repeats, and the columns say what the views say."""
    graphlets = segment(assemble(raw.rows()))
    for number, graphlet in enumerate(graphlets):
        for ids in (graphlet.executions, graphlet.artifacts, graphlet.warm_start):
            assert list(ids) == sorted(set(ids))
        parts = [set(graphlet.in_part(part)) for part in Part]
        assert set().union(*parts) == set(graphlet.executions)
        assert sum(map(len, parts)) == len(graphlet.executions)
        assert graphlet.start_ms == graphlets.start_ms[number]
        assert graphlet.end_ms == graphlets.end_ms[number]
        assert graphlet.cost_ms == graphlets.cost_ms[number]
        assert graphlets.of_trainer(graphlet.trainer).to_dict() == graphlet.to_dict()
    assert len(graphlets.part) == len(graphlets.executions.index)
    assert len(graphlets.executions) == len(graphlets.artifacts) == len(graphlets)


@deterministic
@given(rows(), seeds)
def test_the_order_of_rows_does_not_matter(raw: RowBuilder, seed: int) -> None:
    """Rows in another order give an equal trace, hence equal graphlets."""
    shuffled, _ = permuted(raw, random.Random(seed))
    assert assemble(shuffled.rows()).equals(assemble(raw.rows()))


@deterministic
@given(rows(), seeds)
def test_ids_are_only_names(raw: RowBuilder, seed: int) -> None:
    """Other ids, in another order, give the same graphlets by the new ids."""
    renumbered, new = permuted(raw, random.Random(seed), renumber=True)
    expected = []
    for graphlet in segment(assemble(raw.rows())):
        fields = graphlet.to_dict()
        for field, ids in (
            ("executions", new.executions), ("artifacts", new.artifacts),
            ("warm_start", new.artifacts),
        ):  # fmt: skip
            fields[field] = sorted(ids[old] for old in getattr(graphlet, field))
        expected.append({**fields, "trainer": new.executions[graphlet.trainer]})
    found = [graphlet.to_dict() for graphlet in segment(assemble(renumbered.rows()))]
    assert found == sorted(expected, key=lambda fields: fields["trainer"])


@deterministic
@given(rows(), rows())
def test_an_unrelated_pipeline_changes_nothing(raw: RowBuilder, other: RowBuilder) -> None:
    """The graphlets of one pipeline are the same with another in the store."""
    alone, together = (
        segment(assemble(raw.rows())),
        segment(assemble(with_unrelated(raw, other).rows())),
    )
    mine = [graphlet.to_dict() for graphlet in together][: len(alone)]
    assert mine == [graphlet.to_dict() for graphlet in alone]
    assert len(together) >= len(alone)
    assert together.useful[: len(alone)].tolist() == alone.useful.tolist()


@deterministic
@given(rows())
def test_events_that_are_no_edges_do_not_matter(raw: RowBuilder) -> None:
    """Internal, pending and unknown events can be left out, and edges doubled."""
    edges = {EventType.INPUT, EventType.OUTPUT, EventType.DECLARED_INPUT, EventType.DECLARED_OUTPUT}
    doubled = copy.deepcopy(raw)
    put(doubled, "Event", [row for row in rows_of(raw, "Event") if row[2] in edges] * 2)
    assert_same(segment(assemble(doubled.rows())), reference_of(raw))


@deterministic
@given(rows())
def test_nothing_stands_beside_the_data_that_did_not_exist(raw: RowBuilder) -> None:
    """Data analysis was created by the end of the Trainer, cache hits are of its runs."""
    trace = assemble(raw.rows())
    executions = trace.executions
    member, context = trace.run_memberships()
    for graphlet in segment(trace):
        trainer = graphlet.trainer_position
        runs = set(context[member == trainer].tolist())
        for execution in graphlet.in_part(Part.ANALYSIS, Part.UPSTREAM):
            position = trace.execution_position(execution)
            if executions.state[position] == ExecutionState.CACHED:
                assert runs & set(context[member == position].tolist())
        for execution in graphlet.in_part(Part.ANALYSIS):
            created = executions.create_ms[trace.execution_position(execution)]
            assert created <= executions.update_ms[trainer]
