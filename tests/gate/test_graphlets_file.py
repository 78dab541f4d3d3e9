"""The files of a Graphlets artifact."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tests.components.histories import dataset, feature_table, pipeline_history
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.gate.graphlets_file import (
    FILES,
    GraphletsFormatError,
    PipelineHistory,
    from_files,
    to_files,
)
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.vocabulary import Role, Stage


def same_table(left: FeatureTable, right: FeatureTable) -> bool:
    """True where stage, declarations and all values are equal."""
    return left.to_arrow().equals(right.to_arrow()) and (left.stage, left.features) == (
        right.stage, right.features,
    )  # fmt: skip


def test_what_is_written_is_what_is_read() -> None:
    """Features, missing values, outcomes, moments and decisions come back as they were."""
    skipped = PastDecision(
        5, "pre", "WasteGate", "r4", False, True, False, "light", exploration=0.05, risk=0.02,
        probability=0.1, threshold=0.2, freshness=0.95,
    )  # fmt: skip
    runs = ("r0", "r1", "", "r3")
    declared = Declared.of({"Fit": Role.TRAINER}, ["Production"])
    past = dataclasses.replace(dataset("pufi", runs=runs), declared=declared)
    written = pipeline_history(
        "pufi", decisions=(skipped,), past=past, hint="say which class trains"
    )
    read = from_files(to_files(written))
    assert written.current is not None
    assert read.current is not None
    assert same_table(read.current, written.current)
    assert written.past is not None
    assert read.past is not None
    assert same_table(read.past.table, written.past.table)
    assert read.past.declared == declared
    for name in ("outcome", "decision_ms", "known_ms", "start_ms"):
        assert np.array_equal(getattr(read.past, name), getattr(written.past, name))
        assert getattr(read.past, name).dtype == getattr(written.past, name).dtype
    for name in ("pipeline", "store", "node", "run"):
        assert getattr(read.past, name) == getattr(written.past, name)
    rest = {"current": None, "past": None, "problem": "x"}
    assert dataclasses.replace(read, **rest) == dataclasses.replace(written, **rest)


def test_a_pipeline_without_a_past_comes_back_as_one() -> None:
    """Before the first Trainer the history has no rows, and is not missing."""
    read = from_files(to_files(pipeline_history("")))
    assert read.past is not None
    assert len(read.past) == 0
    assert read.num_labelled == 0


def test_a_history_with_a_problem_keeps_the_problem() -> None:
    """Where the store could not be read the summary says why, and reading it is no error."""
    broken = PipelineHistory(Stage.PRE, "light", "r", 7, None, None, (), "the store is gone")
    assert from_files(to_files(broken)) == broken


def test_the_summary_is_written_last() -> None:
    """A summary that stands says that the other files stand too."""
    assert list(to_files(pipeline_history()))[-1] == "summary.json" == FILES[-1]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str) -> None:
    """An artifact without one of its files cannot be used, and the error names the file."""
    files = to_files(pipeline_history())
    del files[name]
    with pytest.raises(GraphletsFormatError, match=name):
        from_files(files)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"not what it should be", b"{}", b"[]", b"\xff\xfe"])
def test_a_damaged_file_is_an_error_of_ours(name: str, content: bytes) -> None:
    """Whatever stands in a file, reading it raises GraphletsFormatError and nothing else."""
    with pytest.raises(GraphletsFormatError, match="cannot be used"):
        from_files({**to_files(pipeline_history()), name: content})


def test_a_newer_format_is_refused() -> None:
    """A format version of a later release is named in the error."""
    files = to_files(pipeline_history())
    summary = json.loads(files["summary.json"])
    files["summary.json"] = json.dumps({**summary, "format_version": 4}).encode()
    with pytest.raises(GraphletsFormatError, match=r"4.*reads.*1 and 2 and 3"):
        from_files(files)


def test_the_first_format_can_still_be_read() -> None:
    """It knew neither runs nor what decisions say of exploration: both are as if absent."""
    decision = PastDecision(5, "pre", "WasteGate", "r4", False, True, False)
    files = to_files(pipeline_history("pu", decisions=(decision,)))
    summary = json.loads(files["summary.json"])
    early = ("time_ms", "stage", "gate", "run", "proceed", "would_skip", "shadow")
    summary["decisions"] = [{name: one[name] for name in early} for one in summary["decisions"]]
    files["summary.json"] = json.dumps({**summary, "format_version": 1}).encode()
    read = from_files(files)
    assert read.past is not None
    assert (read.decisions, read.past.run) == ((decision,), ("", ""))


def test_two_current_graphlets_are_refused() -> None:
    """current.parquet holds one row."""
    files = to_files(pipeline_history(current=feature_table(2)))
    with pytest.raises(GraphletsFormatError, match="2 rows"):
        from_files(files)


def test_only_labelled_graphlets_are_counted() -> None:
    """Failed and incomplete graphlets are in the history and not in the count."""
    history = pipeline_history("puufi", past=dataset("puufi"))
    assert history.num_labelled == 3
