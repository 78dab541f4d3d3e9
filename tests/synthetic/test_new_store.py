"""Bulk loading into a schema that MLMD made."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.benchmarks.synthetic.new_store import Insert, NewStore, NewType, new_store
from tfx_graphlets.errors import InvalidArgumentError, StoreError

pytest.importorskip("ml_metadata", reason="the store's schema is made by MLMD")

PARENTS = Insert("INSERT INTO ParentContext VALUES", "(?1, ?2), (?2, ?1)", 2)


@contextlib.contextmanager
def opened(path: Path):
    """A new store with one type of each kind."""
    with new_store(
        path,
        artifact_types={"Model": NewType({"span": "INT"}, "MODEL")},
        execution_types={"Trainer": NewType(base_type="TRAIN")},
        context_types={"pipeline": NewType()},
    ) as store:
        yield store


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 137])
def test_every_row_of_columns_is_inserted(count: int, tmp_path: Path) -> None:
    """However many rows go into one statement, all arrive, in order."""
    with opened(tmp_path / "store.sqlite") as store:
        store.load(PARENTS, [range(count), range(1000, 1000 + count)])
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        rows = connection.execute("SELECT * FROM ParentContext ORDER BY rowid").fetchall()
    expected = [((one, one + 1000), (one + 1000, one)) for one in range(count)]
    assert rows == [row for pair in expected for row in pair]


def test_types_are_those_of_mlmd(tmp_path: Path) -> None:
    """Ids are handed out by MLMD, parents and properties are registered."""
    with opened(tmp_path / "store.sqlite") as store:
        ids = store.type_ids
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        parents = connection.execute(
            "SELECT t.id, p.name FROM ParentType JOIN Type t ON t.id = type_id"
            " JOIN Type p ON p.id = parent_type_id ORDER BY p.name"
        ).fetchall()
        properties = connection.execute("SELECT * FROM TypeProperty").fetchall()
    assert parents == [
        (ids["artifact"]["Model"], "mlmd.Model"),
        (ids["execution"]["Trainer"], "mlmd.Train"),
    ]
    assert properties == [(ids["artifact"]["Model"], "span", 1)]


def test_until_the_end_there_is_no_store(tmp_path: Path) -> None:
    """The path is free while rows are loaded, and stays so if SQLite refuses one."""
    path = tmp_path / "store.sqlite"

    def load_twice(store: NewStore) -> None:
        assert not path.exists()
        store.load(PARENTS, [[1], [2]])
        store.load(PARENTS, [[1], [2]])

    with (
        pytest.raises(StoreError, match=r"store\.sqlite: cannot be written: UNIQUE"),
        opened(path) as store,
    ):
        load_twice(store)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The error says what to do."""
    with (
        pytest.raises(InvalidArgumentError, match="its folder does not exist"),
        opened(tmp_path / "none" / "store.sqlite"),
    ):
        pass
