"""A redacted archive: which texts are gone, and what is the same without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.flights import history
from tests.cli.test_cli import run
from tests.stores.mlmd_files import write_store
from tfx_graphlets import Stage, describe, open_store, segment
from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.gate.record import past_decisions
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.payloads.statistics import NoPayloads
from tfx_graphlets.stores.archive.archive import ArchiveUpdate, update_archive
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace

KEY = b"a key that nobody guesses"
RECORDED = [
    history.DIRECTORY / name / "archive"
    for name in ("flights-all-dnn-w5-throttle", "cancelled-all-linear-w5-weekdays")
]
# Features that read a text: sizes of input files, rules of the Evaluator, training steps, verdicts
# by split, and whether the next run is expected to repeat the last one.
NEED_A_TEXT = frozenset({
    "code.trainer_rerun_expected", "code.transform_rerun_expected", "evaluation.clone_margin",
    "evaluation.clone_passes", "history.rerun_expected", "input_data.anomalous_splits",
    "input_data.bytes", "input_data.bytes_ratio_1", "input_data.bytes_ratio_mean",
    "input_data.bytes_ratio_pushed", "input_data.new_bytes_share_blessed",
    "input_data.newest_bytes_ratio", "model.train_steps", "model.train_steps_ratio_1",
})  # fmt: skip


def redacted(source: Path, directory: Path, key: bytes | None = KEY, **options: object) -> Trace:
    """The trace that a redacted archive of a store holds."""
    with open_store(source) as store:
        update_archive(
            store, store.payloads, directory, created_ms=1, redact=key, **options,
        )  # fmt: skip
    with open_store(directory) as archive:
        return archive.read_trace()


def texts_of(trace: Trace) -> set[str]:
    """URIs and texts of properties that stand nowhere else and are no numbers."""
    names = {
        *trace.contexts.name, *trace.contexts.type_names, *trace.events.keys,
        *trace.executions.type_names, *trace.artifacts.type_names,
    }  # fmt: skip
    for properties in (trace.executions.properties, trace.artifacts.properties):
        names.update(properties.names)
    found = {
        *trace.artifacts.uri, *trace.executions.properties.strings,
        *trace.artifacts.properties.strings,
    }  # fmt: skip
    parts = "\0".join(names)
    return {text for text in found if len(text) > 4 and not text.isdigit() and text not in parts}


def contents_of(directory: Path) -> bytes:
    """Every byte of an archive, and every value that these stand for once decompressed."""
    parts = []
    for file in sorted(directory.iterdir()):
        parts.append(file.read_bytes())
        columns = pq.read_table(file).columns if file.suffix == ".parquet" else []
        values = [value for column in columns for value in column.to_pylist()]
        parts += [one if isinstance(one, bytes) else str(one).encode() for one in values]
    return b"\0".join(parts)


@pytest.mark.parametrize("source", RECORDED, ids=lambda path: path.parent.name)
def test_no_text_of_the_store_is_in_the_archive(source: Path, tmp_path: Path) -> None:
    """Neither a URI nor a property's text is in any byte, compressed or not; names of types are."""
    redacted(source, tmp_path / "archive")
    with open_store(source) as store:
        trace = store.read_trace()
    content = contents_of(tmp_path / "archive")
    assert b"tfx.components.trainer" in content
    texts = texts_of(trace)
    assert len(texts) > 200
    assert [text for text in sorted(texts) if text.encode() in content] == []


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("source", RECORDED, ids=lambda path: path.parent.name)
def test_graphlets_and_features_are_the_same(source: Path, stage: Stage, tmp_path: Path) -> None:
    """Members, outcomes, costs and all features but those that read a text or a file."""
    kept = segment(without_gates(redacted(source, tmp_path / "archive")))
    with open_store(source) as store:
        plain = segment(without_gates(store.read_trace()))
    assert [one.to_dict() for one in kept] == [one.to_dict() for one in plain]
    tables = [describe(one, stage, payloads=NoPayloads()) for one in (plain, kept)]
    differ = set()
    for feature in tables[0].features:
        mine, other = (table.columns[feature.name] for table in tables)
        if isinstance(mine, tuple):
            same = mine == other
        else:
            same = np.array_equal(mine, other, equal_nan=True)
        if not same:
            differ.add(feature.name)
    assert differ <= NEED_A_TEXT
    assert "code.trainer_same_1" in tables[0].columns
    assert np.isfinite(tables[1].numbers("code.trainer_same_1")).any()


def small_store(folder: Path, runs: int = 2) -> Path:
    """Runs of a pipeline with a gate, whose texts could say something."""
    build = TraceBuilder()
    for number in range(1, runs + 1):
        schema = build.artifact("Schema", uri=f"gs://private/{number}", span=str(number))
        build.execution(
            "SchemaGen", outputs={"schema": [schema]}, run=f"r{number}", pipeline="p",
            custom_config='{"who": "us"}', module_path=f"m@/srv/us/{number}+{'0a' * 20}",
        )  # fmt: skip
        decision = build.artifact(
            "tfx_graphlets.GateDecision", proceed=1, stage="pre", reason="us", nodes="[us]",
        )  # fmt: skip
        build.execution(
            "tfx_graphlets.components.waste_gate.WasteGate", outputs={"decision": [decision]},
            run=f"r{number}", pipeline="p",
        )  # fmt: skip
    path = folder / "private.sqlite"
    path.unlink(missing_ok=True)
    return write_store(path, build.raw())


def test_the_same_text_has_the_same_fingerprint(tmp_path: Path) -> None:
    """Code is the same wherever it lies; spans stay; a decision keeps its numbers and its stage."""
    trace = redacted(small_store(tmp_path), tmp_path / "archive")
    executions = trace.executions.properties.texts("module_path", len(trace.executions))
    assert len({*executions}) == 2  # of SchemaGens, and of gates, which have none
    (path,) = {*executions} - {None}
    assert path is not None
    assert path.startswith("+")
    assert trace.artifacts.properties.texts("span", len(trace.artifacts))[::2] == ["1", "2"]
    assert len({*trace.artifacts.uri}) == 3  # two, and none
    assert [(one.proceed, one.stage) for one in past_decisions(trace)] == [(True, "pre")] * 2
    other = redacted(small_store(tmp_path), tmp_path / "other", b"another key")
    assert not {*other.artifacts.uri[:1]} & {*trace.artifacts.uri}


def test_no_file_is_kept(tmp_path: Path) -> None:
    """Statistics hold values of the data, evaluations hold places."""
    redacted(RECORDED[0], tmp_path / "archive")
    with open_store(tmp_path / "archive") as archive:
        assert archive.manifest.counts["payloads"] == 0  # type: ignore[attr-defined]


def update(folder: Path, key: bytes | None) -> ArchiveUpdate:
    """The archive of the small store, brought up to date."""
    with open_store(folder / "private.sqlite") as store:
        return update_archive(
            store, store.payloads, folder / "archive", created_ms=1, redact=key
        )  # fmt: skip


def test_a_redacted_archive_goes_on_with_its_key(tmp_path: Path) -> None:
    """Nothing new writes nothing; without the key, or with another one, it is refused."""
    small_store(tmp_path)
    assert update(tmp_path, KEY).written
    assert not update(tmp_path, KEY).written
    small_store(tmp_path, runs=3)
    assert update(tmp_path, KEY).changed == 0
    with pytest.raises(ArchiveError, match="another key than that in TFX_GRAPHLETS_REDACT_KEY"):
        update(tmp_path, b"another")
    with pytest.raises(ArchiveError, match="is redacted, and asked to be not redacted"):
        update(tmp_path, None)
    content = contents_of(tmp_path / "archive")
    assert KEY not in content
    assert b"private" not in content


def test_the_command_takes_the_key_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one the fingerprints are of a key that is forgotten: then only --replace goes on."""
    words = ("archive", str(small_store(tmp_path)), "--output", str(tmp_path / "a"), "--redact")
    monkeypatch.setenv("TFX_GRAPHLETS_REDACT_KEY", "secret")
    assert [run(capsys, *words)[0] for _ in range(2)] == [0, 0]
    monkeypatch.delenv("TFX_GRAPHLETS_REDACT_KEY")
    code, _, problem = run(capsys, *words)
    assert code == 1
    assert "--replace" in problem
    assert run(capsys, *words, "--replace")[0] == 0
    assert run(capsys, "segment", str(tmp_path / "a"))[0] == 0
