"""The table of shapes: every shape has tests, pytest collects them, the page shows it."""

from __future__ import annotations

import pytest

from tests.corpus import CASES as FOLDER
from tests.import_graph import ROOT
from tests.named_tests import uncollected, without_function
from tests.shapes import ALL, CASES, markdown
from tests.where_it_runs import TABLES

TESTS = {test for shape in ALL for test in shape.tests}
TESTS |= {test for tests in CASES.values() for test in tests}


def test_every_shape_that_people_build_has_a_row() -> None:
    """Each once, with what the gate does there and at least two tests."""
    names = [shape.name for shape in ALL]
    assert len(set(names)) == len(names) == 13
    assert [shape.name for shape in ALL if len(shape.tests) < 2 or not shape.does] == []


def test_every_public_case_has_a_test_and_its_kind_another() -> None:
    """Which is not like it."""
    assert [name for name, tests in CASES.items() if len(set(tests)) < 2] == []
    there = {place.parent.name for place in FOLDER.glob("*/README")}
    assert there - CASES.keys() == set()


def test_every_test_that_is_named_exists() -> None:
    """Its file holds a function of that name."""
    assert without_function(TESTS) == []
    assert without_function(["tests/test_shapes.py::test_none"]) != []


@pytest.mark.tfx
@pytest.mark.slow
def test_pytest_collects_every_test_that_is_named() -> None:
    """With its parameters, where a table names them: this one and that of where the gate runs."""
    cells = {test for table in TABLES for *_, cell in table.cells() for test in cell.tests}
    assert uncollected(TESTS | cells) == []


def test_the_page_shows_the_table() -> None:
    """docs/shapes.md holds what ``python -m tests.shapes`` prints."""
    assert markdown() in (ROOT / "docs" / "shapes.md").read_text(encoding="utf-8")
