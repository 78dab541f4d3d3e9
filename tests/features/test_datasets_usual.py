"""Group input_data, what is usual: the newest span by the pipeline's own measure."""

from __future__ import annotations

import pytest

from tests.features.memory_payloads import MemoryPayloads, statistics
from tests.features.runs import Runs, some
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage


def runs_of(*shifts_and_examples: tuple[float, int], missing: int = 0) -> Runs:
    """A run per span: its feature's mean, of deviation 1, and its number of examples.

    In the last, so many examples lack the feature.
    """
    runs = Runs()
    for span, (mean, examples) in enumerate(shifts_and_examples):
        last = span == len(shifts_and_examples) - 1
        content = statistics(
            examples=examples, numbers={"x": (mean - 1.0, mean + 1.0)},
            missing={"x": missing if last else 0},
        )  # fmt: skip
        runs.run(span=span, statistics=content)
    return runs


def test_a_shift_is_measured_by_what_is_usual() -> None:
    """Means that moved by 1, 2, 1, 2 and then by 6 moved 4 times as far as usual."""
    runs = runs_of(*((mean, 100) for mean in (0.0, 1.0, 3.0, 4.0, 6.0, 12.0)))
    assert runs.last(Stage.PRE)["input_data.newest_shift_ratio"] == pytest.approx(4.0)


def test_examples_are_counted_in_deviations() -> None:
    """Spans of 90 and 110 examples in turn, then one of 60: four deviations below."""
    runs = runs_of(*((0.0, examples) for examples in (90, 110, 90, 110, 60)))
    assert runs.last(Stage.PRE)["input_data.newest_examples_z"] == pytest.approx(-4.0)


def test_few_spans_have_no_usual() -> None:
    """Three earlier spans are too few; so are four that are all the same."""
    names = ("newest_shift_ratio", "newest_examples_z")
    for count in (4, 5):
        row = runs_of(*((0.0, 100) for _ in range(count))).last(Stage.PRE)
        assert some(row, "input_data", *names) == dict.fromkeys(names)


@pytest.mark.parametrize(("missing", "lost"), [(0, 0.0), (50, 0.0), (95, 1.0)])
def test_a_feature_is_lost_when_hardly_an_example_has_it(missing: int, lost: float) -> None:
    """Over nine in ten are missing where less than one in ten was in the last blessed's data."""
    runs = runs_of((0.0, 100), (0.0, 100), missing=missing)
    assert runs.last(Stage.PRE)["input_data.features_lost"] == lost


def test_a_span_without_a_number_is_found_again() -> None:
    """Two Trainers on one Examples artifact of no span: the second one's span is not earlier."""
    build, payloads = TraceBuilder(), MemoryPayloads()
    payloads.put("s", "Split-train/FeatureStats.pb", statistics(numbers={"x": (0.0, 1.0)}))
    data, stats = build.artifact("Examples"), build.artifact("ExampleStatistics", uri="s")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, pipeline="p")
    build.execution(
        "StatisticsGen", inputs={"examples": [data]}, outputs={"statistics": [stats]}, pipeline="p"
    )
    for _ in range(2):
        model = build.artifact("Model")
        build.execution(
            "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, pipeline="p"
        )
    table = describe(segment(build.trace()), Stage.PRE, payloads=payloads)
    assert some(table.row(1), "input_data", "examples", "newest_examples_z") == {
        "examples": 100.0, "newest_examples_z": None,
    }  # fmt: skip
