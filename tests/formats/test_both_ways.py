"""What was written under one TFX is read and used under the other: store, archive, waste model.

The files beside this one were written by ``write.py`` under TFX 1.16 (pyarrow 10, ydf 0.9, numpy
1.26) and 1.21 (pyarrow 18, ydf 0.16, numpy 2.4); CI runs these tests under both.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.formats import write
from tests.stores.readers import by_bulk, by_mlmd, by_sql, needs_bulk, needs_mlmd
from tfx_graphlets import Stage, describe, open_store, segment
from tfx_graphlets.stores.archive.archive import write_archive
from tfx_graphlets.trace.trace import first_difference
from tfx_graphlets.waste_model.model import load_waste_model

FOLDERS = sorted(write.FOLDER.glob("tfx-*"))
of_each_tfx = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
READERS = [
    pytest.param(by_sql, id="sql"),
    pytest.param(by_bulk, id="bulk", marks=needs_bulk),
    pytest.param(by_mlmd, id="mlmd", marks=needs_mlmd),
]


def expected_of(folder: Path) -> dict[str, Any]:
    """What was computed of a folder's files where they were written."""
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return found


def test_there_are_files_of_both() -> None:
    """One folder for each TFX that is supported, with the same two runs."""
    assert [folder.name for folder in FOLDERS] == ["tfx-1.16", "tfx-1.21"]
    for folder in FOLDERS:
        outcomes = [one["outcome"] for one in expected_of(folder)["graphlets"]]
        assert outcomes == ["pushed", "unpushed"]


@of_each_tfx
@pytest.mark.parametrize("reader", READERS)
def test_a_store_holds_the_same_graphlets(folder: Path, reader: Any, tmp_path: Path) -> None:
    """Members, outcomes and costs are those of the release that wrote the store."""
    path = shutil.copy(folder / "metadata.sqlite", tmp_path)
    with reader(Path(path)) as store:
        assert write.graphlets_of(store) == expected_of(folder)["graphlets"]


@of_each_tfx
def test_an_archive_holds_the_store_and_its_payloads(folder: Path) -> None:
    """Its graphlets are the store's, and no feature that needs payloads is missing."""
    with open_store(folder / "archive") as archive:
        assert write.graphlets_of(archive) == expected_of(folder)["graphlets"]
        table = write.table_of(archive, Stage.VALIDATION)
    for was, now in zip(expected_of(folder)["known_features"], write.known_features(table)):
        still = set(was) & set(table.row(0))  # features come and go with releases of ours
        assert len(still) > 40
        assert still - set(now) == set()


@of_each_tfx
def test_an_archive_is_written_again_alike(folder: Path, tmp_path: Path) -> None:
    """What this release writes of it reads as the same trace."""
    with open_store(folder / "archive") as archive:
        trace = archive.read_trace()
        write_archive(trace, archive.payloads, tmp_path / "archive", created_ms=0, scrub=False)
    with open_store(tmp_path / "archive") as again:
        assert first_difference(again.read_trace(), trace) is None


@of_each_tfx
def test_a_waste_model_scores_alike(folder: Path, tmp_path: Path) -> None:
    """Loaded, and saved and loaded again, it gives the probabilities that it gave there."""
    pytest.importorskip("ydf")
    expected = expected_of(folder)["scores"]
    model = load_waste_model(folder / "waste_model")
    assert write.scores_of(model) == pytest.approx(expected, abs=1e-6)
    model.save(tmp_path / "again")
    again = load_waste_model(tmp_path / "again")
    assert write.scores_of(again) == pytest.approx(expected, abs=1e-6)
    assert again.fingerprint == model.fingerprint


@pytest.mark.parametrize(("model", "stores"), [FOLDERS, FOLDERS[::-1]], ids=["new", "old"])
def test_a_model_of_one_scores_the_store_of_the_other(model: Path, stores: Path) -> None:
    """A waste model goes on after the pipeline has moved to another TFX, or back."""
    pytest.importorskip("ydf")
    with open_store(stores / "archive") as archive:
        graphlets = segment(archive.read_trace())
        table = describe(graphlets, Stage.PRE, payloads=archive.payloads)
    scores = load_waste_model(model / "waste_model").predict(table)
    assert len(scores) == 2
    assert ((scores >= 0) & (scores <= 1)).all()
