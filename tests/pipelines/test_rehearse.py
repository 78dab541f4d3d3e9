"""Rehearsals of recorded variants: made again, and read beside the history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

pytest.importorskip("tfx")

from pipelines.flights import history, rehearse, variants
from tfx_graphlets import Stage, describe, open_store, segment
from tfx_graphlets.rehearsal import record

pytestmark = pytest.mark.tfx

VARIANT = "flights-lga-linear-w1-value"


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> rehearse.Spans:
    """The variant's deliveries, written anew."""
    root = tmp_path_factory.mktemp("data")
    rehearse.write_data(variants.get_variant(VARIANT), root)
    return rehearse.Spans(root)


def test_splits_are_those_that_were_recorded(spans: rehearse.Spans) -> None:
    """Each window's split eval holds as many examples as the Evaluator counted in its run."""
    with open_store(history.DIRECTORY / VARIANT / "archive") as store:
        graphlets, payloads = segment(store.read_trace()), store.payloads
        counted = 0
        for number in range(0, len(graphlets), 6):
            metrics = rehearse._metrics(graphlets, number, payloads)
            if metrics is None:
                continue
            _, judged = spans.splits(rehearse._window(graphlets, number), "delayed")
            assert len(judged) == metrics.candidate["example_count"]
            counted += 1
    assert counted > 3


def test_a_variant_that_is_rehearsed_again_gives_the_same_margins(tmp_path: Path) -> None:
    """The file beside the archive is what the command writes, but for the seconds it took."""
    (tmp_path / VARIANT).mkdir()
    (tmp_path / VARIANT / "archive").symlink_to(history.DIRECTORY / VARIANT / "archive")
    again = parquet.read_table(rehearse.write_rehearsals(tmp_path / VARIANT)).to_pandas()
    kept = parquet.read_table(history.DIRECTORY / VARIANT / history.REHEARSALS_NAME).to_pandas()
    assert again["run"].tolist() == kept["run"].tolist()
    for name in record.MARGINS:
        assert np.allclose(again[name], kept[name], atol=1e-6, equal_nan=True), name


def test_the_history_can_be_read_as_if_rehearsed() -> None:
    """Margins at input and later; everything else as without them."""
    file = history.DIRECTORY / VARIANT / history.REHEARSALS_NAME
    with open_store(history.DIRECTORY / VARIANT / "archive") as store:
        trace, payloads = store.read_trace(), store.payloads
        plain = describe(segment(trace), Stage.INPUT, payloads=payloads)
        rehearsed = describe(
            segment(history.with_rehearsals(trace, file)), Stage.INPUT, payloads=payloads
        )
    margins = rehearsed.numbers("rehearsal.scout_value_margin")
    assert np.isfinite(margins).sum() == parquet.read_table(file).num_rows
    for feature in plain.features:
        if not feature.name.startswith("rehearsal."):
            before, after = plain.columns[feature.name], rehearsed.columns[feature.name]
            if isinstance(before, tuple):
                assert before == after
            else:
                assert np.array_equal(before, after, equal_nan=True), feature.name
