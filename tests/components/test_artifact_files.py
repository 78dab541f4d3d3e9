"""Files of artifacts, on this machine and on a file system that TFX opens for us."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tfx")

import tensorflow as tf

from tfx_graphlets.components.artifacts import (
    FileioPayloads,
    is_local,
    local_copy,
    local_target,
    read_files,
    write_files,
)

pytestmark = pytest.mark.tfx

FILES = {"a.json": b"{}", "below/b.bin": b"\x00\x01"}


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on disk, or one in TensorFlow's file system in memory, as a bucket is."""
    if request.param == "local":
        return str(tmp_path / "artifact")
    return f"ram://{tmp_path.name}/artifact"


def test_what_is_written_is_read(place: str) -> None:
    """Files come back by name; those that are not there are left out."""
    write_files(place, FILES)
    assert read_files(place, ["a.json", "below/b.bin", "c"]) == FILES


def test_writing_again_replaces(place: str) -> None:
    """A second write under the same name counts."""
    write_files(place, FILES)
    write_files(place, {"a.json": b"[]"})
    assert read_files(place, ["a.json"]) == {"a.json": b"[]"}


def test_no_draft_stays_behind(place: str) -> None:
    """Only the names that were asked for exist afterwards."""
    write_files(place, {"a.json": b"{}"})
    assert tf.io.gfile.listdir(place) == ["a.json"]


def test_a_remote_directory_is_copied_to_read_it_locally(place: str) -> None:
    """local_copy gives a path that plain Python opens, with everything below it."""
    write_files(place, FILES)
    with local_copy(place) as directory:
        found = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in Path(directory).rglob("*")
            if path.is_file()
        }
        assert found == FILES
        assert (directory == place) == is_local(place)


def test_what_is_written_locally_arrives(place: str) -> None:
    """local_target takes what was written below the path to the place."""
    with local_target(place) as directory:
        for name, content in FILES.items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    assert read_files(place, list(FILES)) == FILES


def test_payloads_are_read_wherever_tfx_writes(place: str) -> None:
    """Names below a URI, and their content; what is not there is missing and no error."""
    write_files(place, FILES)
    payloads = FileioPayloads()
    assert payloads.files(place) == ("a.json", "below/b.bin")
    assert payloads.read(place, "below/b.bin") == b"\x00\x01"
    assert payloads.read(place, "c") is None
    assert payloads.files(place + "/nowhere") == ()
    assert payloads.files("gone://nowhere") == ()
    assert payloads.read("gone://nowhere", "a") is None
