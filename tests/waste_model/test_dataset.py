"""Datasets: the moments of decision and of knowledge, identity, joining."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.waste_model.synthetic import (
    EVALUATOR_MS,
    GEN_MS,
    HOUR_MS,
    PUSHER_MS,
    STATISTICS_MS,
    TRAINER_MS,
    graphlets_of,
    history,
    table_of,
)
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.dataset import Dataset


@pytest.mark.parametrize(
    ("stage", "after_start_ms"),
    [
        (Stage.INPUT, GEN_MS),
        (Stage.PRE, GEN_MS + STATISTICS_MS),
        (Stage.TRAINER, GEN_MS + STATISTICS_MS + TRAINER_MS),
        (Stage.VALIDATION, GEN_MS + STATISTICS_MS + TRAINER_MS + EVALUATOR_MS),
    ],
)
def test_a_decision_is_taken_where_its_gate_stands(stage: Stage, after_start_ms: int) -> None:
    """After ExampleGen, before the Trainer, after it, and after model validation."""
    moments = history("PU", stage=stage).decision_ms
    assert moments.tolist() == [HOUR_MS + after_start_ms, 2 * HOUR_MS + after_start_ms]


def test_an_outcome_is_known_when_the_graphlet_has_ended() -> None:
    """known_ms is the last update of the graphlet's executions."""
    dataset = history("P")
    ends = HOUR_MS + GEN_MS + STATISTICS_MS + TRAINER_MS + EVALUATOR_MS + PUSHER_MS
    assert dataset.known_ms.tolist() == [ends]
    assert dataset.start_ms.tolist() == [HOUR_MS]


def test_labels_are_pushed_and_unpushed_alone() -> None:
    """A failed graphlet has no label."""
    dataset = history("PUF")
    assert dataset.labelled.tolist() == [True, True, False]
    assert dataset.pushed.tolist() == [True, False, False]
    assert len(dataset.only_labelled()) == 2


def test_the_fingerprint_knows_content_and_neither_order_nor_store() -> None:
    """Permuted rows and another store's name keep it; another outcome changes it."""
    dataset = history("PUPU", store="a")
    same = history("PUPU", store="b").take(np.array([2, 0, 3, 1]))
    assert same.fingerprint() == dataset.fingerprint()
    assert history("PUPP", store="a", seed=0).fingerprint() != dataset.fingerprint()


def test_pipelines_of_two_stores_differ_even_by_one_name() -> None:
    """The group is store and pipeline."""
    both = Dataset.concatenate([history("PU", store="a"), history("PU", store="b")])
    assert len(np.unique(both.group)) == 2
    assert set(both.sources) == {"a", "b"}


def test_a_store_may_be_given_once() -> None:
    """Concatenating a store with itself would count its outcomes twice."""
    with pytest.raises(InvalidArgumentError, match="only once"):
        Dataset.concatenate([history("PU"), history("PU")])


def test_stores_that_were_cut_otherwise_are_not_put_together() -> None:
    """Roles of several stores add up; other pushers, or two roles of a class, are refused."""

    def cut(store: str, role: Role | None = None, pushers: list[str] | None = None) -> Dataset:
        declared = Declared.of({"Fit": role} if role else {store: Role.TUNER}, pushers)
        return dataclasses.replace(history("PU", store=store), declared=declared)

    both = Dataset.concatenate([cut("a", Role.TRAINER), cut("b")])
    assert both.declared == Declared({"Fit": Role.TRAINER, "b": Role.TUNER})
    for other in (cut("b", Role.TUNER), cut("b", Role.TRAINER, ["Production"])):
        with pytest.raises(InvalidArgumentError, match="same roles and pushers"):
            Dataset.concatenate([cut("a", Role.TRAINER), other])


def test_the_features_must_be_those_of_the_graphlets() -> None:
    """A table of other Trainers is refused."""
    graphlets = graphlets_of("PU")
    table = table_of(graphlets.trainer_id + 1, [True, False], 1.0, 0)
    with pytest.raises(InvalidArgumentError, match="table"):
        Dataset.from_graphlets(graphlets, table)


def test_skips_are_told_per_store_and_graphlet() -> None:
    """Rows in any order become one mask per source, aligned with its graphlets."""
    both = Dataset.concatenate([history("PU", store="a"), history("UUP", store="b")])
    turned = both.take(np.arange(len(both))[::-1])
    skips = turned.skips_by_store(np.array([False, False, True, True, False]))
    assert {name: mask.tolist() for name, mask in skips.items()} == {
        "a": [False, True],
        "b": [True, False, False],
    }
