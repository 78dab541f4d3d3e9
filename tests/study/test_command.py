"""The command ``study``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.waste_model.synthetic import HOUR_MS, coin_flips, graphlets_of
from tfx_graphlets.cli import main
from tfx_graphlets.payloads.statistics import NoPayloads
from tfx_graphlets.stores.archive.archive import write_archive
from tfx_graphlets.study import Study, StudySettings, run_study

pytest.importorskip("ydf")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two pipelines, each in an archive of its own."""
    directory = tmp_path_factory.mktemp("stores")
    for number in range(2):
        trace = graphlets_of(coin_flips(24, number), f"taxi-{number}", HOUR_MS * (number + 1)).trace
        write_archive(trace, NoPayloads(), directory / f"store-{number}", created_ms=0)
    return [str(directory / f"store-{number}") for number in range(2)]


def test_study_writes_its_directory_and_prints_the_same_document(
    stores: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With --format json standard output is study.json, and nothing else."""

    def quick(datasets: object, settings: StudySettings, progress: object) -> Study:
        assert settings.seed == 3
        few = StudySettings(3, learners=("logistic",), trees=5, repeats=1, permutations=1)
        return run_study(datasets, few, progress)

    monkeypatch.setattr("tfx_graphlets.study.run_study", quick)
    words = ["study", *stores, "--stage", "pre", "--seed", "3", "--format", "json"]
    capsys.readouterr()
    assert main([*words, "--output", str(tmp_path / "study")]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == json.loads((tmp_path / "study" / "study.json").read_text())
    assert json.loads(out)["stages"] == ["pre"]
    assert json.loads(out)["pipelines"] == 2


def test_study_refuses_a_foreign_directory_before_it_computes(
    stores: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, the reason is one line, and what was there stays."""
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    assert main(["study", *stores, "--output", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "no study" in captured.err
    assert (tmp_path / "precious.txt").exists()
