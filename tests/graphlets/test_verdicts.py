"""Which verdict counts where several validators speak of one model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from tests.agreement import reference_of
from tests.strategies import rows, thorough
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.verdicts import Verdicts
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import Role


class Model:
    """A trained Model, and what validates and pushes it."""

    def __init__(self) -> None:
        self.build = TraceBuilder()
        examples, self.model = self.build.artifact("Examples"), self.build.artifact("Model")
        self.build.execution("CsvExampleGen", outputs={"examples": [examples]})
        self.build.execution(
            "Trainer", inputs={"examples": [examples]}, outputs={"model": [self.model]}
        )

    def evaluator(
        self, blessed: int | None, name: str = "Evaluator", blessing: str = "ModelBlessing"
    ) -> int:
        """A validator that says so (None: nothing); the id of its blessing."""
        said = {} if blessed is None else {"blessed": blessed}
        result = self.build.artifact(blessing, **said)
        self.build.execution(name, inputs={"model": [self.model]}, outputs={"blessing": [result]})
        return result

    def pusher(self, *blessings: int, node: str = "Pusher") -> None:
        """A Pusher that takes in these blessings."""
        self.build.execution(
            "Pusher",
            inputs={"model": [self.model], "model_blessing": blessings},
            outputs={"pushed_model": [self.build.artifact("PushedModel", pushed=0)]},
            node=node,
        )

    @property
    def verdict(self) -> float:
        """The verdict that counts."""
        return float(verdicts(segment(self.build.trace()))[0])


def verdicts(graphlets: Graphlets, role: Role = Role.MODEL_VALIDATOR) -> np.ndarray:
    """Of every graphlet, by all that was recorded."""
    entries = np.arange(len(graphlets.executions.index))
    said = Verdicts.of(graphlets)
    decide = said.of_model if role is Role.MODEL_VALIDATOR else said.of_infra
    return decide(graphlets.executions.rows(), entries, len(graphlets))


@pytest.mark.parametrize(("listened", "other"), [(1, 0), (0, 1)])
def test_the_verdict_is_that_which_the_pusher_took_in(listened: int, other: int) -> None:
    """A strict Evaluator that the Pusher listens to, a lenient one beside; and the reverse."""
    model = Model()
    blessing = model.evaluator(listened)
    model.evaluator(other)
    model.pusher(blessing)
    assert model.verdict == listened


@pytest.mark.parametrize(("first", "second", "both"), [(1, 1, 1), (1, 0, 0), (1, None, 1)])
def test_where_no_pusher_took_a_blessing_in_all_must_have_blessed(
    first: int, second: int | None, both: int
) -> None:
    """With a Pusher that has no blessing input, and without any; silence is no verdict."""
    for pushes in (True, False):
        model = Model()
        model.evaluator(first)
        model.evaluator(second)
        if pushes:
            model.pusher()
        assert model.verdict == both


def test_nothing_is_said_where_the_listened_to_validator_is_silent() -> None:
    """What another one said is not what the Pusher waits for."""
    model = Model()
    silent = model.evaluator(None)
    model.evaluator(1)
    model.pusher(silent)
    assert math.isnan(model.verdict)


def test_a_pusher_that_does_not_count_listens_for_nobody() -> None:
    """A staging Pusher behind the lenient Evaluator, and ``pushers`` names the other one."""
    model = Model()
    lenient, strict = model.evaluator(1), model.evaluator(0)
    model.pusher(lenient, node="staging")
    model.pusher(strict, node="production")
    trace = model.build.trace()
    assert verdicts(segment(trace, pushers=["staging"])).tolist() == [1.0]
    assert verdicts(segment(trace, pushers=["production"])).tolist() == [0.0]
    # Both count: a model that one of them refuses is not blessed.
    assert verdicts(segment(trace)).tolist() == [0.0]


def test_an_infra_validator_is_no_model_validator() -> None:
    """Its blessing is a verdict of its own, whichever the Pusher takes in."""
    model = Model()
    blessing = model.evaluator(1)
    infra = model.evaluator(0, "InfraValidator", "InfraBlessing")
    model.pusher(blessing, infra)
    graphlets = segment(model.build.trace())
    assert model.verdict == 1
    assert verdicts(graphlets, Role.INFRA_VALIDATOR).tolist() == [0.0]


def test_a_validator_of_ones_own_counts_as_an_evaluator() -> None:
    """A class that puts out a ModelBlessing, which the Pusher waits for."""
    model = Model()
    model.evaluator(1)
    approval = model.evaluator(0, "acme.Approval")
    model.pusher(approval)
    assert model.verdict == 0


def test_the_blessing_of_another_model_is_not_listened_to() -> None:
    """A Pusher that takes in an old blessing beside the new model: all validators count."""
    build = TraceBuilder()
    blessings: list[int] = []
    for blessed in (1, 0):
        examples, model = build.artifact("Examples"), build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [examples]})
        build.execution("Trainer", inputs={"e": [examples]}, outputs={"m": [model]})
        blessings.append(build.artifact("ModelBlessing", blessed=blessed))
        build.execution("Evaluator", inputs={"m": [model]}, outputs={"b": blessings[-1:]})
        build.execution("Pusher", inputs={"m": [model], "b": blessings[:1]})
    assert verdicts(segment(build.trace())).tolist() == [1.0, 0.0]


def test_what_was_not_known_is_not_listened_to() -> None:
    """Before the Pusher had run nobody knew whom it listens to: all validators count."""
    model = Model()
    blessing = model.evaluator(1)
    model.evaluator(0)
    model.pusher(blessing)
    graphlets = segment(model.build.trace())
    known = np.flatnonzero(graphlets.role[graphlets.executions.index] != Role.PUSHER)
    everything = np.arange(len(graphlets.executions.index))
    query = np.concatenate([np.zeros(len(known)), np.ones(len(everything))]).astype(np.int64)
    entry = np.concatenate([known, everything]).astype(np.int64)
    assert Verdicts.of(graphlets).of_model(query, entry, 3).tolist()[:2] == [0.0, 1.0]


@thorough
@given(rows())
def test_the_verdict_is_that_of_the_rules_sentence(raw: RowBuilder) -> None:
    """Pipelines with several validators, and nonsense: as the reference reads the sentence."""
    graphlets = segment(assemble(raw.rows()))
    reference = reference_of(raw)
    expected = [reference.verdict(trainer) for trainer in graphlets.trainer_id.tolist()]
    assert [None if math.isnan(one) else one for one in verdicts(graphlets)] == expected
