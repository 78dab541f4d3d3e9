"""Who imports whom in this repository, read from the source without running it.

A *unit* is what BUILD has one library for: a module directly in the package, one
of its sub-packages, the package's own `__init__`, or a folder of pipelines/.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = "tfx_graphlets"


@dataclasses.dataclass(frozen=True, order=True)
class Import:
    """One import statement's target.

    Attributes:
      module: dotted name of what is imported, as written; for `from a import b`
        it is `a.b` if that is a module of this repository, else `a`.
      line: line number in the importing file, from 1.
      typing_only: it stands under `if TYPE_CHECKING:`.
    """

    module: str
    line: int
    typing_only: bool


def module_name(path: pathlib.Path) -> str:
    """Dotted name of a file below the root; an `__init__.py` has the name of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python_files(*folders: str) -> list[pathlib.Path]:
    """Every Python file below the given top-level folders, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def is_module(name: str) -> bool:
    """Whether a dotted name is a module or package of this repository."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@functools.cache
def imports_of(path: pathlib.Path) -> list[Import]:
    """Every import in a file, at any depth, each target once, sorted."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return sorted(set(_walk(tree, path, typing_only=False)))


def _walk(node: ast.AST, path: pathlib.Path, *, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, typing_only)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, path)
            for alias in child.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if is_module(inner) else base, child.lineno, typing_only)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.body:
                wrapped = ast.Module(body=[statement], type_ignores=[])
                yield from _walk(wrapped, path, typing_only=True)
            for statement in child.orelse:
                wrapped = ast.Module(body=[statement], type_ignores=[])
                yield from _walk(wrapped, path, typing_only=typing_only)
        else:
            yield from _walk(child, path, typing_only=typing_only)


def _absolute(node: ast.ImportFrom, path: pathlib.Path) -> str:
    if not node.level:
        return node.module or ""
    parts = path.relative_to(ROOT).parent.parts
    kept = parts[: len(parts) - node.level + 1]
    return ".".join((*kept, *(node.module or "").split("."))).rstrip(".")


def unit_of(module: str) -> str | None:
    """The unit that a dotted name belongs to; None for what is not of this repository.

    >>> unit_of("tfx_graphlets.features.table"), unit_of("numpy")
    ('tfx_graphlets.features', None)
    """
    parts = module.split(".")
    if parts[0] not in (PACKAGE, "pipelines", "tests"):
        return None
    return "tests" if parts[0] == "tests" else ".".join(parts[:2])


def arrows(paths: Iterable[pathlib.Path]) -> set[str]:
    """The units that the given files import when they run, their own left out.

    What stands under `if TYPE_CHECKING:` does not count, but for the package's
    `__init__`: it names there what it imports by name when first asked.
    """
    found = set()
    own = set()
    for path in paths:
        name = module_name(path)
        own.add(unit_of(name))
        for target in imports_of(path):
            if not target.typing_only or name == PACKAGE:
                found.add(unit_of(target.module))
    return {unit for unit in found - own if unit is not None}
