"""``tfx-graphlets monitor``: exit codes and JSON that a scheduler reads."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.cli.test_cli import archive_of, run
from tests.monitor.gated import HOUR_MS, LivePipeline
from tests.waste_model.synthetic import graphlets_of
from tfx_graphlets.testing import TraceBuilder


def pipeline_until_now(letters: str, **decision: object) -> TraceBuilder:
    """A live pipeline whose last run began an hour ago: the command looks at the clock."""
    start_ms = (int(time.time() * 1000) // HOUR_MS - len(letters)) * HOUR_MS
    build = TraceBuilder(clock_ms=start_ms)
    return LivePipeline(build).runs(letters, **decision).build


def store_of(letters: str, directory: Path, **decision: object) -> str:
    """The archive of such a pipeline."""
    return archive_of(pipeline_until_now(letters, **decision).trace(), directory / "store")


def test_a_healthy_gate_exits_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON document has the contract's keys and nothing else stands on standard output."""
    store = store_of("PUSPXU", tmp_path, probability=0.5)
    code, out, err = run(capsys, "monitor", store, "--format", "json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert list(report) == ["pipelines", "overall", "alarms", "notes"]
    [one] = report["pipelines"]
    assert (one["pipeline"], one["decisions"], one["skips"], one["explored"]) == ("taxi", 6, 1, 1)
    assert one["freshness"]["kept"] == 3
    assert one["freshness"]["low"] == pytest.approx(0.75)
    assert one["target"] == 0.9
    assert one["misses"]["self_normalised"] == 1.0
    assert [alarm["severity"] for alarm in report["alarms"]] == ["info"]


def test_an_alarm_exits_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate that skips and explores nothing is one; the alarm stands in JSON and in the text."""
    store = store_of("PUSPU", tmp_path, exploration=0.0)
    code, out, _ = run(capsys, "monitor", store, "--format", "json")
    assert code == 4
    [alarm] = json.loads(out)["alarms"]
    assert (alarm["name"], alarm["severity"], alarm["pipeline"]) == (
        "no_exploration", "alarm", "taxi",
    )  # fmt: skip
    code, out, err = run(capsys, "monitor", store)
    assert (code, err) == (4, "")
    assert "ALARM no_exploration (taxi, pre, WasteGate): The gate skips and explores nothing" in out


def test_a_store_without_a_gate_exits_with_0_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zero decisions, no alarm, and a note."""
    store = archive_of(graphlets_of("PU").trace, tmp_path / "store")
    code, out, _ = run(capsys, "monitor", store, "--format", "json")
    report = json.loads(out)
    assert (code, report["pipelines"], report["alarms"]) == (0, [], [])
    assert report["overall"]["decisions"] == 0
    assert len(report["notes"]) == 1
    code, out, _ = run(capsys, "monitor", store)
    assert code == 0
    assert "There is no decision" in out


def test_pipeline_stage_gate_and_time_choose_decisions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each option leaves the decisions that it names; a pipeline that is not there is a failure."""
    build = pipeline_until_now("PUPU")
    build.clock_ms -= HOUR_MS
    LivePipeline(build, "flights").run("P", stage="input", gate="Early")
    store = archive_of(build.trace(), tmp_path / "store")

    def decisions(*words: str) -> int:
        code, out, _ = run(capsys, "monitor", store, "--format", "json", *words)
        assert code == 0
        return int(json.loads(out)["overall"]["decisions"])

    assert decisions() == 5
    assert decisions("--pipeline", "taxi") == 4
    assert decisions("--stage", "input") == 1
    assert decisions("--gate", "WasteGate") == 4
    assert decisions("--since-hours", "2.5") in (2, 3)
    assert decisions("--since-hours", "inf") == 5
    code, _, err = run(capsys, "monitor", store, "--pipeline", "tax1")
    assert (code, err.count("\n")) == (1, 1)
    assert "tax1" in err


def test_a_freshness_of_ones_own_counts_in_place_of_the_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same gate is healthy against 0.2 and alarming against 0.99."""
    store = store_of("PXSS" * 9 + "PYSS" * 3, tmp_path, exploration=0.3, probability=0.5)
    for freshness, expected in (("0.2", 0), ("0.99", 4)):
        code, out, _ = run(capsys, "monitor", store, "--freshness", freshness, "--format", "json")
        assert (code, json.loads(out)["overall"]["target"]) == (expected, float(freshness))


@pytest.mark.parametrize(
    "words", [(), ("store", "--stage", "later"), ("store", "--freshness", "95")]
)
def test_words_that_make_no_sense_exit_with_2(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """As in every command; a store that cannot be read exits with 1."""
    assert run(capsys, "monitor", *words)[0] == 2
    assert run(capsys, "monitor", "nowhere.sqlite")[0] == 1


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes a scheduler finds 4 in --help."""
    _, out, _ = run(capsys, "--help")
    assert "4 monitor: alarm" in " ".join(out.split())
