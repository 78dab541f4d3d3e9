"""Every command on every odd store: a result, or one line that says why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fuzz.__main__ import fault_of
from tests.fuzz.inputs import trained
from tests.fuzz.odd_stores import ODD_STORES, write_sound_store
from tfx_graphlets.errors import NotAMetadataStoreError
from tfx_graphlets.stores.store import open_store

pytest.importorskip("ydf")

of_each = pytest.mark.parametrize("name", ODD_STORES)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each is made of."""
    return write_sound_store(tmp_path_factory.mktemp("sound") / "store.sqlite")


def odd_store(name: str, sound: Path, folder: Path) -> str:
    """The path of a new one in a folder of its own."""
    folder.mkdir()
    path = folder / "store.sqlite"
    shutil.copyfile(sound, path)
    ODD_STORES[name](path)
    return str(path)


@of_each
def test_it_is_segmented_or_refused(name: str, sound: Path, tmp_path: Path) -> None:
    """In JSON, which is JSON whatever names and numbers there are."""
    place = odd_store(name, sound, tmp_path / "odd")
    assert fault_of(["segment", place, "--format", "json"]) == ""
    (tmp_path / "odd").chmod(0o755)


@pytest.mark.long
@of_each
def test_no_command_falls(name: str, sound: Path, tmp_path: Path) -> None:
    """All of them, for people and for programs."""
    place, model = odd_store(name, sound, tmp_path / "odd"), str(trained())
    output = {end: str(tmp_path / f"out{end}") for end in ("", ".parquet", ".html")}
    stage = ("--stage", "pre")
    learning = (*stage, "--freshness", "0.9")
    commands = (
        ["segment", place], ["features", place, *stage, "--output", output[".parquet"]],
        ["train", place, "--output", output[""], *learning], ["evaluate", model, place],
        ["backtest", place, *learning],
        ["archive", place, "--output", f"{output['']}-archive"], ["monitor", place],
        ["gate", place, "--pipeline", "pipeline-0000", "--model", model],
        ["report", place, "--output", output[".html"]],
    )  # fmt: skip
    for command in commands:
        assert fault_of(command) == ""
        assert fault_of([*command, "--format", "json"]) == ""
    (tmp_path / "odd").chmod(0o755)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a view in place of a table", "a view, or a virtual table, by the name Execution"),
        ("a view without an end", "by the name Event"),
        ("versions without an end", "by the name MLMDEnv"),
        ("a virtual table", "by the name Type"),
        ("values of 300 MB", "a generated column in its table ArtifactProperty"),
    ],
)
def test_what_is_computed_when_it_is_read_is_refused(
    name: str, said: str, sound: Path, tmp_path: Path
) -> None:
    """A view may go on for ever, and a row of a generated column may have any size."""
    place = odd_store(name, sound, tmp_path / "odd")
    with pytest.raises(NotAMetadataStoreError, match=said):
        open_store(place)
