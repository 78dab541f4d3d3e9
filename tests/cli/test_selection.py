"""A pipeline, a node, roles and pushers on the command line; terminals, pipes and full disks."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import case_store
from tests.report.test_view import check_sums
from tests.stores.mlmd_files import write_store
from tfx_graphlets.cli import main
from tfx_graphlets.cli.parse import parser
from tfx_graphlets.cli.render import Result, show, table
from tfx_graphlets.testing import TraceBuilder

HOUR_MS = 3_600_000
COST_MS = 1000  # of an execution of TraceBuilder's


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def segmented(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    """The graphlets that ``segment`` prints."""
    code, out, _ = run(capsys, "segment", *words, "--format", "json")
    assert code == 0
    return json.loads(out)  # type: ignore[no-any-return]


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def two_nodes(path: Path) -> str:
    """Two Trainers of one pipeline, on data of another, pushed by a third; as a SQLite file."""
    build = TraceBuilder()
    for number in range(4):
        build.clock_ms = (number + 1) * HOUR_MS
        data = build.artifact("Examples", span=number)
        build.execution(
            "CsvExampleGen", outputs={"examples": [data]}, run=f"i{number}", pipeline="in"
        )
        for node in ("left", "right"):
            model = build.artifact("Model")
            build.execution(
                "Trainer", inputs={"examples": [data]}, outputs={"model": [model]},
                run=f"t{number}", pipeline="a.b", node=f"a.b.{node}",
            )  # fmt: skip
            pushed = build.artifact("PushedModel", pushed=int(node == "left" or number % 2))
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]},
                run=f"d{number}", pipeline="out", node=f"out.push_{node}",
            )  # fmt: skip
    return str(write_store(path / "store.sqlite", build.raw()))


# -- selection -------------------------------------------------------------------------------


def check_selection(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, store: str, pipeline: str, pushed: int
) -> None:
    """Every command that takes a pipeline gives what the whole store gives of it."""
    whole = [one for one in segmented(capsys, store) if one["pipeline"] == pipeline]
    assert sum(one["outcome"] == "pushed" for one in whole) == pushed
    assert segmented(capsys, store, "--pipeline", pipeline) == whole

    archive = str(tmp_path / "archive")
    assert run(capsys, "archive", store, "--pipeline", pipeline, "--output", archive)[0] == 0
    assert segmented(capsys, archive) == whole
    assert segmented(capsys, archive, "--pipeline", pipeline) == whole

    mine = {str(one["trainer"]) for one in whole}
    tables = []
    for name, selection in (
        ("whole", (store,)), ("named", (store, "--pipeline", pipeline)), ("archived", (archive,)),
    ):  # fmt: skip
        file = tmp_path / f"{name}.csv"
        words = (*selection, "--stage", "validation", "--output", str(file))
        assert run(capsys, "features", *words)[0] == 0
        tables.append([row for row in rows_of(file) if row["trainer"] in mine])
        assert name == "whole" or len(rows_of(file)) == len(mine)
    assert tables[0] == tables[1] == tables[2]


def test_case_c03_a_pipeline_whose_data_and_pushes_stand_in_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """12 of 24 were pushed, whoever asks for the training pipeline."""
    check_selection(capsys, tmp_path, str(case_store("c03_two_pipelines")), "train", 12)


def test_a_pipeline_of_two_nodes_is_selected_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Another spread: names with dots, two Trainers of one run, one deployment for both."""
    check_selection(capsys, tmp_path, two_nodes(tmp_path), "a.b", 6)


def test_a_node_is_selected_by_its_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """And an id that is none is refused with those that there are."""
    store = two_nodes(tmp_path)
    found = segmented(capsys, store, "--pipeline", "a.b", "--node", "right")
    assert [one["node"] for one in found] == ["right"] * 4
    assert [one["outcome"] for one in found] == ["unpushed", "pushed"] * 2
    code, _, err = run(capsys, "segment", store, "--node", "middle")
    assert code == 1
    assert "'left', 'right'" in err


def test_an_archive_of_a_node_holds_what_its_graphlets_are_made_of(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every command finds in it what the whole store says of the node; another is refused."""
    store, archive = two_nodes(tmp_path), str(tmp_path / "archive")
    words = ("--pipeline", "a.b", "--node", "right")
    whole = segmented(capsys, store, *words)
    assert run(capsys, "archive", store, *words, "--output", archive)[0] == 0
    assert segmented(capsys, archive) == segmented(capsys, archive, *words) == whole
    assert len(whole) == 4
    tables = []
    for name, asked in (("whole", (store, *words)), ("archived", (archive,))):
        file = tmp_path / f"{name}.csv"
        options = ("--stage", "validation", "--output", str(file))
        assert run(capsys, "features", *asked, *options)[0] == 0
        tables.append(rows_of(file))
    assert tables[0] == tables[1]
    told = run(capsys, "archive", store, "--pipeline", "a.b", "--output", archive)
    assert told[0] == 1
    assert "is an archive of the Trainer node 'right', and node=None is asked for" in told[2]
    nothing = run(capsys, "archive", store, "--node", "middle", "--output", str(tmp_path / "n"))
    assert nothing[0] == 1
    assert "there are 'left', 'right'" in nothing[2]
    everywhere = str(tmp_path / "everywhere")
    assert run(capsys, "archive", store, "--node", "right", "--output", everywhere)[0] == 0
    assert segmented(capsys, everywhere) == whole


def reported(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The document of ``report``, whose five cuts and rows give one sum."""
    code, out, _ = run(capsys, "report", *words, "--no-replay", "--format", "json")
    assert code == 0
    view: dict[str, Any] = json.loads(out)
    check_sums(view)
    return view


def test_a_report_of_a_pipeline_or_node_counts_what_stands_in_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ingestion and deployment in other pipelines are part of the cost; graphlets are its own."""
    store = two_nodes(tmp_path)
    whole = reported(capsys, store)["first"]
    asked = reported(capsys, store, "--pipeline", "a.b")
    assert asked["first"] == whole  # all of this store belongs to the graphlets of a.b
    graphlets = {row["pipeline"]: row["graphlets"] for row in asked["pipelines"]}
    assert graphlets == {"a.b": 8, "in": 0, "out": 0}
    of = {
        node: reported(capsys, store, "--pipeline", "a.b", "--node", node)["first"]
        for node in ("left", "right")
    }
    assert [of[node]["outcomes"]["pushed"] for node in of] == [4, 2]
    # Both nodes hold the four ExampleGens; each Trainer and Pusher is of one.
    assert of["left"]["cost_ms"] + of["right"]["cost_ms"] == whole["cost_ms"] + 4 * COST_MS
    # What the other node needed is no waste.
    assert of["left"]["wasted_ms"] == 0
    assert of["right"]["wasted_ms"] == whole["wasted_ms"] == 2 * 2 * COST_MS
    archive = str(tmp_path / "archive")
    words = ("--pipeline", "a.b", "--node", "right")
    assert run(capsys, "archive", store, *words, "--output", archive)[0] == 0
    assert reported(capsys, archive)["first"]["outcomes"] == of["right"]["outcomes"]
    assert run(capsys, "report", store, "--no-replay", "--node", "middle")[0] == 1


def test_every_command_that_reads_a_store_takes_the_same_selection() -> None:
    """``--pipeline``, ``--node``, ``--role`` and ``--pusher``, by these names."""
    top = parser()
    [commands] = [one for one in top._actions if isinstance(one, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        options = {option for action in command._actions for option in action.option_strings}
        assert options >= {"--pipeline", "--node", "--role", "--pusher"}, name


def test_of_several_stores_one_may_lack_what_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It gives no row then; a history of other pipelines is taken whole, whatever is selected."""
    pytest.importorskip("ydf")
    other = TraceBuilder()
    for number in range(3):
        other.execution(
            "Trainer", outputs={"model": [other.artifact("Model")]}, run=f"r{number}", pipeline="o"
        )
    store, history = two_nodes(tmp_path), str(write_store(tmp_path / "o.sqlite", other.raw()))
    words = ("--pipeline", "a.b", "--node", "left", "--stage", "pre", "--freshness", "0.9")
    for more, known in (((), 0), (("--history", history), 3)):
        code, out, _ = run(capsys, "backtest", store, *words, *more, "--format", "json")
        document = json.loads(out)
        assert (code, document["graphlets"], document["history_graphlets"]) == (0, 4, known)
    code, out, _ = run(capsys, "backtest", store, history, *words, "--format", "json")
    assert (code, json.loads(out)["graphlets"]) == (0, 4)
    code, _, err = run(capsys, "backtest", history, *words)
    assert code == 1
    assert "pipeline='a.b'" in err


def test_the_pusher_that_counts_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By its node: what the other one pushed is unpushed then, in the features too."""
    store = two_nodes(tmp_path)
    outcomes = [one["outcome"] for one in segmented(capsys, store, "--pusher", "push_right")]
    assert outcomes == ["unpushed", "unpushed", "unpushed", "pushed"] * 2
    file = tmp_path / "features.csv"
    words = ("--stage", "pre", "--output", str(file), "--node", "left", "--pusher", "push_right")
    assert run(capsys, "features", store, *words)[0] == 0
    assert {row["history.pushed_1"] for row in rows_of(file)} == {"", "0.0"}
    assert run(capsys, "segment", store, "--pusher", "nobody")[0] == 1


def test_case_c05_models_without_a_trainer_are_pointed_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Which classes put out Models, and by which option one becomes a Trainer or a pusher."""
    store = str(case_store("c05_custom_deployer"))
    code, out, err = run(capsys, "segment", store, "--format", "json")
    assert (code, json.loads(out)) == (0, [])
    assert "steps.fit.fit_booster" in err
    assert "--role fit_booster=trainer" in err
    roles = ("--role", "fit_booster=trainer", "--role", "deploy_endpoint=pusher")
    outcomes = [one["outcome"] for one in segmented(capsys, store, *roles)]
    assert outcomes == ["unpushed", "pushed"] * 12


# -- terminals, pipes, disks -----------------------------------------------------------------


def test_a_name_with_a_line_break_stays_in_its_row() -> None:
    """Control characters are shown as Python writes them."""
    text = table([{"run": "a\tb\nc\x85d", "n": 1}, {"run": "推荐", "n": 2}], ("run", "n"))
    assert len(text.splitlines()) == 3
    assert "a\\tb\\nc\\x85d" in text
    assert "推荐" in text


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_what_a_terminal_cannot_show_is_replaced(encoding: str) -> None:
    """As text and as JSON, which stays ASCII."""
    for output_format in ("table", "json"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        show(Result({"name": "ñ推荐"}, "ñ推荐"), output_format, stream)
        assert raw.getvalue().decode(encoding)


def process(
    *words: str, stdout: int, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tfx_graphlets", *words], stdout=stdout, stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}]
)
def test_case_c32_a_terminal_that_is_not_utf_8(environment: dict[str, str]) -> None:
    """The table appears, one row a graphlet, with replacements."""
    store = str(case_store("c32_locale"))
    done = process("segment", store, stdout=subprocess.PIPE, environment=environment)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, err) == (0, b"")
    assert len(out.splitlines()) == 1 + 12 + 2


@pytest.mark.parametrize("words", [("segment", "--format", "json"), ("segment",)])
def test_case_c33_nobody_reads_the_output(tmp_path: Path, words: tuple[str, ...]) -> None:
    """No traceback and no message, however much was to be written."""
    store = two_nodes(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    done = process(words[0], store, *words[1:], stdout=writing)
    os.close(writing)
    assert done.communicate(timeout=60)[1] == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [("segment",), ("segment", "--format", "json")])
def test_a_full_disk_behind_the_output_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit code 1 and the reason."""
    store = two_nodes(tmp_path)
    with Path("/dev/full").open("wb") as full:
        done = process(words[0], store, *words[1:], stdout=full.fileno())
        err = done.communicate(timeout=60)[1].decode()
    assert done.returncode == 1
    assert len(err.splitlines()) == 1
    assert "No space left" in err
