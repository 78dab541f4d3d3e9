"""Group evaluation: verdicts and margins of the preceding graphlets and of the own model."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.features.memory_payloads import metrics
from tests.features.runs import EVAL_CONFIG, FAILED, Runs, some
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage


def test_margins_of_the_preceding_evaluations() -> None:
    """Thresholds 0.6 on the value and 0.01 on the change: margins, trend and failures."""
    runs = Runs()
    runs.run(metrics=metrics(0.80, 0.70), pushed=True)
    runs.run(metrics=metrics(0.78, 0.79), pushed=False)
    runs.run(metrics=metrics(0.50, 0.76), pushed=False)
    runs.run()
    assert some(
        runs.last(Stage.INPUT), "evaluation", "metric_1", "baseline_1", "value_margin_1",
        "change_margin_1", "change_margin_2", "change_margin_3", "change_margin_mean",
        "change_margin_trend", "value_failures_5", "change_failures_5", "baseline_decay",
    ) == {
        name: pytest.approx(value)
        for name, value in {
            "metric_1": 0.50, "baseline_1": 0.76, "value_margin_1": -0.10,
            "change_margin_1": -0.27, "change_margin_2": -0.02, "change_margin_3": 0.09,
            "change_margin_mean": -0.2 / 3, "change_margin_trend": -0.18,
            "value_failures_5": 1 / 3, "change_failures_5": 2 / 3, "baseline_decay": 0.04,
        }.items()
    }  # fmt: skip


def test_a_throttled_push_is_told_from_a_failed_validation() -> None:
    """A blessed model that was not pushed counts as blessed and not pushed."""
    runs = Runs()
    runs.run(pushed=True)
    runs.run(pushed=False, blessed=True)
    runs.run()
    assert some(
        runs.last(Stage.INPUT), "evaluation", "blessed_1", "blessed_2", "blessed_3",
        "blessed_rate_5", "runs_since_blessed", "blessed_not_pushed_1", "blessed_not_pushed_5",
    ) == {
        "blessed_1": 1.0, "blessed_2": 1.0, "blessed_3": None, "blessed_rate_5": 1.0,
        "runs_since_blessed": 0.0, "blessed_not_pushed_1": 1.0, "blessed_not_pushed_5": 0.5,
    }  # fmt: skip


def test_a_graphlet_without_an_evaluation_is_passed_over() -> None:
    """A failed Trainer leaves no verdict; the margins are those of the graphlet before it."""
    runs = Runs()
    runs.run(metrics=metrics(0.9, 0.7))
    runs.run(trainer_state=FAILED)
    runs.run()
    assert some(runs.last(Stage.INPUT), "evaluation", "blessed_1", "blessed_2", "metric_1") == {
        "blessed_1": None, "blessed_2": 1.0, "metric_1": 0.9,
    }  # fmt: skip


def test_the_own_evaluation_is_known_at_validation_only() -> None:
    """Before stage validation the graphlet's own metrics are no features."""
    runs = Runs()
    runs.run(metrics=metrics(0.7, 0.6))
    runs.run(metrics=metrics(0.75, 0.7), pushed=False)
    assert some(
        runs.last(), "evaluation", "blessed", "metric", "metric_gain", "value_margin",
        "change_margin", "infra_blessed",
    ) == {
        "blessed": 0.0, "metric": 0.75, "metric_gain": pytest.approx(0.05),
        "value_margin": pytest.approx(0.15), "change_margin": pytest.approx(0.04),
        "infra_blessed": None,
    }  # fmt: skip
    assert "evaluation.blessed" not in runs.last(Stage.TRAINER)


def test_margins_are_missing_without_payloads() -> None:
    """The verdicts stand in the store; what the metrics were is gone with the files."""
    runs = Runs()
    runs.run()
    runs.run()
    assert some(runs.last(), "evaluation", "blessed_1", "metric_1", "change_margin_1") == {
        "blessed_1": 1.0, "metric_1": None, "change_margin_1": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("demand", "margin", "passes"), [("0.01", -0.01, 0.0), ("0.0", 0.0, 1.0), ("-0.1", 0.1, 1.0)]
)
def test_a_model_like_the_serving_one_passes_where_a_tie_is_enough(
    demand: str, margin: float, passes: float
) -> None:
    """The latest known change threshold, 0 less the gain that it asks for."""
    runs = Runs()
    runs.run(eval_config=EVAL_CONFIG.replace("0.01", demand))
    runs.run()
    assert some(runs.last(Stage.INPUT), "evaluation", "clone_margin", "clone_passes") == {
        "clone_margin": pytest.approx(margin), "clone_passes": passes,
    }  # fmt: skip


def test_a_config_without_change_threshold_counts_once_there_was_a_baseline() -> None:
    """TFX drops change thresholds where it has no baseline: the first evaluation says nothing."""
    runs = Runs()
    value_only = EVAL_CONFIG.replace("change_threshold", "nothing")
    for _ in range(3):
        runs.run(eval_config=value_only)
    table = runs.table(Stage.INPUT)
    assert [table.row(n)["evaluation.clone_passes"] for n in range(3)] == [None, None, 1.0]
    assert table.row(2)["evaluation.clone_margin"] is None


def test_a_blessed_model_that_was_not_compared_since_has_not_decayed() -> None:
    """Its decay is 0 until it is a baseline, and then what the baseline lost."""
    runs = Runs()
    runs.run(metrics=metrics(0.8, 0.7))
    runs.run(metrics=metrics(0.7, 0.75), pushed=False)
    runs.run()
    table = runs.table(Stage.INPUT)
    decay = [table.row(n)["evaluation.baseline_decay"] for n in range(3)]
    assert decay == [None, 0.0, pytest.approx(0.05)]


@pytest.mark.parametrize("listened", [1, 0])
def test_of_two_evaluators_the_one_that_the_pusher_listens_to_is_described(listened: int) -> None:
    """Verdict, margins and thresholds; the other one ran later, with a demand of its own."""
    runs = Runs()
    for _ in range(2):
        run = runs.run(pushed=bool(listened), metrics=metrics(0.8, 0.7))
        beside, name = f"beside-{runs.count}", f"p-run-{runs.count}"
        runs.payloads.put(beside, "metrics-00000-of-00001.tfrecord", metrics(0.6, 0.7))
        runs.build.execution(
            "Evaluator", inputs={"model": [run.model]}, outputs={
                "blessing": [runs.build.artifact("ModelBlessing", blessed=1 - listened)],
                "evaluation": [runs.build.artifact("ModelEvaluation", uri=beside)],
            },
            eval_config=EVAL_CONFIG.replace("0.01", "0.5"), node="p.beside", run=name, pipeline="p",
        )  # fmt: skip
    runs.run()
    names = ("blessed_1", "metric_1", "change_margin_1", "clone_margin")
    assert some(runs.last(Stage.INPUT), "evaluation", *names) == {
        "blessed_1": float(listened), "metric_1": 0.8, "change_margin_1": pytest.approx(0.09),
        "clone_margin": pytest.approx(-0.01),
    }  # fmt: skip
    by_columns = describe(segment(runs.build.trace()), Stage.INPUT).row(2)
    assert some(by_columns, "evaluation", "blessed_1", "clone_margin") == {
        "blessed_1": float(listened), "clone_margin": pytest.approx(-0.01),
    }  # fmt: skip


def judged_run(build: TraceBuilder, run: str, verdicts: Mapping[str, int], listens_to: str) -> None:
    """A run with an Evaluator of each node, and a Pusher that takes in what one of them said."""
    where = {"pipeline": "p", "run": run}
    examples, model = build.artifact("Examples"), build.artifact("Model")
    build.execution("CsvExampleGen", outputs={"examples": [examples]}, **where)
    build.execution(
        "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, node="p.Trainer",
        **where,
    )  # fmt: skip
    blessings = {}
    for node, blessed in verdicts.items():
        blessings[node] = build.artifact("ModelBlessing", blessed=blessed)
        build.execution(
            "Evaluator", inputs={"model": [model]}, outputs={"blessing": [blessings[node]]},
            node=f"p.{node}", **where,
        )  # fmt: skip
    heard = [blessings[listens_to]] if listens_to else []
    build.execution(
        "Pusher", inputs={"model": [model], "model_blessing": heard},
        outputs={"pushed_model": [build.artifact("PushedModel", pushed=0)]},
        node="p.Pusher", **where,
    )  # fmt: skip


def test_before_the_pusher_the_evaluators_that_it_has_listened_to_count() -> None:
    """At first all of them; then those of the latest run in which it took a blessing in."""
    build = TraceBuilder()
    strict, lenient = {"strict": 1, "lenient": 0}, {"strict": 0, "lenient": 1}
    judged_run(build, "r0", strict, "strict")
    judged_run(build, "r1", strict, "")
    judged_run(build, "r2", lenient, "lenient")
    judged_run(build, "r3", lenient, "lenient")
    judged_run(build, "r4", {"strict": 0}, "strict")
    table = describe(segment(build.trace()), Stage.VALIDATION)
    found = [table.row(row)["evaluation.blessed"] for row in range(5)]
    assert found == [0.0, 1.0, 0.0, 1.0, 0.0]
