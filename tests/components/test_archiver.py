"""Archiver: the archive of a store, kept up to date from within a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tfx")

import tensorflow as tf
from tfx import v1 as tfx

from tests.components import light_nodes
from tests.components.runs import LightPipeline
from tests.pipelines.upkeep_stores import store_of
from tfx_graphlets import Archiver
from tfx_graphlets.components import archiver as archivers
from tfx_graphlets.components.artifacts import local_copy
from tfx_graphlets.components.kubeflow import KubeflowError, compile_for_kubeflow
from tfx_graphlets.errors import ArchiveError, InvalidArgumentError
from tfx_graphlets.payloads.statistics import NoPayloads
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.trace import Trace, first_difference

pytestmark = pytest.mark.tfx


def run_once(folder: Path, directory: str, store: str | None = None) -> dict[str, object]:
    """Runs a pipeline of an ExampleGen and an Archiver; returns what the Archive artifact says."""
    examples = light_nodes.LightExampleGen(span=1)
    archiver = Archiver(directory, store=store)
    archiver.add_upstream_node(examples)
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="light",
        pipeline_root=str(folder / "root"),
        components=[examples, archiver],
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(folder / "metadata.sqlite")
        ),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)
    artifacts = LightPipeline(folder).store().get_artifacts_by_type("tfx_graphlets.Archive")
    newest = max(artifacts, key=lambda artifact: artifact.id)
    return {
        key: getattr(value, value.WhichOneof("value"))
        for key, value in newest.custom_properties.items()
    }


def trace_of(place: Path | str) -> Trace:
    """What a store or an archive holds."""
    with open_store(place) as store:
        return store.read_trace()


def classes(trace: Trace) -> list[str]:
    """Last part of the class of each execution, in their order."""
    names = [trace.executions.type_names[at] for at in trace.executions.type]
    return [name.rpartition(".")[2] for name in names]


def test_the_runners_own_store_is_archived_run_by_run(tmp_path: Path) -> None:
    """Without a store the driver archives what is recorded so far; the next run adds the rest.

    It does so though the pipeline is cached.
    """
    directory = tmp_path / "history" / "archive"
    first = run_once(tmp_path, str(directory))
    assert (first["usable"], first["directory"]) == (1, str(directory))
    assert classes(trace_of(directory)) == ["LightExampleGen", "Archiver"]
    second = run_once(tmp_path, str(directory))
    assert (second["usable"], second["new_executions"], second["num_executions"]) == (1, 2, 4)
    archived = trace_of(directory)
    assert classes(archived) == ["LightExampleGen", "Archiver"] * 2
    recorded = trace_of(tmp_path / "metadata.sqlite")
    known = slice(0, 3)  # the fourth was still running
    assert archived.executions.id.tolist() == recorded.executions.id.tolist()
    assert archived.executions.state[known].tolist() == recorded.executions.state[known].tolist()


def test_a_store_can_be_named(tmp_path: Path) -> None:
    """The executor archives that store and not the runner's."""
    (tmp_path / "other").mkdir()
    store = store_of(tmp_path / "other", 6)
    told = run_once(tmp_path, str(tmp_path / "archive"), str(store))
    assert (told["usable"], told["new_executions"]) == (1, 24)
    assert first_difference(trace_of(tmp_path / "archive"), trace_of(store)) is None


def test_what_goes_wrong_stands_on_the_artifact(tmp_path: Path) -> None:
    """A store that is not there does not stop the pipeline, and makes no archive."""
    told = run_once(tmp_path, str(tmp_path / "archive"), str(tmp_path / "nowhere.sqlite"))
    assert told["usable"] == 0
    assert "nowhere.sqlite" in str(told["problem"])
    assert not (tmp_path / "archive").exists()


def test_what_nobody_foresaw_is_told_too(tmp_path: Path) -> None:
    """An error that is none of ours becomes the problem, in one line."""

    def broken() -> None:
        raise ZeroDivisionError("unforeseen\nin two lines")

    told = archivers.archive_and_report(broken, str(tmp_path / "archive"), 1)  # type: ignore[arg-type]
    assert told["usable"] == 0
    assert "ZeroDivisionError: unforeseen" in str(told["problem"])
    assert "\n" not in str(told["problem"])


@pytest.mark.parametrize(
    ("directory", "store"), [("", None), ("archive", ""), ("archive", "mysql://me:secret@host/db")]
)
def test_wrong_arguments_are_refused(directory: str, store: str | None) -> None:
    """When the pipeline is written; the message does not repeat a password."""
    with pytest.raises(InvalidArgumentError) as refused:
        Archiver(directory, store=store)
    assert "secret" not in str(refused.value)


# -- in a bucket --------------------------------------------------------------------------


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    """A folder in TensorFlow's file system in memory, as a bucket is."""
    return f"ram://{tmp_path.name}/archive"


def update(store: Path, directory: str) -> archivers.ArchiveUpdate:
    """Archives a store, whatever it says of payloads."""
    with open_store(store) as opened:
        return archivers.update_anywhere(opened, NoPayloads(), directory, 1)


def test_an_archive_in_a_bucket_grows(tmp_path: Path, bucket: str) -> None:
    """It holds what a local one would; nothing new writes nothing."""
    for runs in (4, 7):
        store = store_of(tmp_path, runs)
        assert update(store, bucket).written
        with local_copy(bucket) as copied:
            assert first_difference(trace_of(copied), trace_of(store)) is None
    names = tf.io.gfile.listdir(bucket)
    assert not update(store, bucket).written
    assert tf.io.gfile.listdir(bucket) == names


def test_a_bucket_holds_the_files_that_a_directory_would(tmp_path: Path, bucket: str) -> None:
    """Files that the manifest no longer names are removed from it as they are from a directory."""
    directory, before = tmp_path / "archive", set()
    for runs in (3, 4, 5, 6):
        store = store_of(tmp_path, runs)
        update(store, bucket)
        update(store, str(directory))
        files = {path.name for path in directory.iterdir()}
        assert set(tf.io.gfile.listdir(bucket)) == files
        removed, before = before - files, files
    assert removed


def test_an_archive_that_changed_in_the_bucket_meanwhile_stays(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower of two writers is refused, and the manifest of the other one counts."""
    update(store_of(tmp_path, 3), bucket)
    read = archivers.read_files
    found = iter([True, False])  # at the beginning; before it is written

    def changed(directory: str, names: list[str]) -> dict[str, bytes]:
        return read(directory, names) if next(found) else {"manifest.json": b"another's"}

    monkeypatch.setattr(archivers, "read_files", changed)
    with pytest.raises(ArchiveError, match="changed by another program"):
        update(store_of(tmp_path, 5), bucket)
    monkeypatch.undo()
    with local_copy(bucket) as copied:
        assert len(trace_of(copied).executions) == 12


# -- on Kubeflow --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["vertex", "kfp"])
def test_it_compiles_for_kubeflow(tmp_path: Path, backend: str) -> None:
    """The artifact's type is imported by its name there; the step is never cached."""
    pytest.importorskip("kfp")
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="archiving",
        pipeline_root="gs://bucket/root",
        components=[Archiver("gs://bucket/history", store="grpc://")],
        enable_cache=True,
    )
    target = tmp_path / "pipeline.yaml"
    compile_for_kubeflow(pipeline, target, image="image", backend=backend)
    text = target.read_text()
    assert "tfx_graphlets.Archive" in text
    assert "tfx_graphlets.components.archiver.ArchiverExecutor" in text
    assert "enableCache" not in text


def test_on_kubeflow_it_needs_a_store(tmp_path: Path) -> None:
    """No driver runs there, so there is no store of the runner's: refused when compiled."""
    pytest.importorskip("kfp")
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="archiving",
        pipeline_root="gs://bucket/root",
        components=[Archiver("gs://bucket/history")],
    )
    with pytest.raises(KubeflowError, match="Archiver needs store"):
        compile_for_kubeflow(pipeline, tmp_path / "pipeline.json", image="image")
