"""Writes BUILD from the files that exist and the imports in them.

python -m tests.make_build
"""

from __future__ import annotations

import pathlib
import textwrap
from collections import defaultdict

from tests.import_graph import PACKAGE, ROOT, arrows, module_name, python_files, unit_of

RUNNER = ROOT / "tests" / "bazel_main.py"
HEADER = """\
# Bazel's view of the repository: one py_library per unit of the package, whose deps are the
# imports that run in it, and one py_test per test folder. Written by `make build_file`; a test
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
    blocks = [HEADER]
    in_order = sorted(units, key=lambda unit: (not unit.startswith(PACKAGE), unit))
    blocks.extend(_of_unit(unit, units[unit]) for unit in in_order)
    support = []
    folders: dict[str, list[pathlib.Path]] = defaultdict(list)
    for path in python_files("tests"):
        if is_test(path):
            folders[path.parent.relative_to(ROOT).as_posix()].append(path)
        elif path != RUNNER:
            support.append(path)
    helpers = 'glob(["tests/**/*.py"], exclude = ["tests/**/test_*.py", "tests/bazel_main.py"])'
    blocks.append(_rule("py_library", "tests", helpers, arrows(support), testonly="True"))
    for folder, paths in sorted(folders.items()):
        files = f"{folder}/test_*.py"
        runner = RUNNER.relative_to(ROOT).as_posix()
        blocks.append(
            _rule(
                "py_test",
                f"{folder}/all",
                f'glob(["{files}"]) + ["{runner}"]',
                arrows(paths) | {"tests"},  # conftest.py
                main=f'"{runner}"',
                args=f'["{files}"]',
            )
        )
    return "\n".join(blocks)


def _of_unit(unit: str, paths: list[pathlib.Path]) -> str:
    """The rule of a module at the top, or of a folder with what is below it."""
    name = label(unit)
    first = paths[0].relative_to(ROOT).as_posix()
    sources = f'["{first}"]'
    if unit == f"{PACKAGE}.__main__":
        return _rule("py_binary", "tfx-graphlets", sources, arrows(paths), main=f'"{first}"')
    if unit == PACKAGE:
        data = f'["{PACKAGE}/py.typed"]'
        return _rule("py_library", name, sources, arrows(paths), data=data)
    folder = unit.replace(".", "/")
    if "." in unit and (ROOT / folder).is_dir():
        sources = f'glob(["{folder}/**/*.py"])'
    if name.startswith("pipelines/"):
        data = f'glob(["{folder}/**"], exclude = ["**/*.py"])'
        return _rule("py_library", name, sources, arrows(paths), data=data)
    return _rule("py_library", name, sources, arrows(paths))


def _rule(kind: str, name: str, sources: str, units: set[str], **others: str) -> str:
    """One rule; what depends on nothing has no deps."""
    lines = [f"{kind}(", f'    name = "{name}",', f"    srcs = {sources},"]
    lines.extend(f"    {key} = {value}," for key, value in others.items())
    if units:
        deps = ", ".join(f'":{label(unit)}"' for unit in sorted(units, key=label))
        lines.extend(
            textwrap.wrap(
                f"deps = [{deps}],",
                width=100,
                initial_indent=" " * 4,
                subsequent_indent=" " * 12,
                break_on_hyphens=False,
            )
        )
    return "\n".join((*lines, ")", ""))


def main() -> None:
    """Writes BUILD anew."""
    partial = ROOT / "BUILD.partial"
    partial.write_text(render(), encoding="utf-8")
    partial.replace(ROOT / "BUILD")


if __name__ == "__main__":
    main()
