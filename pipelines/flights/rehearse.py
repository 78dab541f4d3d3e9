"""Rehearses the runs of recorded variants afterwards, as a Rehearsal would have before each.

`python -m pipelines.flights.rehearse FOLDER...` writes `rehearsals.parquet` into each folder of a
variant (all of pipelines/flights/history by default): the margins of scouts on raw features, of
stage `input`. The pipeline is deterministic, so that its examples can be made again: the CSV files
of the folder, or those of the variant's schedule, through TFX's own code from CSV to tf.Example,
split as ExampleGen splits. What the serving model scores is what the Evaluator wrote of it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from tfx.components.example_gen.csv_example_gen import executor as csv_executor
from tfx_bsl.coders import csv_decoder, example_coder
from tqdm import tqdm

from pipelines.flights import data, history, schedule, variants
from pipelines.flights.replays import REHEARSAL_SECONDS
from tfx_graphlets import open_store, segment
from tfx_graphlets.components.rehearsal.examples import as_array
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.evaluation import EvaluationMetrics, evaluation_metrics
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.rehearsal import NotCoveredError, Scout, Split, demand_of, record, rehearse
from tfx_graphlets.rehearsal.encoding import Array
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role


class Spans:
    """Serialized examples of the spans below a data root, made as CsvExampleGen makes them."""

    def __init__(self, data_root: Path) -> None:
        self._root = data_root
        self._known: dict[tuple[int, int], tuple[list[bytes], list[bool]]] = {}

    def examples(self, span: int, version: int) -> tuple[list[bytes], list[bool]]:
        """Serialized examples of a span, and which of them are in the split train."""
        if (span, version) not in self._known:
            self._known[span, version] = self._read(span, version)
        return self._known[span, version]

    def _read(self, span: int, version: int) -> tuple[list[bytes], list[bool]]:
        day = data.day_of(span).isoformat()
        (path,) = (self._root / f"day-{day}" / f"version-{version}").glob("*.csv")
        with path.open(encoding="utf-8", newline="") as file:
            names, *rows = csv.reader(file)
        cells = [[cell.encode() for cell in row] for row in rows]
        inferrer = csv_decoder.ColumnTypeInferrer(names, skip_blank_lines=True)
        found = inferrer.create_accumulator()
        for row in cells:
            inferrer.add_input(found, row)
        kinds, convert = inferrer.extract_output(found), _converter()
        content = []
        for row in cells:
            (example,) = convert.process(row, kinds)
            content.append(example.SerializeToString(deterministic=True))
        return content, [_in_train(one) for one in content]

    def splits(self, spans: Sequence[tuple[int, int]], label: str) -> tuple[Split, Split]:
        """The splits train and eval of a window."""
        parts: tuple[list[bytes], list[bytes]] = ([], [])
        for span, version in spans:
            for one, in_train in zip(*self.examples(span, version)):
                parts[0 if in_train else 1].append(one)
        if not all(parts):
            raise NotCoveredError(["A split holds no examples."])
        train, judged = (_split(content, label) for content in parts)
        both = train.columns.keys() & judged.columns.keys()
        return train.without(train.columns.keys() - both), judged.without(
            judged.columns.keys() - both
        )


def _converter() -> csv_executor._ParsedCsvToTfExample:
    return csv_executor._ParsedCsvToTfExample()  # noqa: SLF001 - TFX offers it in a pipeline alone


def _in_train(serialized: bytes) -> bool:
    return int(hashlib.sha256(serialized).hexdigest(), 16) % 2 == 0


def _split(content: list[bytes], label: str) -> Split:
    batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(content)
    columns: dict[str, Array] = {}
    for name, column in zip(batch.schema.names, batch.columns):
        values = as_array(column)
        if values is not None:
            columns[name] = values
    if label not in columns:
        raise NotCoveredError([f"The examples hold no feature {label!r}, the label."])
    labels = columns.pop(label).astype(np.float64)
    return Split(columns, labels)


def write_data(variant: variants.VariantConfig, data_root: Path) -> None:
    """Writes every delivery of a variant's schedule below a data root."""
    days = data.FlightDays(variant.airports, task=variant.task, carriers=variant.carriers)
    for planned in schedule.plan(variant):
        for delivery in planned.deliveries:
            rows = days.day(
                delivery.day, before_hour=delivery.before_hour, without=delivery.without
            )
            data.write_span(rows, data_root)


def rehearsals(graphlets: Graphlets, payloads: Payloads, spans: Spans) -> list[dict[str, object]]:
    """One row for each graphlet that a rehearsal covers, in the order of their Trainers."""
    rows: list[dict[str, object]] = []
    scouts: dict[int, Scout] = {}
    config = _eval_config(graphlets)
    demand = demand_of(config)
    for number in np.argsort(graphlets.trainer_id, kind="stable").tolist():
        graphlet = graphlets[number]
        metrics = _metrics(graphlets, number, payloads)
        start = time.perf_counter()
        try:
            train, judged = spans.splits(_window(graphlets, number), demand.label)
            found = rehearse(
                demand, train, judged,
                serving_metrics=metrics.baseline if metrics else None,
                previous=scouts.get(_last_blessed(graphlets, number)),
            )  # fmt: skip
        except NotCoveredError as error:
            sys.stderr.write(f"{graphlet.run}: {error}\n")
            continue
        if found.new_scout is not None:
            scouts[number] = found.new_scout
        rows.append(
            {
                "trainer": graphlet.trainer,
                record.RUN: graphlet.run or "",
                "measured_seconds": time.perf_counter() - start,
                record.SECONDS: REHEARSAL_SECONDS,
                **{name: float(getattr(found, name)) for name in record.MARGINS},
            }
        )
    return rows


def _window(graphlets: Graphlets, number: int) -> list[tuple[int, int]]:
    """Span and version of the Examples that a Trainer takes in."""
    trace, edges = graphlets.trace, graphlets.edges
    taken = edges.inputs.of(int(graphlets.trainer[number]))
    examples = taken[trace.artifacts_of_types([ArtifactType.EXAMPLES])[taken]]
    properties, count = trace.artifacts.properties, len(trace.artifacts)
    span = properties.numbers(PropertyName.SPAN, count)
    version = properties.numbers(PropertyName.VERSION, count)
    return [(int(span[at]), int(version[at])) for at in examples.tolist()]


def _evaluators(graphlets: Graphlets, number: int) -> list[int]:
    members = graphlets.executions.of(number)
    return members[graphlets.role[members] == Role.MODEL_VALIDATOR].tolist()


def _eval_config(graphlets: Graphlets) -> str:
    executions = graphlets.trace.executions
    texts = executions.properties.texts(PropertyName.EVAL_CONFIG, len(executions))
    return next(text for text in reversed(texts) if text)


def _metrics(graphlets: Graphlets, number: int, payloads: Payloads) -> EvaluationMetrics | None:
    trace = graphlets.trace
    for execution in _evaluators(graphlets, number):
        put = graphlets.edges.outputs.of(execution)
        for at in put[trace.artifacts_of_types([ArtifactType.MODEL_EVALUATION])[put]].tolist():
            return evaluation_metrics(payloads, trace.artifacts.uri[at])
    return None


def _last_blessed(graphlets: Graphlets, number: int) -> int:
    """The latest graphlet before this one whose model was blessed; -1 if there is none."""
    trace = graphlets.trace
    create_ms = trace.executions.create_ms[graphlets.trainer]
    blessed = trace.artifacts.properties.numbers(PropertyName.BLESSED, len(trace.artifacts))
    kind = trace.artifacts_of_types([ArtifactType.MODEL_BLESSING])
    before = np.flatnonzero(create_ms < create_ms[number])
    for other in before[np.argsort(create_ms[before], kind="stable")][::-1].tolist():
        for execution in _evaluators(graphlets, other):
            put = graphlets.edges.outputs.of(execution)
            if (blessed[put[kind[put]]] == 1).any():
                return other
    return -1


def write_rehearsals(folder: Path) -> Path:
    """Rehearses the runs of one variant; returns the file that it wrote.

    Args:
      folder: of the variant, named like it, with `archive`, or with `metadata.sqlite` and `root`.
    """
    archive = folder / "archive"
    store = archive if archive.is_dir() else folder / "metadata.sqlite"
    with open_store(store) as opened, tempfile.TemporaryDirectory() as temporary:
        graphlets, data_root = segment(opened.read_trace()), folder / "data"
        if not data_root.is_dir():
            data_root = Path(temporary)
            write_data(variants.get_variant(folder.name), data_root)
        rows = rehearsals(graphlets, opened.payloads, Spans(data_root))
    target = folder / history.REHEARSALS_NAME
    draft = target.with_name(f".{target.name}.draft")
    parquet.write_table(pa.Table.from_pylist(rows), draft)
    draft.replace(target)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.rehearse", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    folders = options.folders or [archive.parent for archive in history.archives()]
    for folder in tqdm(folders, disable=None, leave=False):
        sys.stdout.write(f"{write_rehearsals(folder)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
