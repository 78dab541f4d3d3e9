"""Training: honest scores in the order of time, splits, and what is too little."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.waste_model.synthetic import HOUR_MS, coin_flips, history
from tfx_graphlets.errors import InvalidArgumentError, NotEnoughHistoryError
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.training import (
    ForwardChaining,
    forward_blocks,
    forward_scores,
    time_split,
    train_waste_model,
    transfer_scores,
)

pytest.importorskip("ydf")

SMALL = LearnerSettings(trees=40)


def test_blocks_cover_what_follows_the_initial_share_once() -> None:
    """Over 100 rows the blocks are consecutive and end with the last."""
    blocks = list(forward_blocks(100, ForwardChaining(initial_share=0.3, blocks=7)))
    assert blocks[0].start == 30
    assert blocks[-1].stop == 100
    assert all(one.stop == other.start for one, other in zip(blocks[:-1], blocks[1:]))


def test_scores_of_the_past_do_not_depend_on_the_future() -> None:
    """Turning every outcome of the last 30 graphlets around leaves earlier scores as they were."""
    dataset = history(coin_flips(90, seed=2))
    turned = np.array(dataset.outcome)
    turned[60:] = np.where(turned[60:] == Outcome.PUSHED, Outcome.UNPUSHED, Outcome.PUSHED)
    before = forward_scores(dataset, 0, settings=SMALL)
    after = forward_scores(
        dataclasses.replace(dataset, outcome=turned, needed_ms=None), 0, settings=SMALL
    )
    assert np.array_equal(before[:60], after[:60], equal_nan=True)
    assert np.isnan(before[:18]).all()
    assert not np.isnan(before[18:]).any()
    assert not np.array_equal(before[75:], after[75:])


def test_an_outcome_that_was_not_yet_known_is_not_learnt_from() -> None:
    """If outcomes become known a year later, nothing can be scored."""
    dataset = history(coin_flips(60, seed=2))
    late = dataclasses.replace(dataset, known_ms=dataset.known_ms + 365 * 24 * HOUR_MS)
    assert np.isnan(forward_scores(late, 0, settings=SMALL)).all()


def test_the_order_of_rows_does_not_matter() -> None:
    """Permuted rows get the scores of the same graphlets, and make the same model."""
    dataset = history(coin_flips(60, seed=2))
    order = np.random.default_rng(0).permutation(60)
    straight = forward_scores(dataset, 0, settings=SMALL)
    permuted = forward_scores(dataset.take(order), 0, settings=SMALL)
    assert np.array_equal(permuted, straight[order], equal_nan=True)
    models = [
        train_waste_model(rows, Stage.PRE, 0.9, settings=SMALL)
        for rows in (dataset, dataset.take(order))
    ]
    assert models[0].fingerprint == models[1].fingerprint


def test_transfer_scores_are_of_forests_that_saw_other_pipelines_or_earlier_blocks() -> None:
    """Outcomes of a pipeline's last fifth change no score of its own earlier ones."""
    parts = [history(coin_flips(40, seed=at), seed=at, store=f"store-{at}") for at in range(3)]
    dataset = Dataset.concatenate(parts)
    scores = transfer_scores(dataset, 0, settings=SMALL)
    assert not np.isnan(scores).any()
    turned = np.array(dataset.outcome)
    turned[32:40] = np.where(turned[32:40] == Outcome.PUSHED, Outcome.UNPUSHED, Outcome.PUSHED)
    changed = dataclasses.replace(dataset, outcome=turned, needed_ms=None)
    after = transfer_scores(changed, 0, settings=SMALL)
    assert np.array_equal(scores[:40], after[:40])
    assert not np.array_equal(scores[40:], after[40:])
    alone = transfer_scores(parts[0], 0, settings=SMALL)
    # A pipeline alone has its first two fifths, 16 graphlets, to begin with.
    assert np.isnan(alone[:8]).all()
    assert not np.isnan(alone[16:]).any()


@pytest.mark.parametrize(("stores", "forests"), [(1, 9), (3, 16)])
def test_each_forest_is_told_before_it_is_grown(stores: int, forests: int) -> None:
    """Eight blocks of one pipeline, five of each of three; and the final forest."""
    parts = [history(coin_flips(40, seed=at), seed=at, store=f"s{at}") for at in range(stores)]
    told: list[tuple[int, int]] = []
    train_waste_model(
        Dataset.concatenate(parts), Stage.PRE, 0.9, settings=LearnerSettings(trees=2),
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(number, forests) for number in range(forests)]


def test_shuffled_labels_cannot_be_learnt() -> None:
    """With labels that have nothing to do with features, balanced accuracy is 0.5 within noise."""
    accuracies = []
    for seed in range(6):
        dataset = history(coin_flips(120, seed=seed, push_rate=0.5), strength=3.0, seed=seed)
        shuffled = np.random.default_rng(seed + 100).permutation(dataset.outcome)
        dataset = dataclasses.replace(dataset, outcome=shuffled, needed_ms=None)
        scores = forward_scores(dataset, seed, settings=SMALL)
        scored = ~np.isnan(scores)
        accuracies.append(metrics.balanced_accuracy(dataset.pushed[scored], scores[scored] >= 0.5))
    # Standard deviation of one is about 0.5 / sqrt(96), of the mean of six 0.021.
    assert abs(float(np.mean(accuracies)) - 0.5) < 3 * 0.021


def test_true_labels_are_learnt() -> None:
    """The same harness with the true labels reaches a balanced accuracy above 0.8."""
    dataset = history(coin_flips(120, seed=0, push_rate=0.5), strength=3.0)
    scores = forward_scores(dataset, 0, settings=SMALL)
    scored = ~np.isnan(scores)
    assert metrics.balanced_accuracy(dataset.pushed[scored], scores[scored] >= 0.5) > 0.8


@pytest.mark.parametrize("outcomes", ["", "F", "PU", "P" * 30, "U" * 30, "U" * 30 + "P"])
def test_too_little_history_is_an_error_with_the_counts(outcomes: str) -> None:
    """Too few labels, or one outcome alone, cannot be learnt from."""
    dataset = history(outcomes) if outcomes else history("P").take(np.zeros(0, np.int64))
    with pytest.raises(NotEnoughHistoryError) as caught:
        train_waste_model(dataset, Stage.PRE, 0.9, settings=SMALL)
    assert (caught.value.pushed, caught.value.unpushed) == (
        outcomes.count("P"),
        outcomes.count("U"),
    )


def test_another_stage_is_refused() -> None:
    """The stage asked for must be that of the features."""
    with pytest.raises(InvalidArgumentError, match="stage"):
        train_waste_model(history("PU" * 10), Stage.INPUT, 0.9)


def test_a_failed_graphlet_teaches_nothing() -> None:
    """The model is the same with and without the failed graphlets."""
    outcomes = coin_flips(40, seed=3)
    dataset = history(outcomes[:20] + "FFF" + outcomes[20:])
    with_failed = train_waste_model(dataset, Stage.PRE, 0.9, settings=SMALL)
    without = train_waste_model(dataset.only_labelled(), Stage.PRE, 0.9, settings=SMALL)
    assert with_failed.fingerprint == without.fingerprint


def test_a_time_split_trains_on_nothing_that_ends_after_the_first_test_row() -> None:
    """What was not yet known at the first test decision is in neither part."""
    dataset = Dataset.concatenate([history("PUPU", store="a"), history("PUP", store="b")])
    slow = dataclasses.replace(dataset, known_ms=dataset.known_ms + 3 * HOUR_MS // 2)
    train, test = time_split(slow, 0.6)
    assert len(test) == 3
    assert len(train) == 2
    assert slow.known_ms[train].max() < slow.decision_ms[test].min()
