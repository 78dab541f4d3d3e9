"""No feature of a stage changes when everything recorded after its moment is gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus import needs_corpus, public_stores, real_runs
from tests.cut import cut_trace
from tests.features.leaks import leaks
from tests.features.memory_payloads import anomalies, metrics, schema, statistics
from tests.features.runs import FAILED, OTHER_CODE, Runs
from tests.strategies import arbitrary_rows, deterministic, pipeline_rows
from tfx_graphlets.features import decision_moment, describe
from tfx_graphlets.features.look_back import Rows, at
from tfx_graphlets.features.table import FeatureGroup, numbers
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Outcome, Stage

few = settings(deterministic, max_examples=12)


def no_leaks(graphlets: Graphlets, stage: Stage) -> None:
    """Every graphlet looks the same in the whole trace and in the one cut at its moment."""
    for number in range(len(graphlets)):
        assert not leaks(graphlets, stage, number), f"graphlet {number}"


@pytest.mark.parametrize("stage", Stage)
@few
@given(rows=pipeline_rows())
def test_pipelines_leak_nothing(stage: Stage, rows: RowBuilder) -> None:
    """Pipelines that interleave, fail, crash and hit their caches."""
    no_leaks(segment(assemble(rows.rows())), stage)


@pytest.mark.parametrize("stage", Stage)
@few
@given(rows=arbitrary_rows())
def test_nonsense_leaks_nothing(stage: Stage, rows: RowBuilder) -> None:
    """Traces that no pipeline would write: any times, any wiring."""
    no_leaks(segment(assemble(rows.rows())), stage)


@needs_corpus
@pytest.mark.parametrize("store", public_stores(), ids=lambda path: path.stem)
def test_public_stores_leak_nothing(store: Path) -> None:
    """Stores that other people's pipelines wrote, the latest graphlets of each, every stage."""
    with open_store(store) as opened:
        graphlets = segment(opened.read_trace())
    for stage in Stage:
        for number in range(max(0, len(graphlets) - 2), len(graphlets)):
            assert not leaks(graphlets, stage, number)


@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
@pytest.mark.parametrize("stage", Stage)
def test_real_runs_leak_nothing(store: Path, stage: Stage) -> None:
    """Recorded continuous training, with its payloads: a graphlet in every twelve."""
    with open_store(store) as opened:
        graphlets, payloads = segment(opened.read_trace()), opened.payloads
        for number in range(5, len(graphlets), 12):
            assert not leaks(graphlets, stage, number, payloads)


@pytest.mark.parametrize("stage", Stage)
def test_runs_with_payloads_leak_nothing(stage: Stage) -> None:
    """Hand-built runs with pushes, failures, other code and metrics."""
    runs = Runs()
    first = runs.run(metrics=metrics(0.8, 0.7))
    runs.run(span=2, window=(first.examples,), code=OTHER_CODE, pushed=False)
    runs.run(span=2, trainer_state=FAILED)
    runs.run(span=3, metrics=metrics(0.7, 0.8), pushed=False, base_model=first.model)
    graphlets = segment(runs.build.trace())
    for number in range(len(graphlets)):
        assert not leaks(graphlets, stage, number, runs.payloads)


@settings(deterministic, max_examples=6)
@given(
    overlap_ms=st.integers(0, 7_000),
    delays_ms=st.lists(st.integers(0, 6_000), min_size=40, max_size=40),
)
def test_overlapping_runs_leak_nothing(overlap_ms: int, delays_ms: list[int]) -> None:
    """Runs that start before the last has ended, with executions that take their time.

    Verdicts, statistics, anomalies, schemas and metrics of a run come in while the next
    one is at its gates.
    """
    runs = Runs()
    content = [statistics(numbers={"x": (0.0, 1.0 + shift, 2.0)}) for shift in range(3)]
    examples: tuple[int, ...] = ()
    for span in range(4):
        run = runs.run(
            span=span % 3, window=examples[-1:], pushed=span % 2 == 0, blessed=span != 1,
            statistics=content[span % 3], anomalies=anomalies(*"xy"[: span % 3]),
            schema=schema(**{"x": "FLOAT", f"y{span % 2}": "INT"}),
            metrics=metrics(0.5 + span / 10, 0.6),
        )  # fmt: skip
        examples = (*examples, run.examples)
    raw = runs.build.raw()
    run_of = [(number - 1) // 8 for number in raw["Execution"]["id"]]
    raw["Execution"]["create_ms"] = [
        create - run * overlap_ms for create, run in zip(raw["Execution"]["create_ms"], run_of)
    ]
    raw["Execution"]["update_ms"] = [
        create + 1_000 + delay for create, delay in zip(raw["Execution"]["create_ms"], delays_ms)
    ]
    graphlets = segment(assemble(raw.rows()))
    for stage in Stage:
        for number in range(1, len(graphlets)):
            assert not leaks(graphlets, stage, number, runs.payloads)


@pytest.mark.parametrize("stage", [Stage.INPUT, Stage.PRE])
def test_nothing_leaks_at_any_moment(stage: Stage) -> None:
    """Also where a gate decides while earlier graphlets are under way, at 23 moments."""
    runs, windows = Runs(), [()]
    for number in range(12):
        made = runs.run(
            span=number // 2, window=windows[-1], pushed=number % 3 == 0,
            code=OTHER_CODE if number in (4, 5, 9) else "a" * 64, blessed=number % 2 == 0,
            trainer_state=FAILED if number == 7 else 3, metrics=metrics(0.5 + number / 50, 0.6),
            statistics=statistics(numbers={"x": (0.0, 1.0 + number, 2.0)}),
            anomalies=anomalies(*"xy"[: number % 3]), schema=schema(x="FLOAT"),
        )  # fmt: skip
        windows.append((made.examples,))
    graphlets = segment(runs.build.trace())
    create_ms = graphlets.trace.executions.create_ms[graphlets.trainer]
    start, end = int(graphlets.start_ms.min()), int(graphlets.end_ms.max())
    for moment in np.linspace(start, end, 23).astype(np.int64).tolist():
        for number in np.flatnonzero(create_ms >= moment).tolist()[:3]:
            assert not leaks(graphlets, stage, number, runs.payloads, moment_ms=moment), moment


def test_code_is_all_that_the_cut_trace_knows_of_what_has_not_run() -> None:
    """The hashes at the pending Trainer tell the group ``code``, and no other group, anything."""
    runs = Runs()
    runs.run()
    runs.run(code=OTHER_CODE, span=2)
    graphlets = segment(runs.build.trace())
    for stage in (Stage.INPUT, Stage.PRE):
        moment = decision_moment(graphlets, stage)[1:]
        cut = cut_trace(graphlets, 1, stage, int(moment[0]))
        said = cut.executions.properties
        silent = dataclasses.replace(
            cut,
            executions=dataclasses.replace(
                cut.executions,
                properties=dataclasses.replace(
                    said, names=tuple(n.replace("code_known", "code_unknown") for n in said.names)
                ),
            ),
        )
        rows = [
            describe(segment(trace), stage, rows=np.array([1]), moment_ms=moment).row(0)
            for trace in (cut, silent)
        ]
        differing = {name for name in rows[0] if rows[0][name] != rows[1][name]}
        assert differing
        assert all(name.startswith("code.tra") for name in differing)


def _leaky_group() -> FeatureGroup:
    """Two features as one might write them in haste: both see the future."""

    def columns(rows: Rows) -> dict[str, FloatArray]:
        graphlets, window = rows.entries.graphlets, rows.window
        cost = np.array([one.cost_ms for one in graphlets])
        previous = at(cost[window.graphlet], window.nth(1))
        return {
            "pushed": (graphlets.outcome[rows.graphlet] == Outcome.PUSHED).astype(float),
            "cost_of_previous": np.nan_to_num(previous),
        }

    return FeatureGroup(
        "leaky",
        numbers("leaky", Stage.INPUT, "never", "nowhere", pushed="0 or 1", cost_of_previous="ms"),
        columns,
    )


def test_a_leaky_feature_is_found() -> None:
    """A feature that reads the graphlet's own outcome differs in the cut trace."""
    runs = Runs()
    runs.run()
    runs.run()
    found = leaks(segment(runs.build.trace()), Stage.PRE, 1, groups=[_leaky_group()])
    assert found == {"leaky.pushed": (1.0, 0.0)}


def test_a_feature_that_looks_ahead_at_the_past_is_found() -> None:
    """The cost of the previous graphlet counts what it still had under way."""
    runs = Runs()
    first = runs.run()
    late = runs.build.artifact("ModelEvaluation")
    runs.run()
    # A second evaluation of the first model, which ends after the second run.
    runs.build.execution(
        "Evaluator", inputs={"model": [first.model]}, outputs={"evaluation": [late]}, run="p-run-1"
    )
    found = leaks(segment(runs.build.trace()), Stage.PRE, 1, groups=[_leaky_group()])
    assert found["leaky.cost_of_previous"] == (9000.0, 8000.0)
