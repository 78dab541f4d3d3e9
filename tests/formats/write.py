"""Writes what the TFX of this environment leaves: a store, an archive of it, a waste model.

    make env TFX=1.21 && .venv/bin/python -W ignore -m tests.formats.write

Two runs of the penguin pipeline, the second with an accuracy that no model reaches, stand in
``tests/formats/tfx-VERSION/metadata.sqlite``; ``expected.json`` says what was computed of all
three where they were written.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from pipelines.flights import history
from tests.import_graph import ROOT
from tfx_graphlets import Stage, describe, open_store, segment
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.stores.archive.archive import write_archive
from tfx_graphlets.stores.store import Store
from tfx_graphlets.waste_model import Dataset, train_waste_model
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.model import WasteModel

FOLDER = Path(__file__).parent
# By name: the history grows.
TRAINED_ON = [
    history.DIRECTORY / name / "archive"
    for name in ("flights-all-dnn-w5-throttle", "flights-all-linear-w3")
]
SCORED = history.DIRECTORY / "flights-all-linear-w4-cached" / "archive"


def graphlets_of(store: Store) -> list[dict[str, Any]]:
    """What a store's graphlets are: trainer, outcome, executions, cost in milliseconds."""
    return [
        {
            "trainer": int(one.trainer),
            "outcome": str(one.outcome),
            "executions": [int(number) for number in one.executions],
            "cost_ms": float(one.cost_ms),
        }
        for one in segment(store.read_trace())
    ]


def table_of(store: Store, stage: Stage) -> FeatureTable:
    """The features of a store's graphlets, payloads read."""
    return describe(segment(store.read_trace()), stage, payloads=store.payloads)


def known_features(table: FeatureTable) -> list[list[str]]:
    """The names of the features that are not missing, for each row."""
    rows = [table.row(number) for number in range(len(table))]
    return [
        sorted(name for name, value in row.items() if value is not None and value == value)  # noqa: PLR0124
        for row in rows
    ]


def scores_of(model: WasteModel) -> list[float]:
    """What a waste model gives the graphlets of a recorded history, float64 [n]."""
    with open_store(SCORED) as store:
        return [float(score) for score in model.predict(table_of(store, Stage.PRE))]


def _run_penguins(folder: Path) -> None:
    from tfx import v1 as tfx

    from pipelines.penguin import data, pipeline

    with contextlib.chdir(folder) if hasattr(contextlib, "chdir") else _chdir(folder):
        for seed, accuracy in ((1, 0.3), (2, 1.1)):
            data.write_penguins("data", 344, seed)
            made = pipeline.create_pipeline(".", accuracy=accuracy)
            tfx.orchestration.LocalDagRunner().run(made)


@contextlib.contextmanager
def _chdir(folder: Path) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _forget_the_machine(path: Path, folder: Path) -> None:
    """Paths of this machine become ``.``, as a relative URI is that of the store's folder."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table, column in (
            ("Artifact", "uri"),
            ("ArtifactProperty", "string_value"),
            ("ExecutionProperty", "string_value"),
            ("ContextProperty", "string_value"),
        ):
            for place in (str(folder), str(ROOT)):
                connection.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, '.')", (place,)
                )
        connection.commit()
        connection.execute("VACUUM")


def main() -> None:
    """Writes the folder of this TFX anew."""
    import tfx

    made = FOLDER / f"tfx-{tfx.__version__.rpartition('.')[0]}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        _run_penguins(folder)
        _forget_the_machine(folder / "metadata.sqlite", folder)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        with open_store(folder / "metadata.sqlite") as store:
            write_archive(store.read_trace(), store.payloads, made / "archive", created_ms=0)
            graphlets = graphlets_of(store)
            table = table_of(store, Stage.VALIDATION)
        shutil.copy(folder / "metadata.sqlite", made / "metadata.sqlite")
    parts = []
    for archive in TRAINED_ON:
        with open_store(archive) as store:
            found = segment(store.read_trace())
            parts.append(Dataset.describe(found, Stage.PRE, store.payloads, archive.parent.name))
    model = train_waste_model(
        Dataset.concatenate(parts), Stage.PRE, 0.9, settings=LearnerSettings(trees=10)
    )
    model.save(made / "waste_model")
    expected = {
        "graphlets": graphlets,
        "known_features": known_features(table),
        "scores": scores_of(model),
    }
    text = json.dumps(expected, indent=1, sort_keys=True) + "\n"
    (made / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
