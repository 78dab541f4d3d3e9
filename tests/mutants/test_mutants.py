"""Mutants change what a module does and nothing else, and tests are run against them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_graph import PACKAGE, ROOT, is_module
from tests.mutants.targets import TARGETS, nearest_tests

SOURCE = '''\
"""What it is for."""

from __future__ import annotations

MOST: int | None = 3


def few(count: int | None) -> bool:
    """Whether it is few."""
    if count is None:
        raise ValueError("give a count")
    return count < 2
'''


def test_what_is_mutated_exists() -> None:
    """Every module and every test file of the list; who moves one names its new place."""
    for module in TARGETS:
        assert is_module(f"{PACKAGE}.{module}"), module
        assert nearest_tests(module)


def test_annotations_and_texts_are_left_alone() -> None:
    """Defaults, comparisons and numbers change, one at a time."""
    pytest.importorskip("mutmut")
    from tests.mutants.mutations import mutants_of

    mutants = mutants_of(SOURCE)
    assert {(mutant.line, mutant.after) for mutant in mutants} == {
        (5, "MOST: int | None = 4"),
        (5, "MOST: int | None = None"),
        (10, "if count is not None:"),
        (12, "return count <= 2"),
        (12, "return count < 3"),
    }
    assert mutants_of(SOURCE, sample=2, seed=1) == mutants_of(SOURCE, sample=2, seed=1)
    assert len(mutants_of(SOURCE, sample=2)) == 2


RUN = """
import sys
from pathlib import Path
from tests.mutants.running import run
sys.path.insert(0, sys.argv[1])
source = Path(sys.argv[1], "few_or_many.py").read_text()
tests = [Path(sys.argv[1], "test_few_or_many.py")]
for changed in (None, source.replace("< 2", "< 3"), source.replace("< 2", "<= 2"),
                source.replace("= 3", "= 4"), "import nothing_of_this_name"):
    print(run("few_or_many", changed, tests, 60).passed)
print(run("few_or_many", source + "while True: pass", tests, 2).code)
"""


@pytest.mark.long
def test_a_mutant_survives_what_no_test_notices(tmp_path: Path) -> None:
    """Unchanged it passes, a changed bound fails, a default that no test reads passes."""
    (tmp_path / "few_or_many.py").write_text(SOURCE, encoding="utf-8")
    test = "from few_or_many import few\n\ndef test_few():\n    assert few(1) and not few(2)\n"
    (tmp_path / "test_few_or_many.py").write_text(test, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "False", "False", "True", "False", "None"]
    assert (tmp_path / "few_or_many.py").read_text(encoding="utf-8") == SOURCE
