"""The archive: what is written is what is read, and damage is found."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.corpus import real_runs
from tests.row_lists import properties_of
from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.payloads.statistics import NoPayloads
from tfx_graphlets.stores.archive import format as archive_format
from tfx_graphlets.stores.archive.archive import write_archive
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace, first_difference


class InMemory:
    """Payloads that stand in a dictionary of dictionaries."""

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self.content = files

    def files(self, uri: str) -> tuple[str, ...]:
        """Names below the URI."""
        return tuple(sorted(self.content.get(uri, ())))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of one file."""
        return self.content.get(uri, {}).get(name)


def small_trace() -> Trace:
    """One execution, with a property and an artifact of each kept type."""
    build = TraceBuilder()
    outputs = [
        build.artifact(name, uri=f"runs/{name}/1")
        for name in ("ExampleStatistics", "ExampleAnomalies", "Schema", "ModelEvaluation", "Model")
    ]
    build.execution("Trainer", outputs={"all": outputs}, run="r", module_path="m@1")
    return build.trace()


def small_files() -> dict[str, dict[str, bytes]]:
    """Files of ``small_trace``, of those that are kept and others."""
    return {
        "runs/ExampleStatistics/1": {
            "Split-train/FeatureStats.pb": b"\0train", "Split-eval/FeatureStats.pb": b"\0eval",
        },
        "runs/ExampleAnomalies/1": {"Split-train/SchemaDiff.pb": b""},
        "runs/Schema/1": {"schema.pbtxt": b"feature {}\n"},
        "runs/ModelEvaluation/1": {
            "metrics-00000-of-00001.tfrecord": b"\0eval", "eval_config.json": b"{}",
            "validations.tfrecord": b"v", "plots-00000-of-00001.tfrecord": b"p",
            "attributions-00000-of-00001.tfrecord": b"a",
        },
        "runs/Model/1": {"Format-Serving/saved_model.pb": b"model"},
    }  # fmt: skip


def write_small(directory: Path, **options: object) -> Path:
    """An archive of the small trace with its files."""
    arguments = {"created_ms": 1_700_000_000_000, "source": "store.sqlite", **options}
    write_archive(small_trace(), InMemory(small_files()), directory, **arguments)
    return directory


@settings(strategies.deterministic, max_examples=30)
@given(raw=strategies.rows(), text=st.text(st.characters(blacklist_categories=["Cs"])))
def test_any_trace_comes_back(raw: RowBuilder, text: str) -> None:
    """read(write(trace)) == trace, with any text in URIs and properties, and any double."""
    build = TraceBuilder()
    build.artifact(
        "Examples", uri=text, text=text, nan=float("nan"), inf=float("inf"), big=-(2**63)
    )
    first = raw["Artifact"]["id"][0] if len(raw["Artifact"]["id"]) else 0
    for _, name, _, kind, value in properties_of(build.raw(), "Artifact"):
        raw.add_property("Artifact", first, name, True, kind, value)
    raw["Artifact"]["uri"] = [text, *list(raw["Artifact"]["uri"])[1:]]
    trace = assemble(raw.rows())
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "archive"
        write_archive(trace, NoPayloads(), directory, created_ms=0, scrub=False)
        with open_store(directory) as store:
            assert first_difference(store.read_trace(), trace) is None


def test_kept_files_come_back_byte_for_byte(tmp_path: Path) -> None:
    """What features read is kept with its bytes; models, plots and attributions are not."""
    files = small_files()
    with ArchiveStore(write_small(tmp_path / "archive")) as store:
        kept = {
            uri: {name: store.payloads.read(uri, name) for name in store.payloads.files(uri)}
            for uri in files
        }
        assert store.payloads.read("runs/Schema/1", "none") is None
        assert store.payloads.files("elsewhere") == ()
    del files["runs/Model/1"]["Format-Serving/saved_model.pb"]
    for name in list(files["runs/ModelEvaluation/1"]):
        if name.startswith(("plots", "attributions")):
            del files["runs/ModelEvaluation/1"][name]
    assert kept == files


def test_equal_contents_are_stored_once(tmp_path: Path) -> None:
    """Two files with the same bytes share one row of payload_contents."""
    directory = write_small(tmp_path / "archive")
    with ArchiveStore(directory) as store:
        counts = store.manifest.counts
    assert (counts["payloads"], counts["payload_contents"]) == (7, 6)


@pytest.mark.skipif(not real_runs(), reason="the corpus is not beside this checkout")
def test_a_recorded_history_gets_small(tmp_path: Path) -> None:
    """70 runs with their statistics and evaluations take less than 400 kB, and lose no byte."""
    path = real_runs()[0]
    with open_store(path) as store:
        trace = store.read_trace()
        write_archive(trace, store.payloads, tmp_path / "archive", created_ms=0)
        with open_store(tmp_path / "archive") as kept:
            compared = 0
            for uri in trace.artifacts.uri:
                for name in kept.payloads.files(uri):
                    assert kept.payloads.read(uri, name) == store.payloads.read(uri, name)
                    compared += 1
    assert compared > 500
    assert sum(file.stat().st_size for file in (tmp_path / "archive").iterdir()) < 400_000


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the machine, the clock or the order of a hash gets in."""
    one, other = write_small(tmp_path / "one"), write_small(tmp_path / "other")
    for file in one.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()


def test_the_manifest_says_what_is_inside(tmp_path: Path) -> None:
    """Format, library, time, counts and the name of the source without path and password."""
    directory = write_small(tmp_path / "archive", source="mysql://me:pw@host/mlmd")
    content = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    assert content["format_version"] == archive_format.FORMAT_VERSION
    assert content["created_ms"] == 1_700_000_000_000
    assert content["source"] == "mlmd"
    assert content["counts"]["executions"] == 1
    assert set(content["tables"]) == set(archive_format.TABLES)
    with ArchiveStore(directory) as store:
        assert str(store.manifest) == "Archive of mlmd: 1 executions, 5 artifacts, 7 files"


# -- what must not get in -----------------------------------------------------------------


def test_machine_paths_are_made_relative(tmp_path: Path) -> None:
    """URIs, properties and kept JSON files lose the given folders; files are found again."""
    machine = "/srv/ml/flights"
    build = TraceBuilder()
    statistics = build.artifact("ExampleStatistics", uri=f"{machine}/runs/StatisticsGen/3")
    evaluation = build.artifact("ModelEvaluation", uri=f"file://{machine}/runs/Evaluator/4")
    build.execution(
        "Trainer", outputs={"o": [statistics, evaluation]}, run="r",
        module_path=f"m@{machine}/runs/_wheels/m.whl", config=json.dumps({"base": machine}),
    )  # fmt: skip
    config = json.dumps({"modelLocations": {"": f"{machine}/runs/Trainer/5"}}).encode()
    files = {
        f"{machine}/runs/StatisticsGen/3": {"FeatureStats.pb": b"\xff" + machine.encode()},
        f"file://{machine}/runs/Evaluator/4": {"eval_config.json": config},
    }
    directory = tmp_path / "archive"
    write_archive(
        build.trace(), InMemory(files), directory, created_ms=0, relativize_root=[machine]
    )
    with open_store(directory) as store:
        trace = store.read_trace()
        assert trace.artifacts.uri == ("runs/StatisticsGen/3", "runs/Evaluator/4")
        texts = trace.executions.properties.strings
        assert texts == ("m@runs/_wheels/m.whl", '{"base": "."}')
        read = store.payloads.read("runs/Evaluator/4", "eval_config.json")
        assert read == b'{"modelLocations": {"": "runs/Trainer/5"}}'
        binary = store.payloads.read("runs/StatisticsGen/3", "FeatureStats.pb")
        assert binary == b"\xff" + machine.encode()


def test_secrets_do_not_get_in(tmp_path: Path) -> None:
    """Properties named as secrets, JSON values and userinfo of URIs are taken out by default."""
    build = TraceBuilder()
    build.artifact("Examples", uri="https://me:hidden@host/data")
    build.execution(
        "Trainer", run="r", db_password="hidden", steps=3,  # noqa: S106 - looked for below
        custom_config='{"db": "mysql://me:hidden@h/d", "api_key": "hidden", "epochs": 2}',
        beam_args='["--auth_token=hidden", "--direct_num_workers=1"]',
    )  # fmt: skip
    directory = tmp_path / "archive"
    write_archive(build.trace(), NoPayloads(), directory, created_ms=0)
    with open_store(directory) as store:
        trace = store.read_trace()
    assert trace.artifacts.uri == ("https://host/data",)
    texts = trace.executions.properties.texts
    assert texts("db_password", 1) == ["[scrubbed]"]
    assert texts("custom_config", 1) == [
        '{"db": "mysql://h/d", "api_key": "[scrubbed]", "epochs": 2}'
    ]
    assert texts("beam_args", 1) == ['["--auth_token=[scrubbed]", "--direct_num_workers=1"]']
    assert trace.executions.properties.numbers("steps", 1).tolist() == [3.0]


# -- replacing and refusing -------------------------------------------------------------------


def test_an_archive_is_replaced(tmp_path: Path) -> None:
    """Writing over an archive leaves the new one alone, and nothing beside it."""
    directory = write_small(tmp_path / "archive")
    write_archive(TraceBuilder().trace(), NoPayloads(), directory, created_ms=1)
    with ArchiveStore(directory) as store:
        assert store.manifest.counts["executions"] == 0
    assert list(tmp_path.iterdir()) == [directory]


def test_a_failure_leaves_the_old_archive(tmp_path: Path) -> None:
    """If a payload cannot be read half way, the archive that was there is still whole."""

    class Broken(InMemory):
        def read(self, *_: str) -> bytes | None:
            raise OSError("disk on fire")

    directory = write_small(tmp_path / "archive")
    with pytest.raises(ArchiveError, match="disk on fire"):
        write_archive(small_trace(), Broken(small_files()), directory, created_ms=2)
    with ArchiveStore(directory) as store:
        assert store.manifest.created_ms == 1_700_000_000_000
    assert list(tmp_path.iterdir()) == [directory]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_archive_is_not_replaced(kind: str, tmp_path: Path) -> None:
    """A file, or a folder with something else in it, is refused and stays."""
    target = tmp_path / "target"
    if kind == "folder":
        target.mkdir()
        (target / "thesis.txt").write_text("precious", encoding="utf-8")
    else:
        target.write_text("precious", encoding="utf-8")
    with pytest.raises(ArchiveError, match="no archive"):
        write_small(target)
    assert target.exists()
    assert list(tmp_path.iterdir()) == [target]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """A target that exists and is empty gets the archive; missing parents are made."""
    (tmp_path / "made").mkdir()
    assert ArchiveStore(write_small(tmp_path / "made")).manifest.counts["executions"] == 1
    assert ArchiveStore(write_small(tmp_path / "a" / "b")).manifest.counts["executions"] == 1


def test_a_new_archive_has_the_usual_rights(tmp_path: Path) -> None:
    """Its directory is as readable as any that is made."""
    (tmp_path / "usual").mkdir()
    directory = write_small(tmp_path / "archive")
    assert directory.stat().st_mode == (tmp_path / "usual").stat().st_mode


# -- damage -----------------------------------------------------------------------------------


def _change_manifest(directory: Path, change: Callable[[dict[str, object]], None]) -> None:
    content = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    del content["checksum"]  # as an archive of before; else any change is refused as such
    change(content)
    (directory / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def _one_more_dropped(directory: Path) -> None:
    file = directory / "manifest.json"
    text = file.read_text(encoding="utf-8")
    assert '"dropped_events": 0' in text
    file.write_text(text.replace('"dropped_events": 0', '"dropped_events": 1'), encoding="utf-8")


def file_of(directory: Path, table: str) -> Path:
    """The one file of a table."""
    (file,) = directory.glob(f"{table}-*.parquet")
    return file


def _flip_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _drop_tables(content: dict[str, object]) -> None:
    del content["tables"]


def _lead_outside(content: dict[str, object]) -> None:
    content["tables"]["events"][0]["name"] = "../events.parquet"  # type: ignore[index]


def _declare_a_cook(content: dict[str, object]) -> None:
    content["declared"] = {"role_of_type": {"Fit": "cook"}, "pushers": None}


DAMAGES: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "half a manifest": (
        lambda d: os.truncate(d / "manifest.json", 100), "manifest.json is damaged",
    ),
    "a list as manifest": (
        lambda d: (d / "manifest.json").write_text("[]"), "not that of an archive",
    ),
    "a manifest of bytes": (
        lambda d: (d / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json is damaged",
    ),
    "a manifest without tables": (
        lambda d: _change_manifest(d, _drop_tables), "damaged.*'tables'",
    ),
    "a manifest that leads outside": (
        lambda d: _change_manifest(d, _lead_outside), "damaged.*events.parquet",
    ),
    "a newer format": (
        lambda d: _change_manifest(d, lambda c: c.update(format_version=4)),
        "newer than 3.*upgrade tfx-graphlets",
    ),
    "a format of before": (
        lambda d: _change_manifest(d, lambda c: c.update(format_version=2)),
        "format 2, which no release has written; archive its store again",
    ),
    "another number": (_one_more_dropped, "was changed after it was written"),
    "no format": (
        lambda d: _change_manifest(d, lambda c: c.update(format_version=0)), "damaged",
    ),
    "a list for a node": (
        lambda d: _change_manifest(d, lambda c: c.update(node=["x"])), r"node \['x'\] is no text",
    ),
    "a number for a pipeline": (
        lambda d: _change_manifest(d, lambda c: c.update(selection=7)), "selection 7 is no text",
    ),
    "a text for pipelines": (
        lambda d: _change_manifest(d, lambda c: c.update(pipelines="abc")), "pipelines no list",
    ),
    "a number among pipelines": (
        lambda d: _change_manifest(d, lambda c: c.update(pipelines=[7])), "pipelines 7 is no text",
    ),
    "a text for a truth value": (
        lambda d: _change_manifest(d, lambda c: c.update(scrubbed="no")), "no truth value",
    ),
    "an unknown role": (
        lambda d: _change_manifest(d, _declare_a_cook), "damaged.*COOK.*is no role",
    ),
    "a missing table": (
        lambda d: file_of(d, "events").unlink(), r"events-\w+\.parquet cannot be read",
    ),
    "a flipped bit": (
        lambda d: _flip_byte(file_of(d, "executions")), r"executions-\w+\.parquet is not what",
    ),
    "a flipped bit of a payload": (
        lambda d: _flip_byte(file_of(d, "payload_contents")), "payload_contents.*is not what",
    ),
    "a file cut off": (
        lambda d: os.truncate(file_of(d, "contexts"), 100), r"contexts-\w+\.parquet is not what",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_when_an_archive_is_opened(damage: str, tmp_path: Path) -> None:
    """Each kind of damage is one ArchiveError that names the archive and what is wrong."""
    directory = write_small(tmp_path / "archive")
    inflict, message = DAMAGES[damage]
    inflict(directory)
    with pytest.raises(ArchiveError, match=message) as caught:
        open_store(directory)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(directory))


def test_a_table_with_other_columns_is_damage(tmp_path: Path) -> None:
    """A Parquet file that fits its checksum and not the format is an ArchiveError on reading."""
    directory = write_small(tmp_path / "archive")
    other = file_of(directory, "contexts").read_bytes()
    events = file_of(directory, "events")
    events.write_bytes(other)

    def change(content: dict[str, object]) -> None:
        content["tables"]["events"][0].update(  # type: ignore[index]
            sha256=archive_format.sha256_of(events), size=len(other)
        )

    _change_manifest(directory, change)
    with open_store(directory) as store, pytest.raises(ArchiveError, match="events cannot be read"):
        store.read_trace()


def _read_all(store: Store) -> None:
    for uri in store.read_trace().artifacts.uri:
        for name in store.payloads.files(uri):
            store.payloads.read(uri, name)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("events", "artifact"),
        ("executions", "create_ms"),
        ("payloads", "uri"),
        ("payloads", "name"),
        ("payloads", "sha256"),
        ("payload_contents", "sha256"),
        ("payload_contents", "content"),
    ],
)
def test_a_value_that_is_missing_is_damage(table: str, column: str, tmp_path: Path) -> None:
    """NULLs in a Parquet file that fits its checksum are an ArchiveError, too."""
    directory = write_small(tmp_path / "archive")
    file = file_of(directory, table)
    rows = pq.read_table(file)
    place = rows.column_names.index(column)
    none = pa.nulls(rows.num_rows, rows.column(column).type)
    pq.write_table(rows.set_column(place, column, none), file)

    def change(content: dict[str, object]) -> None:
        content["tables"][table][0].update(  # type: ignore[index]
            sha256=archive_format.sha256_of(file), size=file.stat().st_size
        )

    _change_manifest(directory, change)
    problem = f"its {table}.* cannot be read .column '{column}' lacks values"
    with open_store(directory) as store, pytest.raises(ArchiveError, match=problem):
        _read_all(store)
