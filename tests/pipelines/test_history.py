"""The recorded history that the repository brings."""

from __future__ import annotations

import json
import re

import pytest

from pipelines.flights import history
from pipelines.flights.variants import VARIANTS
from tfx_graphlets import Outcome, Stage, open_store, segment

MACHINE_PATH = re.compile(r"(?<![\w.\]])/(home|mnt|opt|root|tmp|usr|var|work)/")


def test_it_holds_at_least_250_graphlets_of_at_least_three_variants() -> None:
    """Every archive is of a declared variant, with pushed and unpushed graphlets."""
    archives = history.archives()
    assert {archive.parent.name for archive in archives} <= set(VARIANTS)
    total = 0
    for archive in archives:
        with open_store(archive) as store:
            graphlets = segment(store.read_trace())
        assert {Outcome.PUSHED, Outcome.UNPUSHED} <= {graphlet.outcome for graphlet in graphlets}
        total += len(graphlets)
    assert len(archives) >= 3
    assert total >= 250


def test_it_says_what_happened_in_every_run() -> None:
    """The log beside an archive has one line a run, and agrees with the archive on pushes."""
    for archive in history.archives():
        lines = (archive.parent / history.LOG_NAME).read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        pushed = {record["pipeline_run_id"] for record in records if record["pushed"]}
        with open_store(archive) as store:
            graphlets = segment(store.read_trace())
        assert all(record["causes"] for record in records)
        assert {g.run for g in graphlets if g.outcome is Outcome.PUSHED} == pushed


def test_it_brings_the_payloads_that_features_need() -> None:
    """Features that are read from statistics and evaluations are there for most graphlets."""
    table = history.dataset(Stage.PRE).table
    for name in ("input_data.similarity_1", "evaluation.metric_1"):
        known = table.numbers(name)
        assert (known == known).mean() > 0.8, name  # noqa: PLR0124 - NaN is not itself


@pytest.mark.parametrize("what", ["texts", "payloads"])
def test_no_path_of_a_machine_is_left_in_it(what: str) -> None:
    """Neither a property, a URI nor a kept file names a folder of the machine it was made on."""
    for archive in history.archives():
        with open_store(archive) as store:
            trace = store.read_trace()
            if what == "texts":
                found = [
                    *trace.artifacts.uri,
                    *trace.artifacts.properties.strings,
                    *trace.executions.properties.strings,
                ]
            else:
                found = [
                    (store.payloads.read(uri, name) or b"").decode("latin-1")
                    for uri in sorted(set(trace.artifacts.uri))
                    for name in store.payloads.files(uri)
                ]
        assert found
        assert not [text[:80] for text in found if MACHINE_PATH.search(text)]
