"""BUILD says about the repository what is so."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from typing import Any

import pytest

from tests.import_graph import PACKAGE, ROOT, arrows, module_name, python_files, unit_of

MEND = "`make build_file` writes BUILD anew"


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Every rule of one kind in BUILD, by name: its arguments that are literals."""
    found = {}
    for statement in ast.parse((ROOT / "BUILD").read_text(encoding="utf-8")).body:
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)
        if ast.unparse(statement.value.func) == kind:
            arguments = {
                str(keyword.arg): ast.literal_eval(keyword.value)
                for keyword in statement.value.keywords
                if not isinstance(keyword.value, ast.Call)
            }
            found[str(arguments["name"])] = arguments
    return found


def libraries() -> dict[str, dict[str, Any]]:
    """The libraries and the binary."""
    return {**rules("py_library"), **rules("py_binary")}


def test_every_module_is_in_exactly_one_library() -> None:
    """The sources of BUILD's libraries are the Python files that exist, each of them once."""
    listed = sorted(source for rule in libraries().values() for source in rule.get("srcs", []))
    existing = sorted(
        path.relative_to(ROOT).as_posix()
        for path in python_files(PACKAGE, "pipelines", "tests")
        if not path.name.startswith("test_") and path.name != "bazel_main.py"
    )
    assert listed == existing, MEND


def test_every_test_file_has_one_py_test() -> None:
    """Each file that pytest collects has one py_test, which runs that file through pytest."""
    existing = [path.relative_to(ROOT).as_posix() for path in python_files("tests")]
    listed = {rule["args"][0]: rule["main"] for rule in rules("py_test").values()}
    assert listed == {
        path: "tests/bazel_main.py"
        for path in existing
        if path.rpartition("/")[2].startswith("test_")
    }, MEND


@pytest.mark.parametrize("kind", ["py_library", "py_binary", "py_test"])
def test_dependencies_are_the_imports(kind: str) -> None:
    """What a rule depends on is what its sources import when they run, no more and no less."""
    library_of = {
        unit_of(module_name(ROOT / source)): f":{name}"
        for name, rule in libraries().items()
        for source in rule.get("srcs", [])
    }
    for name, rule in rules(kind).items():
        sources = [ROOT / source for source in rule.get("srcs", [])]
        wanted = {library_of[unit] for unit in arrows(sources)}
        if kind == "py_test":
            wanted.add(":tests")
        assert set(rule.get("deps", [])) == wanted, f"{name}: {MEND}"


def test_dependencies_run_one_way() -> None:
    """No two libraries depend on each other, directly or through others."""
    graph = {f":{name}": rule.get("deps", []) for name, rule in libraries().items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)
