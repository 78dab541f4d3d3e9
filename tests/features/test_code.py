"""Group code: whether the code changed, and how it fared."""

from __future__ import annotations

import json
import math

from tests.features.memory_payloads import metrics
from tests.features.runs import CODE, OTHER_CODE, Runs, some
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import PropertyName, Stage

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


def test_the_code_is_known_at_input() -> None:
    """The compiled pipeline holds it: at input a bad commit is known before Transform runs."""
    runs = Runs()
    runs.run(code=CODE, pushed=True)
    runs.run(code=OTHER_CODE, pushed=False)
    runs.run(code=OTHER_CODE)
    row = runs.last(Stage.INPUT)
    for whose in ("transform", "trainer"):
        assert _of(whose, row) == {
            f"{whose}_same_1": 1.0, f"{whose}_same_pushed": 0.0, f"{whose}_runs": 1.0,
            f"{whose}_pushes": 0.0, f"{whose}_push_share": 0.0, f"{whose}_last_pushed": 0.0,
        }  # fmt: skip


def test_the_previous_code_is_that_of_the_previous_graphlet() -> None:
    """Features ``previous_*`` are about its code, not about that of the row."""
    runs = Runs()
    runs.run(code=CODE, pushed=True)
    runs.run(code=OTHER_CODE, pushed=False)
    runs.run(code="c" * 64)
    assert _of("previous", runs.last(Stage.INPUT)) == {
        "previous_same_1": 0.0, "previous_same_pushed": 0.0, "previous_runs": 1.0,
        "previous_pushes": 0.0, "previous_push_share": 0.0, "previous_last_pushed": 0.0,
    }  # fmt: skip


def _pipeline_of(*runs: tuple[dict[str, str], dict[str, str]], record: bool = True) -> Graphlets:
    """Runs of Tuner, Transform and Trainer whose executions record some hashes, by role.

    The second mapping of a run is what its GraphletGen recorded.
    """
    build = TraceBuilder()
    for number, (executed, recorded) in enumerate(runs):
        where = {"run": f"run-{number}", "pipeline": "p"}
        said = {role: {"module_path": f"m@w-0.0+{code}"} for role, code in executed.items()}
        data, best = build.artifact("Examples", span=number), build.artifact("HyperParameters")
        graph, model = build.artifact("TransformGraph"), build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
        if record:
            text = json.dumps({"Trainer": recorded})
            build.artifact(
                "tfx_graphlets.Graphlets", run=f"run-{number}", **{PropertyName.CODE_KNOWN: text}
            )
        build.execution(
            "Transform", inputs={"examples": [data]}, outputs={"transform_graph": [graph]},
            **where, **said.get("transform", {}),
        )  # fmt: skip
        build.execution(
            "Tuner", inputs={"examples": [data]}, outputs={"best_hyperparameters": [best]},
            **where, **said.get("tuner", {}),
        )  # fmt: skip
        build.execution(
            "Trainer", outputs={"model": [model]}, node="p.Trainer",
            inputs={"examples": [data], "transform_graph": [graph], "hyperparameters": [best]},
            **where, **said.get("trainer", {}),
        )  # fmt: skip
    return segment(build.trace())


def _same(graphlets: Graphlets) -> list[tuple[object, object]]:
    table = describe(graphlets, Stage.INPUT)
    columns = zip(table.numbers("code.transform_same_1"), table.numbers("code.trainer_same_1"))
    return [tuple(None if math.isnan(value) else value for value in row) for row in columns][1:]


def test_code_that_no_execution_records_is_what_the_run_s_graphlet_gen_did() -> None:
    """Import paths leave no hash at the Trainer: then the record of the run counts."""
    first, second = {"trainer": CODE, "transform": CODE}, {"trainer": OTHER_CODE, "transform": CODE}
    assert _same(_pipeline_of(({}, first), ({}, first), ({}, second))) == [(1.0, 1.0), (1.0, 0.0)]
    nothing = _pipeline_of(({}, first), ({}, first), record=False)
    assert _same(nothing) == [(None, None)]


def test_what_an_execution_records_counts_before_the_record_of_the_run() -> None:
    """A hash that stands at the Trainer is that of the code that ran."""
    wrong = {"trainer": OTHER_CODE}
    pair = (({"trainer": CODE}, wrong), ({"trainer": CODE}, {"trainer": "c" * 64}))
    assert _same(_pipeline_of(*pair)) == [(None, 1.0)]


def test_the_tuner_s_code_is_part_of_the_trainer_s() -> None:
    """Another Tuner makes it another training; hyperparameters of an earlier run are data."""
    same, other = {"trainer": CODE, "tuner": CODE}, {"trainer": CODE, "tuner": OTHER_CODE}
    assert _same(_pipeline_of((same, {}), (other, {}), (other, {}))) == [(None, 0.0), (None, 1.0)]


def test_a_record_of_another_trainer_node_does_not_count() -> None:
    """The record names the nodes; that of a node that this Trainer is not is passed over."""
    build = TraceBuilder()
    for number in range(2):
        data, model = build.artifact("Examples", span=number), build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [data]}, run=f"r{number}")
        text = json.dumps({"Other": {"trainer": CODE}})
        build.artifact("tfx_graphlets.Graphlets", run=f"r{number}", code_known=text)
        build.execution(
            "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, run=f"r{number}",
            node="p.Trainer",
        )  # fmt: skip
    assert _same(segment(build.trace())) == [(None, None)]


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
