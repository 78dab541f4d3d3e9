"""Hashes of the code that a node will run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tfx_graphlets.gate import code
from tfx_graphlets.gate.code import hash_of_place, hash_of_properties

HASH = "0123456789abcdef" * 4


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package ``taxi`` with a module in an inner package, within reach of imports."""
    root = tmp_path / "taxi"
    (root / "keras").mkdir(parents=True)
    (root / "__init__.py").write_text("raise RuntimeError('nobody imports me')\n")
    (root / "features.py").write_text("NAMES = ['fare']\n")
    (root / "keras" / "__init__.py").touch()
    (root / "keras" / "model.py").write_text("def run_fn(args):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return root


def test_the_hash_of_a_packed_module_is_that_of_its_wheel() -> None:
    """What TFX has packed has its hash in ``module_path``, and its file is not asked."""
    place = f"model@gs://bucket/_wheels/tfx_user_code_Trainer-0.0+{HASH}-py3-none-any.whl"
    assert hash_of_properties({"module_path": place, "module_file": "gone.py"}) == HASH


def test_a_file_that_is_not_packed_has_the_hash_that_tfx_would_give_it(tmp_path: Path) -> None:
    """So a gate before a launch knows the code by the name that the run will record."""
    udf_utils = pytest.importorskip("tfx.components.util.udf_utils")
    (tmp_path / "model.py").write_text("def run_fn(args): ...\n")
    (tmp_path / "features.py").write_text("NAMES = []\n")
    (tmp_path / "notes.txt").write_text("no code\n")
    wanted = udf_utils._get_version_hash(str(tmp_path), ["model.py", "features.py"])
    assert hash_of_place(str(tmp_path / "model.py")) == wanted
    assert hash_of_properties({"module_file": str(tmp_path / "model.py")}) == wanted


@pytest.mark.parametrize("changed", ["features.py", "keras/model.py"])
def test_a_change_anywhere_in_the_package_changes_the_hash(package: Path, changed: str) -> None:
    """A function's import path stands for the package that its module lies in."""
    before = hash_of_properties({"run_fn": "taxi.keras.model.run_fn"})
    assert len(before) == 64
    assert hash_of_properties({"run_fn": "taxi.keras.model.run_fn"}) == before
    with (package / changed).open("a") as file:
        file.write("# another commit\n")
    assert hash_of_properties({"run_fn": "taxi.keras.model.run_fn"}) != before


def test_a_node_s_hash_is_that_of_the_place_that_it_names(package: Path) -> None:
    """So a command that is told the place knows the code by the name that runs have recorded."""
    assert package.exists()
    place = "taxi.keras.model.run_fn"
    assert hash_of_properties({"run_fn": place, "module_file": None}) == hash_of_place(place)


def test_what_is_no_source_does_not_change_the_hash(package: Path) -> None:
    """Compiled files and data come and go."""
    before = hash_of_place("taxi.keras.model.run_fn")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "features.pyc").write_bytes(b"1")
    (package / "rows.csv").write_text("1\n")
    assert hash_of_place("taxi.keras.model.run_fn") == before


def test_another_function_of_the_package_is_other_code(package: Path) -> None:
    """Both arms of a template's switch lie in one package."""
    assert package.exists()
    linear, deep = (hash_of_place(f"taxi.keras.model.{name}") for name in ("linear", "deep"))
    assert linear and deep and linear != deep  # noqa: PT018 - one fact


def test_the_same_package_elsewhere_has_the_same_hash(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each machine has its own folder."""
    before = hash_of_place("taxi.keras.model.run_fn")
    package.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "taxi")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert hash_of_place("taxi.keras.model.run_fn") == before


def test_nothing_is_imported(package: Path) -> None:
    """The package's ``__init__`` would raise."""
    assert hash_of_place("taxi.keras.model.run_fn")
    assert "taxi" not in sys.modules


def test_a_module_in_no_package_is_hashed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its neighbours in a folder of ``sys.path`` are other people's."""
    (tmp_path / "trainer_of_taxi.py").write_text("def run_fn(args): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = hash_of_place("trainer_of_taxi.run_fn")
    (tmp_path / "neighbour.py").write_text("A = 1\n")
    assert before
    assert hash_of_place("trainer_of_taxi.run_fn") == before


def test_of_a_huge_package_the_folder_of_the_module_counts(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monorepo changes with every commit, and takes long to read."""
    monkeypatch.setattr(code, "_MOST_FILES", 3)
    before = hash_of_place("taxi.keras.model.run_fn")
    (package / "features.py").write_text("NAMES = []\n")
    assert hash_of_place("taxi.keras.model.run_fn") == before
    (package / "keras" / "model.py").write_text("def run_fn(args): ...\n")
    assert hash_of_place("taxi.keras.model.run_fn") != before


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"run_fn": None, "module_file": ""},
        {"run_fn": "no.such.package.run_fn"},
        {"run_fn": "run_fn"},
        {"module_file": "no/such/file.py"},
        {"module_path": "model@local"},
        {"train_args": "{}"},
    ],
)
def test_code_out_of_reach_has_no_hash(properties: dict[str, object]) -> None:
    """Then nothing is said of the code, and nothing is raised."""
    assert hash_of_properties(properties) == ""
