"""The import rules of the architecture, and what must not stand in the repository."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

import tfx_graphlets
from tests.import_graph import PACKAGE, ROOT, arrows, imports_of, module_name, python_files, unit_of

# A ratchet: lower it with every module that a gate can do without. Ten of them are the homes of
# the features, one a group or a part of one.
MODULES_OF_A_GATE = 93
# What sits on the outside: none of it may be needed to compute.
EDGES = {"stores", "gate", "supervision", "analysis", "components", "beam", "report", "cli"}
HEAVY = ["tfx", "tensorflow", "apache_beam", "ydf", "pandas"]
DATABASES = {
    "MySQLdb", "adbc_driver_manager", "adbc_driver_postgresql", "adbc_driver_sqlite", "connectorx",
    "duckdb", "ml_metadata", "mysql", "psycopg", "psycopg2", "pymysql", "sqlalchemy", "sqlite3",
}  # fmt: skip


def modules() -> list[Path]:
    """The files of the package."""
    return python_files(PACKAGE)


def importers(tops: set[str]) -> set[str]:
    """Modules of the package that import one of the given top-level packages, at any depth."""
    return {
        module_name(path)
        for path in modules()
        for target in imports_of(path)
        if target.module.partition(".")[0] in tops
    }


def units_imported_by(unit: str) -> set[str]:
    """Units that a unit imports anywhere in its source, also for type checking alone."""
    return {
        str(unit_of(target.module)).partition(".")[2]
        for path in modules()
        if unit_of(module_name(path)) == f"{PACKAGE}.{unit}"
        for target in imports_of(path)
        if unit_of(target.module)
    } - {unit}


def reached_from(unit: str) -> set[str]:
    """Units that are imported when a unit is, directly or through others."""
    graph = {
        found.partition(".")[2]: {other.partition(".")[2] for other in arrows(paths)}
        for found, paths in _paths_by_unit().items()
    }
    reached: set[str] = set()
    pending = [unit]
    while pending:
        for other in graph[pending.pop()] - reached:
            reached.add(other)
            pending.append(other)
    return reached


def modules_reached_from(unit: str) -> set[str]:
    """Modules that are imported when those of a unit are, directly or through others."""
    graph = {
        module_name(path): {target.module for target in imports_of(path) if not target.typing_only}
        for path in modules()
    }
    pending = [name for name in graph if unit_of(name) == f"{PACKAGE}.{unit}"]
    reached = set(pending)
    while pending:
        for other in graph.get(pending.pop(), set()) - reached:
            reached.add(other)
            pending.append(other)
    return reached


def _paths_by_unit() -> dict[str, list[Path]]:
    grouped: dict[str, list[Path]] = {}
    for path in modules():
        if module_name(path) != PACKAGE:
            grouped.setdefault(str(unit_of(module_name(path))), []).append(path)
    return {PACKAGE: [], **grouped}


def test_no_label_can_leak_into_a_feature() -> None:
    """features/ reaches neither stores/ nor the module of outcomes, directly or through others."""
    assert "stores" not in units_imported_by("features") | reached_from("features")
    reached = modules_reached_from("features")
    assert f"{PACKAGE}.graphlets.graphlet" in reached
    assert f"{PACKAGE}.graphlets.outcome" not in reached


def test_policy_knows_neither_traces_nor_features() -> None:
    """The policy imports neither trace nor features, and reaches neither through others."""
    assert not {"trace", "features"} & (units_imported_by("policy") | reached_from("policy"))


def test_a_gate_decides_without_its_edges() -> None:
    """gate/ imports neither components nor the command line, which both call it; nor a replay."""
    own = units_imported_by("gate") | reached_from("gate")
    assert not {"components", "cli", "backtest", "monitor", "report", "study", "beam"} & own
    assert "gate" in units_imported_by("components") & reached_from("cli")
    # What live gate and replay share stands below both.
    assert "policy" in units_imported_by("gate") & units_imported_by("backtest")


def loaded_by(*names: str) -> set[str]:
    """Modules of the package that a new process has loaded after importing some."""
    code = f"import json, sys, {', '.join(names)}; print(json.dumps(sorted(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = json.loads(process.stdout.splitlines()[-1])
    return {name for name in loaded if name.partition(".")[0] == PACKAGE}


@pytest.mark.tfx
def test_a_live_gate_loads_no_more_than_it_did() -> None:
    """Modules of GraphletGen's and WasteGate's executors and what they start; the goal is 60.

    What they import late is among them: a store that answers look-ups, and the waste model.
    """
    rooms = "supervision.tasks", "waste_model.model", "stores.sql.sqlite_lookups"
    decides = [f"{PACKAGE}.{name}" for name in rooms]
    loaded = loaded_by(f"{PACKAGE}.components.executors", *decides)
    assert len(loaded) <= MODULES_OF_A_GATE, sorted(loaded)
    units = {str(unit_of(name)).partition(".")[2] for name in loaded}
    assert not {"backtest", "monitor", "report", "study", "beam", "cli", "analysis"} & units
    assert f"{PACKAGE}.rehearsal.scouts" not in loaded
    assert f"{PACKAGE}.waste_model.training" not in loaded


def test_only_components_import_tfx() -> None:
    """Outside components/ nothing in the package imports tfx."""
    assert {unit_of(module) for module in importers({"tfx"})} == {f"{PACKAGE}.components"}


def test_one_file_imports_ydf() -> None:
    """Exactly one file imports ydf, and it belongs to the waste model."""
    (module,) = importers({"ydf", "yggdrasil_decision_forests"})
    assert unit_of(module) == f"{PACKAGE}.waste_model"


def test_only_stores_touches_a_database() -> None:
    """Database drivers and ml_metadata are imported in stores/ alone."""
    assert {unit_of(module) for module in importers(DATABASES)} == {f"{PACKAGE}.stores"}


def test_only_beam_imports_beam() -> None:
    """Outside beam/ nothing in the package imports apache_beam."""
    assert {unit_of(module) for module in importers({"apache_beam"})} <= {f"{PACKAGE}.beam"}


def test_nothing_imports_the_command_line() -> None:
    """cli/ is imported by itself and by __main__ alone."""
    users = {
        unit_of(module_name(path))
        for path in python_files(PACKAGE, "pipelines")
        for target in imports_of(path)
        if unit_of(target.module) == f"{PACKAGE}.cli"
    }
    assert users <= {f"{PACKAGE}.cli", f"{PACKAGE}.__main__"}


def test_core_imports_no_edge() -> None:
    """No module outside the edges imports one of them, but for the lazy table of contents."""
    units = {name.partition(".")[2] for name in _paths_by_unit()} - EDGES - {"", "__main__"}
    users = {unit: units_imported_by(unit) & EDGES for unit in units}
    assert {unit: edges for unit, edges in users.items() if edges} == {}


def test_no_module_is_longer_than_400_lines() -> None:
    """A file of the package or of the pipelines that passes 400 lines has to be split by noun."""
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(PACKAGE, "pipelines")
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_room_has_more_than_12_modules() -> None:
    """Beside its `__init__`; what passes that holds two ideas, or one idea in too many files."""
    rooms = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for path in modules()
        if path.name != "__init__.py" and path.parent.name != PACKAGE
    )
    assert {room: count for room, count in rooms.items() if count > 12} == {}


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`import tfx_graphlets` loads none of tfx, tensorflow, apache_beam, ydf, pandas."""
    code = f"import json, sys, {PACKAGE}; print(json.dumps(sorted(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = json.loads(process.stdout)
    assert PACKAGE in loaded
    assert [name for name in HEAVY if name in loaded] == []


def unpacked(path: Path) -> bytes:
    """What a file says, its compression undone."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return b"\n".join(archive.read(name) for name in archive.namelist())
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
        return repr((table.schema.metadata, table.to_pydict())).encode()
    return path.read_bytes()


@pytest.mark.tfx
def test_every_public_name_can_be_imported() -> None:
    """Each name in __all__ is there when asked for, and is listed by dir()."""
    assert sorted(tfx_graphlets.__all__) == dir(tfx_graphlets)
    for name in tfx_graphlets.__all__:
        assert getattr(tfx_graphlets, name) is not None


def test_no_path_of_a_machine_stands_in_the_repository() -> None:
    """No tracked file, text or binary, names a home directory or the host of a package registry."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the repository")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    # Written so that this file does not match itself.
    forbidden = re.compile(
        rb"(?<![\w.-])/(?:(?:work|farm|r[o]ot|tm[p]|hom[e]|Us[e]rs)/[\w.])"
        rb"|pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|deb\.debian\.org"
    )
    found = {}
    for name in listed.stdout.decode("utf-8").split("\0"):
        path = ROOT / name
        if name and path.is_file() and (match := forbidden.search(unpacked(path))):
            found[name] = match[0]
    assert found == {}


def test_no_name_that_a_room_gives_late_is_one_of_its_modules() -> None:
    """Once such a module is imported, it would stand where the name is looked for."""
    for path in sorted((ROOT / "tfx_graphlets").rglob("__init__.py")):
        if "def __getattr__" not in path.read_text(encoding="utf-8"):
            continue
        room = ".".join(path.parent.relative_to(ROOT).parts)
        names = set(importlib.import_module(room).__all__)
        modules = {module.stem for module in path.parent.glob("*.py")}
        assert names & modules == set(), room
