"""python -m tfx_graphlets.beam."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.beam.stores import many_pipelines, with_own_pushers
from tests.beam.tables import assert_same, described_at_once, written
from tests.import_graph import ROOT
from tfx_graphlets.beam import files
from tfx_graphlets.beam.command import main
from tfx_graphlets.beam.failures import PartFailedError, reason_of
from tfx_graphlets.errors import StoreNotFoundError
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Role, Stage


def test_the_command_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says what was written, as a text or as JSON."""
    store = many_pipelines(tmp_path / "store.sqlite")
    arguments = [str(store), "--stage", "pre", "--output", str(tmp_path / "t")]
    assert main([*arguments, "--max-executions", "60", "--runner", "DirectRunner"]) == 0
    expected = described_at_once(store, Stage.PRE)
    assert_same(written(tmp_path / "t"), expected)
    assert f"{expected.num_rows} graphlets" in capsys.readouterr().out
    assert main([*arguments, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == expected.num_rows


def test_a_pipeline_selects_rows_and_cuts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are those of the whole store; another name is refused with those known."""
    store = many_pipelines(tmp_path / "store.sqlite")
    arguments = [str(store), "--stage", "pre", "--output", str(tmp_path / "t")]
    with open_store(store) as opened:
        whole = segment(opened.read_trace())
    name = max(filter(None, (one.pipeline for one in whole)))
    rows = whole.of(pipeline=name)
    assert 0 < len(rows) < len(whole)
    assert main([*arguments, "--max-executions", "60", "--pipeline", name]) == 0
    assert_same(written(tmp_path / "t"), describe(whole, Stage.PRE, rows=rows).to_arrow())
    assert main([*arguments, "--pipeline", "nobody's"]) == 1
    assert "it holds 'pipeline-0'" in capsys.readouterr().err


def test_roles_and_pushers_are_those_of_segment(tmp_path: Path) -> None:
    """``--role`` and ``--pusher``; a role that is none is wrong usage."""
    store = with_own_pushers(tmp_path / "store.sqlite")
    arguments = [str(store), "--stage", "pre", "--output", str(tmp_path / "t")]
    assert main([*arguments, "--role", "Ship=pusher", "--pusher", "acme.Ship"]) == 0
    with open_store(store) as opened:
        whole = segment(
            opened.read_trace(), role_of_type={"Ship": Role.PUSHER}, pushers=["acme.Ship"]
        )
    assert_same(written(tmp_path / "t"), describe(whole, Stage.PRE).to_arrow())
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--role", "Ship=captain"])


def test_a_job_that_fails_says_why_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, a JSON document where one was asked for."""
    arguments = [str(tmp_path / "none"), "--stage", "pre", "--output", str(tmp_path / "t")]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("nothing was written: ")
    assert "there is no such file" in said
    assert said.count("\n") == 1
    assert main([*arguments, "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "StoreNotFoundError"


def test_a_failed_job_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parts that were written for a table that cannot be whole are removed."""
    store = many_pipelines(tmp_path / "store.sqlite")

    def fail(directory: str, parts: object) -> None:
        assert list((tmp_path / "t" / files.DRAFT).iterdir())
        raise PartFailedError("one is missing")

    monkeypatch.setattr(files, "publish", fail)
    arguments = [str(store), "--stage", "pre", "--output", str(tmp_path / "t")]
    assert main([*arguments, "--max-executions", "60"]) == 1
    # What other tests did to logging may stand before it.
    assert capsys.readouterr().err.endswith("nothing was written: one is missing\n")
    assert list((tmp_path / "t").iterdir()) == []


def test_the_reason_is_found_in_the_text_of_a_runner() -> None:
    """The line of the error, without the step; else its last line; else its first."""
    text = (
        "Error received from SDK harness: Traceback (most recent call last):\n  File x\n"
        "tfx_graphlets.beam.failures.PartFailedError: part 1 of 2: gone [while running 'A/B-ptr']\n"
    )
    assert reason_of(RuntimeError(text)) == "part 1 of 2: gone"
    assert reason_of(RuntimeError("Traceback:\n  x\nKeyError: 'y'")) == "KeyError: 'y'"
    assert reason_of(RuntimeError("no worker")) == "RuntimeError: no worker"
    error = StoreNotFoundError("s", "there is no such file")
    assert reason_of(error) == "s: there is no such file"


def test_beam_is_loaded_with_its_package_alone() -> None:
    """Neither the library nor its command line needs Beam."""
    code = "import sys, tfx_graphlets, tfx_graphlets.cli; assert 'apache_beam' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
