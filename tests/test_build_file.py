"""BUILD says about the repository what is so."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from typing import Any

import pytest

from tests.import_graph import PACKAGE, ROOT, arrows, module_name, python_files, unit_of

MEND = "`make build_file` writes BUILD anew"


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Every rule of one kind in BUILD, by name: its arguments, globs as the files they match."""
    found = {}
    for statement in ast.parse((ROOT / "BUILD").read_text(encoding="utf-8")).body:
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)
        if ast.unparse(statement.value.func) == kind:
            arguments = {str(one.arg): evaluated(one.value) for one in statement.value.keywords}
            found[arguments["name"]] = arguments
    return found


def evaluated(value: ast.expr) -> Any:
    """What an argument is: a literal, a glob (its files, sorted), or two lists added."""
    if isinstance(value, ast.BinOp):
        return evaluated(value.left) + evaluated(value.right)
    if not isinstance(value, ast.Call):
        return ast.literal_eval(value)
    assert ast.unparse(value.func) == "glob"
    (included,) = map(matched, value.args)
    return sorted(included.difference(*(matched(found.value) for found in value.keywords)))


def matched(patterns: ast.expr) -> set[str]:
    """The files that a list of patterns matches, as Bazel names them."""
    return {
        path.relative_to(ROOT).as_posix()
        for pattern in ast.literal_eval(patterns)
        for path in ROOT.glob(pattern)
        if path.is_file()
    }


def libraries() -> dict[str, dict[str, Any]]:
    """The libraries and the binary."""
    return {**rules("py_library"), **rules("py_binary")}


def test_every_module_is_in_exactly_one_library() -> None:
    """The sources of BUILD's libraries are the Python files that exist, each of them once."""
    listed = sorted(source for rule in libraries().values() for source in rule["srcs"])
    existing = sorted(
        path.relative_to(ROOT).as_posix()
        for path in python_files(PACKAGE, "pipelines", "tests")
        if not path.name.startswith("test_") and path.name != "bazel_main.py"
    )
    assert listed == existing, MEND


def test_every_room_has_one_library() -> None:
    """The sources of a library are one unit: a folder with all below it, or one module."""
    for name, rule in libraries().items():
        assert len({unit_of(module_name(ROOT / source)) for source in rule["srcs"]}) == 1, name


def test_every_test_file_is_in_the_one_py_test_of_its_folder() -> None:
    """A py_test runs the files of one folder that pytest collects, and no folder has two."""
    existing = defaultdict(list)
    for path in python_files("tests"):
        if path.name.startswith("test_"):
            existing[path.parent].append(path.relative_to(ROOT).as_posix())
    listed = []
    for name, rule in rules("py_test").items():
        assert rule["main"] == "tests/bazel_main.py"
        assert rule["main"] in rule["srcs"]
        (pattern,) = rule["args"]
        run = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
        assert sorted({*rule["srcs"]} - {rule["main"]}) == run, name
        listed.append(run)
    assert sorted(listed) == sorted(existing.values()), MEND


@pytest.mark.parametrize("kind", ["py_library", "py_binary", "py_test"])
def test_dependencies_are_the_imports(kind: str) -> None:
    """What a rule depends on is what its sources import when they run, no more and no less."""
    library_of = {
        unit_of(module_name(ROOT / source)): f":{name}"
        for name, rule in libraries().items()
        for source in rule["srcs"]
    }
    for name, rule in rules(kind).items():
        wanted = {library_of[unit] for unit in arrows(ROOT / source for source in rule["srcs"])}
        if kind == "py_test":
            wanted.add(":tests")
        assert set(rule.get("deps", [])) == wanted, f"{name}: {MEND}"


def test_dependencies_run_one_way() -> None:
    """No two libraries depend on each other, directly or through others."""
    graph = {f":{name}": rule.get("deps", []) for name, rule in libraries().items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_the_runner_of_a_py_test_runs_the_files_of_its_pattern() -> None:
    """Started as a file, as Bazel starts it, from the root."""
    words = ["tests/bazel_main.py", "tests/test_cut.py", "--collect-only", "-q"]
    process = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    collected = {line.partition("::")[0] for line in process.stdout.splitlines() if "::" in line}
    assert collected == {"tests/test_cut.py"}
