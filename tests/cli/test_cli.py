"""The command line: a contract that other tools read."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.waste_model.synthetic import HOUR_MS, graphlets_of
from tfx_graphlets import Stage, describe, segment
from tfx_graphlets.cli import main
from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.gate import snapshot
from tfx_graphlets.gate.code import hash_of_place
from tfx_graphlets.gate.graphlets_file import PipelineHistory
from tfx_graphlets.gate.request import Request
from tfx_graphlets.payloads.statistics import NoPayloads
from tfx_graphlets.stores.archive.archive import write_archive
from tfx_graphlets.stores.store import Store
from tfx_graphlets.supervision import tasks
from tfx_graphlets.trace.trace import Trace

RHYTHM = "PU" * 30


def archive_of(trace: Trace, directory: Path) -> str:
    """An archive of the trace, as the command line names it."""
    write_archive(trace, NoPayloads(), directory, created_ms=0)
    return str(directory)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    capsys.readouterr()
    try:
        code = main(words)
    except SystemExit as error:  # argparse
        code = int(str(error.code))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline that pushes every other run."""
    return archive_of(graphlets_of(RHYTHM).trace, tmp_path_factory.mktemp("cli") / "history")


@pytest.fixture(scope="module")
def model(store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A waste model of that pipeline, at stage input."""
    directory = str(tmp_path_factory.mktemp("cli") / "model")
    words = ("train", store, "--stage", "input", "--freshness", "0.9", "--output", directory)
    assert main(words) == 0
    return directory


def test_segment_prints_the_graphlets_as_one_json_array(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """segment --format json prints every graphlet with the contract's keys, and nothing else."""
    code, out, err = run(capsys, "segment", store, "--format", "json")
    graphlets = json.loads(out)
    assert (code, err, len(graphlets)) == (0, "", len(RHYTHM))
    assert graphlets[1] == {
        "trainer": 8,
        "node": None,
        "pipeline": "taxi",
        "run": "run-1",
        "executions": [6, 7, 8, 9, 10],
        "artifacts": [6, 7, 8, 9, 10],
        "warm_start": [],
        "outcome": "unpushed",
        "needed": False,
        "start_ms": 7_200_000,
        "end_ms": 7_201_650,
        "cost_ms": 1650,
    }


def test_segment_shows_people_a_table_with_the_waste(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --format the graphlets are a table, and its last line sums up the waste."""
    code, out, _ = run(capsys, "segment", store)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == [
        "trainer", "pipeline", "node", "run", "executions", "artifacts", "outcome", "needed",
        "cost_s",
    ]  # fmt: skip
    assert lines[-1].startswith("60 graphlets (30 pushed, 30 unpushed")
    assert lines[-1].endswith("99.0 s of compute, 49.5 s wasted (50%)")


def test_weights_change_the_cost(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--cost-weight multiplies the cost of a role, and of a type, by its factor."""
    words = ("segment", store, "--format", "json", "--cost-weight", "trainer=3")
    _, out, _ = run(capsys, *words, "--cost-weight", "Pusher=0")
    assert json.loads(out)[0]["cost_ms"] == 100 + 200 + 3 * 1000 + 300


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_features_are_written_by_the_ending_of_the_file(
    suffix: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """features writes one row per graphlet, keyed by trainer, equal to describe()."""
    target = tmp_path / f"features{suffix}"
    code, out, _ = run(
        capsys, "features", store, "--stage", "pre", "--output", str(target), "--format", "json"
    )
    assert code == 0
    table = describe(segment(graphlets_of(RHYTHM).trace), Stage.PRE)
    names = ["trainer", *(feature.name for feature in table.features)]
    assert json.loads(out)["features"] == names[1:]
    name = "history.runs_since_push" if "history.runs_since_push" in names else names[-1]
    expected = [row[name] for row in map(table.row, range(len(table)))]
    if suffix == ".parquet":
        written = pyarrow.parquet.read_table(target)
        assert written.column_names == names
        assert written["trainer"].to_pylist() == table.trainer.tolist()
        assert written[name].to_pylist() == expected
    else:
        with target.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == names
        assert [int(row["trainer"]) for row in rows] == table.trainer.tolist()
        assert [float(row[name]) if row[name] else None for row in rows] == expected
    assert [file.name for file in tmp_path.iterdir()] == [target.name]


def test_backtest_prints_what_the_contract_names(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """backtest's JSON has the contract's keys, and its counts are those of its decisions."""
    words = ("backtest", store, "--stage", "pre", "--freshness", "0.8", "--format", "json")
    code, out, err = run(capsys, *words)
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert {
        "graphlets", "pushed", "unpushed", "skipped", "pushes_missed", "freshness",
        "waste_removed", "waste_removable", "cost_saved_ms", "baselines", "decisions",
    } <= set(result)  # fmt: skip
    assert (result["graphlets"], result["pushed"], result["unpushed"]) == (60, 30, 30)
    decisions = result["decisions"]
    assert len(decisions) == 60
    assert {"trainer", "probability", "skip", "pushed"} <= set(decisions[0])
    assert sum(d["skip"] for d in decisions) == result["skipped"] > 0
    assert sum(d["skip"] and d["pushed"] for d in decisions) == result["pushes_missed"]
    assert result["freshness"] == pytest.approx(1 - result["pushes_missed"] / 30)
    assert 0 < result["waste_removed"] <= result["waste_removable"] < 1


def test_evaluate_reads_back_what_train_wrote(
    store: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """evaluate takes the model's directory and prints its scores on a store."""
    code, out, _ = run(capsys, "evaluate", model, store, "--format", "json")
    result = json.loads(out)
    assert code == 0
    assert result["auc"] > 0.95
    assert result["balanced_accuracy"] > 0.9


def test_archive_keeps_what_segment_finds(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive of a store has the same graphlets as the store."""
    copy = str(tmp_path / "copy")
    code, _, _ = run(capsys, "archive", store, "--output", copy)
    assert code == 0
    _, original, _ = run(capsys, "segment", store, "--format", "json")
    _, copied, _ = run(capsys, "segment", copy, "--format", "json")
    assert json.loads(copied) == json.loads(original)


@pytest.mark.parametrize(("outcomes", "code"), [(RHYTHM, 0), (RHYTHM + "P", 3)])
def test_gate_decides_by_exit_code(
    outcomes: str, code: int, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """gate exits with 0 where a push is due and with 3 right after one, and says why."""
    # One run an hour, the last of them an hour ago: the gate looks at the clock.
    start_ms = int(time.time() * 1000) - len(outcomes) * HOUR_MS
    history = archive_of(graphlets_of(outcomes, start_ms=start_ms).trace, tmp_path / "history")
    words = ("gate", history, "--pipeline", "taxi", "--model", model, "--threshold", "0.5")
    words += ("--exploration", "0", "--max-hours-without-attempt", "48")
    actual, out, err = run(capsys, *words)
    decision = json.loads(out)
    assert (actual, err) == (code, "")
    assert decision["proceed"] is (code == 0)
    assert decision["decision"] == ("run" if code == 0 else "skip")
    assert "probability" in decision["reason"]


def test_gate_is_told_the_code_of_the_run(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--module-file gives the hash that TFX will give the run; one role may have another file."""
    (tmp_path / "model.py").write_text("def run_fn(args): ...\n")
    wanted = hash_of_place(str(tmp_path / "model.py"))
    asked: list[Request] = []

    def collect(store: Store, request: Request, now_ms: int) -> PipelineHistory:
        asked.append(request)
        return snapshot.broken(request, GraphletsError("asked enough"), now_ms)

    def here(task: str, arguments: dict[str, object], _: object) -> dict[str, bytes]:
        done: dict[str, bytes] = getattr(tasks, task)(arguments)
        return done

    # In this process, where what is asked can be seen.
    monkeypatch.setattr("tfx_graphlets.supervision.parent.run_task", here)
    monkeypatch.setattr(tasks, "collect", collect)
    history = archive_of(graphlets_of(RHYTHM).trace, tmp_path / "history")
    words = ("gate", history, "--pipeline", "taxi", "--model", model)
    place = str(tmp_path / "model.py")
    run(capsys, *words, "--module-file", place)
    run(capsys, *words, "--module-file", f"transform={place}")
    assert [request.code_known for request in asked] == [{"": wanted}, {"transform": wanted}]
    code, _, err = run(capsys, *words, "--module-file", "no.such.function")
    assert code == 2
    assert "'no.such.function' is no Python file" in err
    code, _, err = run(capsys, *words, "--module-file", f"pusher={place}")
    assert (code, "'pusher' is none of transform, tuner, trainer" in err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("launder", "store"),
        ("segment",),
        ("features", "store", "--stage", "later", "--output", "f.csv"),
        ("backtest", "store", "--stage", "pre", "--freshness", "95"),
        ("segment", "store", "--role", "MyFit=teacher"),
        ("segment", "store", "--cost-weight", "trainer=-1"),
    ],
)
def test_a_usage_error_exits_with_2(
    words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Words that make no sense exit with 2, explain themselves, and print no result."""
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "usage: tfx-graphlets" in err


def no_file(directory: Path) -> str:
    """A name with nothing behind it."""
    return str(directory / "nothing.sqlite")


def no_database(directory: Path) -> str:
    """A file that is no database."""
    (directory / "notes.sqlite").write_text("Dear diary, " * 100)
    return str(directory / "notes.sqlite")


def no_metadata_store(directory: Path) -> str:
    """A database of something else."""
    with sqlite3.connect(directory / "shop.sqlite") as database:
        database.execute("CREATE TABLE Orders (id INTEGER)")
    database.close()
    return str(directory / "shop.sqlite")


def newer_schema(directory: Path) -> str:
    """A store of a schema to come."""
    with sqlite3.connect(directory / "newer.sqlite") as database:
        database.execute("CREATE TABLE MLMDEnv (schema_version INTEGER PRIMARY KEY)")
        database.execute("INSERT INTO MLMDEnv VALUES (99)")
        database.execute("CREATE TABLE Execution (id INTEGER)")
    database.close()
    return str(directory / "newer.sqlite")


def plain_directory(directory: Path) -> str:
    """A directory that is no archive."""
    return str(directory)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (no_file, "nothing.sqlite"),
        (no_database, "notes.sqlite"),
        (no_metadata_store, "shop.sqlite"),
        (newer_schema, "99"),
        (plain_directory, "archive"),
    ],
)
def test_bad_input_is_one_clear_sentence(
    make: object, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that cannot be read exits with 1 and one line that names it, in JSON too."""
    assert callable(make)
    name = make(tmp_path)
    code, out, err = run(capsys, "segment", name)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("tfx-graphlets: ")
    assert word in err
    code, out, _ = run(capsys, "segment", name, "--format", "json")
    assert code == 1
    assert word in json.loads(out)["error"]["message"]


def test_a_model_of_no_kind_is_refused(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory that is no waste model exits with 1, for evaluate and for gate."""
    for words in (
        ("evaluate", str(tmp_path), store),
        ("gate", store, "--pipeline", "taxi", "--model", str(tmp_path)),
    ):
        code, _, err = run(capsys, *words)
        assert (code, err.count("\n")) == (1, 1)
        assert str(tmp_path) in err


def test_a_pipeline_that_is_not_there_is_named(
    store: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """gate exits with 1 and names the pipeline that the store does not hold."""
    code, _, err = run(capsys, "gate", store, "--pipeline", "tax1", "--model", model)
    assert (code, err.count("\n")) == (1, 1)
    assert "tax1" in err


def test_nothing_half_written_stays_behind(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A features file that cannot be written leaves neither itself nor a draft."""
    code, _, err = run(
        capsys, "features", store, "--stage", "pre", "--output", str(tmp_path / "no" / "f.csv")
    )
    assert (code, err.count("\n")) == (1, 1)
    code, _, err = run(
        capsys, "features", store, "--stage", "pre", "--output", str(tmp_path / "f.xlsx")
    )
    assert code == 1
    assert ".csv, .parquet" in err
    assert not list(tmp_path.iterdir())


def test_the_module_is_a_program(store: str) -> None:
    """``python -m tfx_graphlets`` is the command line, quiet on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "tfx_graphlets", "segment", store, "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == len(RHYTHM)
