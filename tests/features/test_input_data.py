"""Group input_data: spans, sizes, statistics, anomalies, schema."""

from __future__ import annotations

import pytest

from tests.features.memory_payloads import anomalies, schema, statistics
from tests.features.runs import Runs, some
from tfx_graphlets.vocabulary import Stage

NUMBERS = {"x": (0.0, 1.0, 2.0, 3.0, 4.0)}


def test_the_first_graphlet_has_no_one_to_compare_with() -> None:
    """Without an earlier graphlet the spans are counted and every comparison is missing."""
    runs = Runs()
    runs.run(span=9, size=70)
    row = runs.last(Stage.INPUT)
    known = {name for name, value in row.items() if value is not None}
    assert {name: row[name] for name in known if name.startswith("input_data.")} == {
        "input_data.spans": 1.0,
        "input_data.span_weekday": 2.0,
        "input_data.missing_spans": 0.0,
        "input_data.bytes": 70.0,
    }  # fmt: skip


def test_a_rolling_window_is_compared_by_its_spans() -> None:
    """Spans 1,2 then 2,3 then 3,5: Jaccard, new spans, steps and gaps follow from the sets."""
    runs = Runs()
    first = runs.run(span=1, pushed=True)
    second = runs.run(span=2, window=(first.examples,), pushed=True)
    third = runs.run(span=3, window=(second.examples,), pushed=False)
    runs.run(span=5, window=(third.examples,))
    assert some(
        runs.last(Stage.INPUT), "input_data", "spans", "jaccard_1", "jaccard_2", "jaccard_3",
        "jaccard_pushed", "new_spans", "new_spans_since_push", "unseen_spans", "span_step",
        "span_step_since_push", "missing_spans", "span_weekday",
    ) == {
        "spans": 2.0, "jaccard_1": pytest.approx(1 / 3), "jaccard_2": 0.0, "jaccard_3": 0.0,
        "jaccard_pushed": 0.0, "new_spans": 1.0, "new_spans_since_push": 2.0,
        "unseen_spans": 1.0, "span_step": 2.0, "span_step_since_push": 3.0,
        "missing_spans": 1.0, "span_weekday": 5.0,
    }  # fmt: skip


def test_equal_content_is_the_same_span() -> None:
    """A re-run ingests the same files into a new artifact: the span is not new."""
    runs = Runs()
    runs.run(span=1, size=50)
    runs.run(span=1, size=50)
    assert some(runs.last(), "input_data", "jaccard_1", "new_spans") == {
        "jaccard_1": 1.0, "new_spans": 0.0,
    }  # fmt: skip


def test_late_data_of_the_same_span_is_other_content() -> None:
    """The same span number with more bytes is a new span that is no step forward."""
    runs = Runs()
    runs.run(span=1, size=50)
    runs.run(span=1, size=80)
    assert some(runs.last(), "input_data", "jaccard_1", "new_spans", "span_step") == {
        "jaccard_1": 0.0, "new_spans": 1.0, "span_step": 0.0,
    }  # fmt: skip


def test_spans_without_a_fingerprint_are_told_apart_by_artifact() -> None:
    """Examples of an old TFX, without fingerprint, are the same only as the same artifact."""
    runs = Runs()
    build = runs.build
    for _ in range(2):
        data, model = build.artifact("Examples"), build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [data]}, run=f"r{data}")
        build.execution(
            "Trainer", inputs={"examples": [data]}, outputs={"m": [model]}, run=f"r{data}"
        )
    assert some(runs.last(), "input_data", "spans", "jaccard_1", "bytes") == {
        "spans": 1.0, "jaccard_1": 0.0, "bytes": None,
    }  # fmt: skip


def test_sizes_are_compared_with_what_was_usual() -> None:
    """Partial data shows as a small ratio to the previous, the pushed and the mean size."""
    runs = Runs()
    runs.run(span=1, size=100, pushed=True)
    runs.run(span=2, size=300, pushed=False)
    runs.run(span=3, size=50)
    assert some(
        runs.last(), "input_data", "bytes", "bytes_ratio_1", "bytes_ratio_pushed",
        "bytes_ratio_mean", "newest_bytes_ratio",
    ) == {
        "bytes": 50.0, "bytes_ratio_1": pytest.approx(1 / 6), "bytes_ratio_pushed": 0.5,
        "bytes_ratio_mean": 0.25, "newest_bytes_ratio": 0.25,
    }  # fmt: skip


def test_statistics_are_compared_over_the_window() -> None:
    """Examples add up over spans; equal distributions are similar, shifted ones are not."""
    runs = Runs()
    first = runs.run(span=1, statistics=statistics(examples=100, numbers=NUMBERS))
    runs.run(
        span=2, window=(first.examples,),
        statistics=statistics(examples=300, numbers={"x": (10.0, 11.0, 12.0, 13.0, 14.0)}),
    )  # fmt: skip
    row = runs.last(Stage.PRE)
    assert some(
        row, "input_data", "examples", "examples_ratio_1", "similarity_1", "newest_similarity"
    ) == {
        "examples": 400.0, "examples_ratio_1": 4.0, "similarity_1": pytest.approx(0.5),
        "newest_similarity": pytest.approx(0.0),
    }  # fmt: skip
    deviation = 2**0.5
    assert row["input_data.mean_shift_newest"] == pytest.approx(10 / deviation)
    assert row["input_data.mean_shift_1"] == pytest.approx(7.5 / deviation)


def test_a_column_that_went_missing_shows() -> None:
    """The rise of a missing share is that of the feature with the largest."""
    runs = Runs()
    runs.run(span=1, statistics=statistics(numbers=NUMBERS, words={"w": {"a": 100}}))
    runs.run(
        span=2, statistics=statistics(numbers=NUMBERS, words={"w": {"a": 60}}, missing={"w": 40})
    )
    assert some(runs.last(), "input_data", "missing_rise_1", "missing_rise_newest") == {
        "missing_rise_1": pytest.approx(0.4), "missing_rise_newest": pytest.approx(0.4),
    }  # fmt: skip


def test_comparison_is_missing_where_a_payload_is_gone() -> None:
    """One span without statistics makes every comparison of the window missing."""
    runs = Runs()
    runs.run(span=1)
    runs.run(span=2, statistics=statistics(numbers=NUMBERS))
    assert some(runs.last(), "input_data", "examples", "similarity_1", "mean_shift_1") == {
        "examples": 100.0, "similarity_1": None, "mean_shift_1": None,
    }  # fmt: skip


def test_anomalies_are_counted_over_the_window_and_for_the_newest_span() -> None:
    """Two anomalies in an earlier span and one in the newest make three and one."""
    runs = Runs()
    first = runs.run(span=1, anomalies=anomalies("a", "b"))
    runs.run(span=2, window=(first.examples,), anomalies=anomalies("a"))
    assert some(runs.last(Stage.PRE), "input_data", "anomalies", "newest_anomalies") == {
        "anomalies": 3.0, "newest_anomalies": 1.0,
    }  # fmt: skip


def test_schema_change_names_what_came_and_went() -> None:
    """Against the previous schema one feature was added and one removed; the pushed one differs."""
    runs = Runs()
    runs.run(schema=schema(a="INT", b="INT"), pushed=True)
    runs.run(schema=schema(a="INT", c="INT"), pushed=False)
    runs.run(schema=schema(a="INT", c="INT"))
    names = ("schema_changed_1", "schema_features_added", "schema_features_removed")
    table = runs.table(Stage.PRE)
    assert some(table.row(1), "input_data", *names, "schema_changed_pushed") == {
        "schema_changed_1": 1.0, "schema_features_added": 1.0, "schema_features_removed": 1.0,
        "schema_changed_pushed": 1.0,
    }  # fmt: skip
    assert some(table.row(2), "input_data", *names, "schema_changed_pushed") == {
        "schema_changed_1": 0.0, "schema_features_added": 0.0, "schema_features_removed": 0.0,
        "schema_changed_pushed": 1.0,
    }  # fmt: skip


def test_new_bytes_are_counted_against_the_last_blessed() -> None:
    """Of spans of 100 and 300 bytes the larger is new since the last blessed, pushed or not."""
    runs = Runs()
    first = runs.run(span=1, size=100, pushed=False, blessed=True)
    second = runs.run(span=2, size=300, window=(first.examples,), pushed=False)
    runs.run(span=3, size=100, window=(second.examples,))
    table = runs.table(Stage.INPUT)
    shares = [table.row(n)["input_data.new_bytes_share_blessed"] for n in range(3)]
    assert shares == [None, 0.75, 1.0]
