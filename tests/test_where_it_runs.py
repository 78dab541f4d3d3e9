"""The table of where the gate runs: every cell has a test that exists, or a reason."""

from __future__ import annotations

import pytest

from tests.import_graph import ROOT
from tests.named_tests import without_function
from tests.where_it_runs import BACKENDS, RUNNERS, SCHEMA_NAMES, TABLES, Cell, markdown

CELLS = [
    pytest.param(cell, id=f"{row}-{column}")
    for table in TABLES
    for row, column, cell in table.cells()
]
NODES = {node for table in TABLES for *_, cell in table.cells() for node in cell.tests}


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_a_test_or_a_reason(cell: Cell) -> None:
    """No cell is empty, and none that is not run lacks the reason."""
    assert cell.tests or cell.note
    assert cell.works or (cell.tests and cell.note)


def test_the_tables_are_whole() -> None:
    """Every row has a cell for every column, and no other."""
    assert [set(table.columns) for table in TABLES] == [set(BACKENDS), set(SCHEMA_NAMES)]
    for table in TABLES:
        for _, _, cells in table.rows:
            assert set(cells) == set(table.columns)
    assert len(RUNNERS.rows) == 6


def test_the_function_of_every_node_exists() -> None:
    """The file holds a test of that name."""
    assert without_function(NODES) == []


def test_the_page_shows_the_tables() -> None:
    """docs/where_it_runs.md holds what ``python -m tests.where_it_runs`` prints."""
    assert markdown() in (ROOT / "docs" / "where_it_runs.md").read_text(encoding="utf-8")
