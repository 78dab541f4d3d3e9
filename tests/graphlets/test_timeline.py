"""decision_moment: when a gate at each stage would have decided."""

from __future__ import annotations

import numpy as np

from tests.features.runs import FAILED, Runs
from tfx_graphlets.features import decision_moment
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage


def _moments(build: TraceBuilder, number: int = 0) -> list[int]:
    graphlets = segment(build.trace())
    return [int(decision_moment(graphlets, stage)[number]) for stage in Stage]


def test_a_run_in_order() -> None:
    """After ExampleGen, before the Trainer, after it, and after the Evaluator, a second each."""
    runs = Runs()
    start = runs.build.clock_ms
    runs.run()
    assert [moment - start for moment in _moments(runs.build)] == [1000, 5000, 6000, 7000]


def test_without_validation_the_last_two_moments_are_one() -> None:
    """A graphlet that ends with its Trainer is decided about when that ended."""
    runs = Runs()
    runs.run(trainer_state=FAILED)
    moments = _moments(runs.build)
    assert moments[2] == moments[3]


def test_analysis_of_an_earlier_run_does_not_set_the_moment() -> None:
    """With a window over two runs the input gate stands in the second run."""
    runs = Runs()
    first = runs.run(span=1)
    start = runs.build.clock_ms
    runs.run(span=2, window=(first.examples,))
    assert _moments(runs.build, 1)[0] - start == 1000


def test_validators_after_the_first_pusher_do_not_count() -> None:
    """An Evaluator that runs on the pushed model again has no say in the push."""
    runs = Runs()
    run = runs.run()
    before = _moments(runs.build)[3]
    late = runs.build.artifact("ModelEvaluation")
    runs.build.execution("Evaluator", inputs={"model": [run.model]}, outputs={"e": [late]})
    assert _moments(runs.build)[3] == before


def test_moments_never_go_back() -> None:
    """Each stage's moment is at or after that of the stage before, overlapping or not."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    build.execution("CsvExampleGen", outputs={"e": [data]}, run="r", duration_ms=9000)
    build.execution(
        "Trainer", inputs={"e": [data]}, outputs={"m": [model]}, run="r",
        create_ms=build.clock_ms - 5000,
    )  # fmt: skip
    assert (np.diff(_moments(build)) >= 0).all()
