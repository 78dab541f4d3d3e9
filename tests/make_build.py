"""Writes BUILD from the files that exist and the imports in them.

python -m tests.make_build
"""

from __future__ import annotations

import pathlib
from collections import defaultdict
from collections.abc import Iterable

from tests.import_graph import PACKAGE, ROOT, arrows, module_name, python_files, unit_of

RUNNER = ROOT / "tests" / "bazel_main.py"
HEADER = """\
# Bazel's view of the repository: one py_library per unit of the package, whose deps are the
# imports that run in it, and one py_test per test file. Written by `make build_file`; a test
# holds it to the source. Python packages from outside come from the environment that runs it.
# The rules are native ones: beside an empty WORKSPACE, `bazel query //:all` works offline.

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["LICENSE"])
"""


def is_test(path: pathlib.Path) -> bool:
    """Whether pytest collects the file."""
    return path.name.startswith("test_")


def label(unit: str) -> str:
    """Target of a unit: `tfx_graphlets.features` is `features`, the package is `tfx_graphlets`."""
    return unit.removeprefix(f"{PACKAGE}.").replace(".", "/")


def render() -> str:
    """The text of BUILD."""
    units: dict[str, list[pathlib.Path]] = defaultdict(list)
    for path in python_files(PACKAGE, "pipelines"):
        units[str(unit_of(module_name(path)))].append(path)
    of_tests = python_files("tests")
    blocks = [HEADER]
    for unit in sorted(units, key=lambda unit: (not unit.startswith(PACKAGE), unit)):
        paths = units[unit]
        main = f"{PACKAGE}/__main__.py" if unit == f"{PACKAGE}.__main__" else None
        kind = "py_binary" if main else "py_library"
        name = "tfx-graphlets" if main else label(unit)
        blocks.append(_rule(kind, name, paths, deps=arrows(paths), main=main))
    support = [path for path in of_tests if not is_test(path) and path != RUNNER]
    blocks.append(_rule("py_library", "tests", support, deps=arrows(support), testonly=True))
    for path in of_tests:
        if is_test(path):
            name = path.relative_to(ROOT).with_suffix("").as_posix()
            deps = arrows([path]) | {"tests"}  # conftest.py
            main = RUNNER.relative_to(ROOT).as_posix()
            blocks.append(_rule("py_test", name, [path, RUNNER], deps=deps, main=main))
    return "\n".join(blocks)


def _rule(
    kind: str,
    name: str,
    paths: Iterable[pathlib.Path],
    *,
    deps: Iterable[str],
    testonly: bool = False,
    main: str | None = None,
) -> str:
    sources = [path.relative_to(ROOT).as_posix() for path in paths]
    lines = [f"{kind}(", f'    name = "{name}",']
    if testonly:
        lines.append("    testonly = True,")
    lines.extend(_list("srcs", sources))
    if main:
        lines.append(f'    main = "{main}",')
    if kind == "py_test":
        lines.append(f'    args = ["{sources[0]}"],')
    if name == PACKAGE:
        lines.append(f'    data = ["{PACKAGE}/py.typed"],')
    elif name.startswith("pipelines/"):
        lines.append(f'    data = glob(["{name}/**"], exclude = ["**/*.py"]),')
    lines.extend(_list("deps", sorted(f":{label(unit)}" for unit in deps)))
    return "\n".join((*lines, ")", ""))


def _list(key: str, values: list[str]) -> list[str]:
    if not values:
        return []
    if len(values) == 1:
        return [f'    {key} = ["{values[0]}"],']
    return [f"    {key} = [", *(f'        "{value}",' for value in values), "    ],"]


def main() -> None:
    """Writes BUILD anew."""
    partial = ROOT / "BUILD.partial"
    partial.write_text(render(), encoding="utf-8")
    partial.replace(ROOT / "BUILD")


if __name__ == "__main__":
    main()
