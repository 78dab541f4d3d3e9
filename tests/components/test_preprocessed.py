"""What TFX's own Transform leaves on disk, as a report tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tfx")

import tensorflow as tf
from tfx import v1 as tfx

from tests.components import light_nodes
from tests.components.runs import PIPELINE
from tests.report.test_view import column
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.stores.archive.archive import update_archive
from tfx_graphlets.stores.store import open_store

pytestmark = [pytest.mark.tfx, pytest.mark.long]

types = tfx.types.standard_artifacts
SCHEMA = """
feature { name: "number" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }
feature { name: "word" type: BYTES presence { min_fraction: 1 } shape { dim { size: 1 } } }
"""


def write_data(folder: Path) -> None:
    """Twenty examples of one split, and their schema."""
    (folder / "examples" / "Split-train").mkdir(parents=True)
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(SCHEMA, encoding="utf-8")
    file = str(folder / "examples" / "Split-train" / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(file, "GZIP") as records:
        for number in range(20):
            words = tf.train.BytesList(value=[b"even", b"odd"][number % 2 : number % 2 + 1])
            numbers = tf.train.FloatList(value=[float(number)])
            features = {
                "word": tf.train.Feature(bytes_list=words),
                "number": tf.train.Feature(float_list=numbers),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            records.write(example.SerializeToString())


def run(folder: Path, *, disable_cache: bool) -> Path:
    """A run of Transform and a Trainer that does nothing; the store."""
    examples = tfx.dsl.Importer(
        source_uri=str(folder / "examples"),
        artifact_type=types.Examples,
        properties={"split_names": '["train"]'},
    ).with_id("Examples")
    schema = tfx.dsl.Importer(source_uri=str(folder / "schema"), artifact_type=types.Schema)
    transform = tfx.components.Transform(
        examples=examples.outputs["result"],
        schema=schema.with_id("Schema").outputs["result"],
        preprocessing_fn="tests.components.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train"]),
        disable_analyzer_cache=disable_cache,
        disable_statistics=True,
    )
    trainer = light_nodes.Trainer(
        examples=examples.outputs["result"], transform_graph=transform.outputs["transform_graph"]
    )
    store = folder / f"{disable_cache}.sqlite"
    connect = tfx.orchestration.metadata.sqlite_metadata_connection_config
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=PIPELINE,
        pipeline_root=str(store.with_suffix("")),
        components=[examples, schema, transform, trainer],
        metadata_connection_config=connect(str(store)),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)
    return store


def told(store: Path) -> dict[str, list[object]]:
    """The table of a report, by column."""
    with open_store(str(store)) as opened:
        view = view_of([ReportSource.read(opened)], now_ms=1, replay=False)
    names = ("analyzers", "kinds", "vocabularies")
    return {name: column(view, "preprocessing", name) for name in names}


def test_a_report_tells_the_analyzers_of_a_real_transform(tmp_path: Path) -> None:
    """By kind, where its author leaves the analyzer cache on; vocabularies either way."""
    write_data(tmp_path)
    cached = run(tmp_path, disable_cache=False)
    kinds = "mean_and_var (1), quantiles (1), vocabulary (1)"
    assert told(cached) == {"analyzers": [3], "kinds": [kinds], "vocabularies": [1]}
    with open_store(str(cached)) as store:
        update_archive(store, store.payloads, tmp_path / "archive", created_ms=1)
    archived = told(tmp_path / "archive")
    assert archived == {"analyzers": [3], "kinds": [kinds], "vocabularies": [None]}
    plain = run(tmp_path, disable_cache=True)
    assert told(plain) == {"analyzers": [None], "kinds": [None], "vocabularies": [1]}
