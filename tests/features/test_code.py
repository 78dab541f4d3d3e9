"""Group code: whether the code changed, and how it fared."""

from __future__ import annotations

from tests.features.memory_payloads import metrics
from tests.features.runs import CODE, OTHER_CODE, Runs, some
from tfx_graphlets.vocabulary import Stage

COMPARED = ("same_1", "same_pushed", "runs", "pushes", "push_share", "last_pushed")


def _of(whose: str, row: dict[str, float | str | None]) -> dict[str, object]:
    return some(row, "code", *(f"{whose}_{name}" for name in COMPARED))


def test_the_fate_of_the_same_code_is_told() -> None:
    """Code a was pushed, b unpushed twice: a third run of b knows how b did."""
    runs = Runs()
    runs.run(code=CODE, pushed=True)
    runs.run(code=OTHER_CODE, pushed=False)
    runs.run(code=OTHER_CODE, pushed=False)
    runs.run(code=OTHER_CODE)
    assert _of("transform", runs.last(Stage.PRE)) == {
        "transform_same_1": 1.0, "transform_same_pushed": 0.0, "transform_runs": 2.0,
        "transform_pushes": 0.0, "transform_push_share": 0.0, "transform_last_pushed": 0.0,
    }  # fmt: skip


def test_new_code_has_no_past() -> None:
    """A hash that was never seen has no runs, and its push share is missing."""
    runs = Runs()
    runs.run(code=CODE)
    runs.run(code=OTHER_CODE)
    assert _of("trainer", runs.last()) == {
        "trainer_same_1": 0.0, "trainer_same_pushed": 0.0, "trainer_runs": 0.0,
        "trainer_pushes": 0.0, "trainer_push_share": None, "trainer_last_pushed": None,
    }  # fmt: skip


def test_at_input_only_the_previous_code_is_known() -> None:
    """Before Transform runs the features are about the previous graphlet's code."""
    runs = Runs()
    runs.run(code=CODE, pushed=True)
    runs.run(code=OTHER_CODE, pushed=False)
    runs.run(code="c" * 64)
    row = runs.last(Stage.INPUT)
    assert _of("previous", row) == {
        "previous_same_1": 0.0, "previous_same_pushed": 0.0, "previous_runs": 1.0,
        "previous_pushes": 0.0, "previous_push_share": 0.0, "previous_last_pushed": 0.0,
    }  # fmt: skip
    assert "code.transform_same_1" not in row


def test_the_trainers_code_is_no_feature_before_it_runs() -> None:
    """Stage pre has the hash of Transform and not that of the Trainer."""
    runs = Runs()
    runs.run()
    names = {feature.name for feature in runs.table(Stage.PRE).features}
    assert "code.transform_same_1" in names
    assert "code.trainer_same_1" not in names


def test_a_path_without_a_hash_says_nothing() -> None:
    """A module_path without a content hash leaves the comparison missing."""
    runs = Runs()
    runs.run(code="not-a-hash")
    runs.run(code="not-a-hash")
    assert runs.last()["code.trainer_same_1"] is None


def test_the_margins_of_the_code_are_those_of_its_latest_evaluation() -> None:
    """A bad commit that is run again brings the margin that it missed by."""
    runs = Runs()
    runs.run(code=OTHER_CODE, metrics=metrics(0.5, 0.7), pushed=False)
    runs.run(code=CODE, metrics=metrics(0.8, 0.7))
    runs.run(code=OTHER_CODE)
    row = runs.last(Stage.PRE)
    assert round(float(row["code.transform_value_margin"] or 0), 6) == -0.1
    assert round(float(row["code.transform_change_margin"] or 0), 6) == -0.21


def test_a_rerun_is_the_same_code_on_the_same_spans() -> None:
    """Only graphlets that share both the code and all spans count as re-runs."""
    runs = Runs()
    runs.run(span=1, code=CODE)
    runs.run(span=1, code=OTHER_CODE)
    runs.run(span=2, code=CODE)
    runs.run(span=1, code=CODE)
    assert runs.last(Stage.PRE)["code.transform_same_spans"] == 1.0


def test_a_rerun_of_a_commit_is_expected_to_fare_as_before() -> None:
    """Of the same code on the same spans: 0 if it was not pushed; other code says nothing."""
    runs = Runs()
    runs.run(span=1, code=CODE, pushed=False)
    runs.run(span=1, code=OTHER_CODE)
    runs.run(span=1, code=CODE)
    table = runs.table(Stage.PRE)
    expected = [table.row(n)["code.transform_rerun_expected"] for n in range(3)]
    assert expected == [None, None, 0.0]
    assert table.row(1)["history.rerun_expected"] == 0.0


def test_a_commit_that_missed_a_value_threshold_is_known() -> None:
    """1 for code whose latest model missed 0.6, 0 for one that met it, missing for new code."""
    runs = Runs()
    runs.run(code=OTHER_CODE, metrics=metrics(0.5, 0.7), pushed=False)
    runs.run(code=CODE, metrics=metrics(0.8, 0.7))
    runs.run(code=OTHER_CODE)
    runs.run(code=CODE)
    table = runs.table(Stage.PRE)
    failed = [table.row(n)["code.transform_value_failed"] for n in range(4)]
    assert failed == [None, None, 1.0, 0.0]
