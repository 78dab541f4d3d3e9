"""The archive command: a first write, then what is new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.beam.stores import with_a_custom_trainer
from tests.cli.test_cli import run
from tests.stores.mlmd_files import write_store
from tfx_graphlets.stores.archive.format import Manifest
from tfx_graphlets.testing import TraceBuilder


def store_of(folder: Path, runs: int) -> str:
    """A SQLite file with so many Trainers, as the command line names it."""
    build = TraceBuilder()
    for number in range(runs):
        build.execution("Trainer", run=f"r{number}", pipeline="p")
    path = folder / "store.sqlite"
    path.unlink(missing_ok=True)
    return str(write_store(path, build.raw()))


def test_the_same_command_again_appends(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It says what is new; where nothing is, it writes nothing and says so."""
    words = ("archive", store_of(tmp_path, 2), "--output", str(tmp_path / "copy"))
    answers = [run(capsys, *words, "--format", "json")]
    answers.append(run(capsys, *words, "--format", "json"))
    store_of(tmp_path, 3)
    answers.append(run(capsys, *words, "--format", "json"))
    documents = [json.loads(out) for code, out, _ in answers if code == 0]
    assert [one["written"] for one in documents] == [True, False, True]
    assert [one["new_executions"] for one in documents] == [2, 0, 1]
    assert [one["executions"] for one in documents] == [2, 2, 3]
    assert documents[2]["changed_pipelines"] == ["p"]
    assert "nothing is new" in run(capsys, *words)[1]


def test_an_archive_is_replaced_or_merged_if_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """--compact changes nothing that is held; --replace writes what the store holds now, alone."""
    copy = tmp_path / "copy"
    for runs in (2, 3):
        words = ("archive", store_of(tmp_path, runs), "--output", str(copy))
        assert run(capsys, *words)[0] == 0
    code, out, _ = run(capsys, *words, "--compact", "--format", "json")
    assert (code, json.loads(out)["executions"], json.loads(out)["written"]) == (0, 3, False)
    sizes = [file.stat().st_size for file in copy.glob("*.parquet")]
    assert json.loads(out)["bytes"] == sum(sizes)
    words = ("archive", store_of(tmp_path, 1), "--output", str(copy))
    assert run(capsys, *words, "--replace")[0] == 0
    assert Manifest.read(copy, "copy").counts["executions"] == 1


def test_a_role_that_only_other_pipelines_show_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A class that has failed in the archived pipeline is a Trainer by what it did elsewhere."""
    store, copy = str(with_a_custom_trainer(tmp_path / "s.sqlite")), str(tmp_path / "copy")
    words = ("archive", store, "--output", copy, "--pipeline", "q")
    code, _, err = run(capsys, *words)
    assert (code, "declare it: --role acme.Fit=trainer" in err) == (0, True)
    assert json.loads(run(capsys, "segment", copy, "--format", "json")[1]) == []
    code, _, err = run(capsys, *words, "--replace", "--role", "acme.Fit=trainer")
    assert (code, err) == (0, "")
    whole = run(capsys, "segment", store, "--pipeline", "q", "--format", "json")[1]
    assert run(capsys, "segment", copy, "--format", "json")[1] == whole
    assert len(json.loads(whole)) == 1
