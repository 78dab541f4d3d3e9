"""No change of the code changes a feature unseen: golden tables of recorded histories.

Every stage of every recorded history, and digests for what is not ours to copy.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.corpus import needs_corpus, public_stores, real_runs
from tests.golden.digests import Digests, changed, digests, name_of
from tests.golden.tables import differences, first_recorded, message, read_table, write_table
from tfx_graphlets import FeatureTable, Stage, describe, open_store, segment

GOLDEN = Path(__file__).parent
KEYS = ("history", "trainer")


def described(path: Path, stage: Stage, *, payloads: bool = True) -> FeatureTable:
    """Features of all graphlets of a store."""
    with open_store(path) as store:
        graphlets = segment(store.read_trace())
        return describe(graphlets, stage, payloads=store.payloads if payloads else None)


def named(table: FeatureTable, name: str) -> pa.Table:
    """The table with the name of its history as its first column."""
    return table.to_arrow().add_column(0, "history", pa.array([name] * len(table), pa.string()))


@pytest.mark.parametrize("stage", Stage)
def test_features_of_the_recorded_histories_are_the_golden_ones(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    """All columns of a stage, payloads read, equal the golden table but for rounding."""
    path = GOLDEN / f"features_{stage}.parquet"
    table = pa.concat_tables(
        named(described(archive, stage), archive.parent.name) for archive in first_recorded()
    )
    if request.config.getoption("--update-golden"):
        write_table(path, table)
    found = differences(table, read_table(path, table.schema), KEYS)
    assert not found, message(path, found, request.node.nodeid)


def hold(
    tables: dict[str, FeatureTable], name: str, stage: Stage, request: pytest.FixtureRequest
) -> None:
    """Compares the digests of tables with the golden ones, or writes those."""
    path = GOLDEN / f"digests_{name}_{stage}.json"
    actual = digests(tables)
    if request.config.getoption("--update-golden"):
        path.write_text(json.dumps(actual, indent=1) + "\n", encoding="utf-8")
    found = changed(actual, path)
    for store in tables:  # a name that a person can look up
        found = [line.replace(name_of(store), store) for line in found]
    assert not found, message(path, found, request.node.nodeid)


@pytest.mark.parametrize("stage", Stage)
def test_features_without_payloads_are_the_golden_ones(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    """What is described from the metadata alone equals the golden digests."""
    tables = {
        archive.parent.name: described(archive, stage, payloads=False)
        for archive in first_recorded()
    }
    hold(tables, "without_payloads", stage, request)


@needs_corpus
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", ["public", "real_runs"])
def test_features_of_the_corpus_are_the_golden_ones(
    name: str, stage: Stage, request: pytest.FixtureRequest
) -> None:
    """Stores of other people's pipelines give the golden digests, column by column."""
    stores = public_stores() if name == "public" else real_runs()
    tables = {
        name_of(path.stem if name == "public" else path.parent.name): described(path, stage)
        for path in stores
    }
    hold(tables, name, stage, request)


def a_table(*, cost: list[float | None], kind: list[str]) -> pa.Table:
    """A short table of two graphlets."""
    return pa.table(
        {
            "history": ["one", "one"],
            "trainer": [4, 9],
            "cost": pa.array(cost, pa.float64()),
            "kind": kind,
        }
    )


def test_equal_but_for_rounding_is_equal() -> None:
    """The last digits of a number do not count, and missing equals missing."""
    one = a_table(cost=[0.1 + 0.2, None], kind=["dnn", "linear"])
    assert differences(one, a_table(cost=[0.3, None], kind=["dnn", "linear"]), KEYS) == []


def test_a_difference_names_its_column_and_its_first_graphlet() -> None:
    """The line says where to look, what is there and what was."""
    one = a_table(cost=[1.0, 2.5], kind=["dnn", "linear"])
    found = differences(one, a_table(cost=[1.0, 2.0], kind=["dnn", "wide"]), KEYS)
    assert found == [
        "cost: 1 of 2 rows; the first is history one, trainer 9: 2.5, was 2.0",
        "kind: 1 of 2 rows; the first is history one, trainer 9: 'linear', was 'wide'",
    ]


def test_missing_differs_from_zero() -> None:
    """A value that went missing is a difference, and so is one that came."""
    one = a_table(cost=[None, 0.0], kind=["dnn", "linear"])
    found = differences(one, a_table(cost=[0.0, 0.0], kind=["dnn", "linear"]), KEYS)
    assert found == ["cost: 1 of 2 rows; the first is history one, trainer 4: None, was 0.0"]


def test_columns_and_rows_that_came_or_went_are_differences() -> None:
    """Neither a column more or less nor other graphlets pass."""
    one = a_table(cost=[1.0, 2.0], kind=["dnn", "linear"])
    assert differences(one, one.drop(["cost"]), KEYS) == ["cost: a column that the golden lacks"]
    assert differences(one.drop(["kind"]), one, KEYS) == ["kind: no column any more"]
    assert "rows: 1 and 2" in differences(one.slice(0, 1), one, KEYS)[0]
    assert "was ('one', 4)" in differences(one.take([1, 0]), one, KEYS)[0]


def test_a_golden_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Parquet and CSV keep numbers, text and what is missing."""
    one = a_table(cost=[0.1 + 0.2, None], kind=["d,n\nn", ""])
    for name in ("table.parquet", "table.csv"):
        write_table(tmp_path / name, one)
        assert read_table(tmp_path / name, one.schema).to_pylist() == one.to_pylist()


def without(table: FeatureTable, name: str) -> FeatureTable:
    """The table with a column whose first value is another."""
    column = np.array(table.numbers(name))
    column[0] = 7.25 if np.isnan(column[0]) else np.nan
    return FeatureTable(table.stage, table.trainer, table.features, {**table.columns, name: column})


def test_a_digest_that_differs_names_the_column_and_the_store(tmp_path: Path) -> None:
    """One value of one store changes one column and one store."""
    archives = first_recorded()[:2]
    tables = {path.parent.name: described(path, Stage.INPUT, payloads=False) for path in archives}
    path = tmp_path / "golden.json"
    golden: Digests = digests(tables)
    path.write_text(json.dumps(golden), encoding="utf-8")
    assert changed(digests(dict(reversed(tables.items()))), path) == []
    store = archives[1].parent.name
    tables[store] = without(tables[store], "input_data.spans")
    assert changed(digests(tables), path) == [
        "columns: input_data.spans differs",
        f"stores: {store} differs",
    ]
