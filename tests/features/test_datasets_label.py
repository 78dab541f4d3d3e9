"""Group input_data, the label: its rate in the newest span and against the last blessed."""

from __future__ import annotations

import json

import pytest

from tests.features.memory_payloads import statistics
from tests.features.runs import EVAL_CONFIG, Runs, some
from tfx_graphlets.payloads.similarity import rate_divergence
from tfx_graphlets.vocabulary import Stage

NAMES = ("label_newest", "label_newest_z", "label_newest_shift_blessed", "label_gain")


def config(label: str | None) -> str:
    """An EvalConfig that names the label."""
    content = json.loads(EVAL_CONFIG)
    content["model_specs"] = [{} if label is None else {"label_key": label}]
    return json.dumps(content)


def runs_of(*rates: float, label: str | None = "delayed") -> Runs:
    """A run per rate of the label in its newest span, each trained on that and the one before."""
    runs, window = Runs(), ()
    for span, rate in enumerate(rates):
        content = statistics(numbers={"delayed": (0.0, 2 * rate)})
        made = runs.run(
            span=span, window=window, statistics=content, eval_config=config(label),
            pushed=span != 1,
        )  # fmt: skip
        window = (made.examples,)
    return runs


def test_the_labels_rate_is_compared_with_the_last_blessed() -> None:
    """Rates 0.2 then 0.4 alone, blessed on the first: half of what the newest moved is learned."""
    runs = runs_of(0.2, 0.4, 0.4)
    row = runs.table(Stage.PRE).row(1)
    gain = rate_divergence(0.4, 0.2) - rate_divergence(0.4, 0.3)
    assert some(row, "input_data", *NAMES) == {
        "label_newest": pytest.approx(0.4), "label_newest_z": None,
        "label_newest_shift_blessed": pytest.approx(0.2), "label_gain": pytest.approx(gain),
    }  # fmt: skip


def test_the_newest_rate_is_told_in_deviations_of_the_earlier() -> None:
    """Four spans of 0.1 and 0.3 in turn, then 0.5: three deviations of 0.1 above their mean."""
    row = runs_of(0.1, 0.3, 0.1, 0.3, 0.5).last(Stage.PRE)
    assert row["input_data.label_newest_z"] == pytest.approx(3.0)


def test_without_an_earlier_evaluation_the_label_is_not_known() -> None:
    """The first run does not know its label's name, and one whose configs name none never does."""
    assert runs_of(0.2).last(Stage.PRE)["input_data.label_newest"] is None
    assert runs_of(0.2, 0.4, label=None).last(Stage.PRE)["input_data.label_newest"] is None
    assert runs_of(0.2, 0.4, label="absent").last(Stage.PRE)["input_data.label_newest"] is None


def test_a_transformed_label_is_found_by_its_raw_name() -> None:
    """``delayed_xf`` is what TFX's templates make of ``delayed``."""
    row = runs_of(0.2, 0.4, label="delayed_xf").last(Stage.PRE)
    assert row["input_data.label_newest"] == pytest.approx(0.4)


def test_a_label_that_is_no_rate_has_no_divergence() -> None:
    """Means of 3 and 5 are compared, and their divergence is missing."""
    row = runs_of(3.0, 5.0).last(Stage.PRE)
    assert row["input_data.label_newest_shift_blessed"] == pytest.approx(2.0)
    assert row["input_data.label_gain"] is None


@pytest.mark.parametrize(("rate", "reference"), [(0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_divergence_is_finite_and_not_negative(rate: float, reference: float) -> None:
    """Rates of 0 and 1 are clipped; equal rates diverge by nothing."""
    divergence = rate_divergence(rate, reference)
    assert 0.0 <= divergence < 7.0
    assert (divergence == 0.0) == (rate == reference)
