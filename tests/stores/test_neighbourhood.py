"""Reading around one run by indexes finds what the whole store would have told."""

from __future__ import annotations

import copy
import random
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus import needs_corpus, real_runs
from tests.cut import cut_trace
from tests.row_lists import put, rows_of
from tests.stores.kubeflow.retelling import retold
from tests.stores.mlmd_files import write_store
from tests.stores.readers import needs_mlmd
from tests.strategies import deterministic, pipeline_rows, seeds
from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.features import decision_moment
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.current import current_graphlet, inputs_from_run
from tfx_graphlets.graphlets.graphlet import Graphlet, Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores import neighbourhood
from tfx_graphlets.stores.neighbourhood import Neighbourhood, read_neighbourhood
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.stores.sql.sqlite_lookups import SqliteLookups
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState, Role, Stage


def with_parents(path: Path) -> Path:
    """Makes the pipeline of each run the run's parent, as TFX does since 1.11."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "INSERT INTO ParentContext (context_id, parent_context_id) "
            "SELECT DISTINCT run.context_id, pipeline.context_id "
            "FROM Association AS run JOIN Association AS pipeline USING (execution_id) "
            "JOIN Context AS r ON r.id = run.context_id JOIN Type AS rt ON rt.id = r.type_id "
            "JOIN Context AS p ON p.id = pipeline.context_id JOIN Type AS pt ON pt.id = p.type_id "
            "WHERE pt.name = 'pipeline' AND rt.name IN ('pipeline_run', 'run', 'KfpRun')"
        )
    connection.close()
    return path


def stored(raw: RowBuilder, folder: str | Path) -> Path:
    """A file with these rows."""
    return with_parents(write_store(Path(folder) / "metadata.sqlite", raw))


def around(path: Path, **options: object) -> Neighbourhood | None:
    """What is read of a file."""
    connection = sqlite_file.connect(path, "the store")
    found = read_neighbourhood(SqliteLookups(connection), **options)  # type: ignore[arg-type]
    connection.close()
    return found


def until(raw: RowBuilder, count: int) -> RowBuilder:
    """The rows as they were when the first executions had been recorded."""
    kept = set(sorted(raw["Execution"]["id"])[:count])
    raw = copy.deepcopy(raw)
    for table, execution in (("Execution", 0), ("Event", 0), ("Association", 1)):
        put(raw, table, [row for row in rows_of(raw, table) if row[execution] in kept])
    return raw


def runs_of(trace: Trace) -> list[str]:
    """Names of runs that have executions and a pipeline: the latest and some before it."""
    at = np.unique(trace.run_of_execution[trace.pipeline_of_execution >= 0])
    names = [name for position in at.tolist() if (name := trace.context_name(position))]
    return names[-1:] + names[:-1:5]


def content(graphlet: Graphlet) -> tuple[set[int], tuple[int, ...], tuple[int, ...]]:
    """What a graphlet holds, a Trainer that does not exist yet left out."""
    return set(graphlet.executions) - {graphlet.trainer}, graphlet.artifacts, graphlet.warm_start


def trained_in_order(trace: Trace) -> bool:
    """True if Trainers were created in the order of their runs' contexts."""
    trainers = np.flatnonzero(roles.roles_of_executions(trace) == Role.TRAINER)
    run, create = trace.run_of_execution[trainers], trace.executions.create_ms[trainers]
    return bool((np.diff(create[np.lexsort((create, run))]) > 0).all())


def custom_roles(whole: Trace, trace: Trace) -> Mapping[str, Role]:
    """The roles that the whole store gives to the types of a trace."""
    role = dict(zip(whole.executions.type_names, roles.roles_of_types(whole).tolist()))
    return {name: Role(role[name]) for name in trace.executions.type_names}


@deterministic
@given(raw=pipeline_rows(), seed=seeds)
def test_the_current_graphlet_is_that_of_the_whole_store(raw: RowBuilder, seed: int) -> None:
    """For any run at any moment the part that is read holds the same pending graphlet."""
    randomness = random.Random(seed)
    raw = until(raw, randomness.randint(1, len(raw["Execution"]["id"])))
    whole = assemble(raw.rows())
    with tempfile.TemporaryDirectory() as folder:
        path = stored(raw, folder)
        for run in runs_of(whole):
            found = around(path, run=run)
            if found is None:
                assert "system.PipelineRun" in whole.contexts.type_names
                continue
            options = [
                {"role_of_type": custom_roles(whole, trace)} for trace in (found.trace, whole)
            ]
            if not trained_in_order(whole):
                # Which Trainer is the example was decided by the clocks of overlapping runs.
                inputs = inputs_from_run(whole, run)
                options = [{**one, "input_artifacts": inputs} for one in options]
            here, there = (
                current_graphlet(trace, run=run, moment_ms=10**9, **one)
                for trace, one in zip((found.trace, whole), options)
            )
            assert content(here) == content(there)


def same_but_for_unread_runs(
    here: Graphlet, there: Graphlet, whole: Graphlets, read: Collection[str | None]
) -> None:
    """Equal; ``needed`` may differ only where a run that was not read warm-starts from it."""
    assert {**here.to_dict(), "needed": None} == {**there.to_dict(), "needed": None}
    if here.needed == there.needed:
        return
    assert there.needed
    models, heirs = set(there.artifacts), []
    for _ in whole:  # the heirs of heirs, too
        heirs = [one for one in whole if models & set(one.warm_start)]
        models.update(artifact for one in heirs for artifact in one.artifacts)
    assert any(one.needed and one.run not in read for one in heirs)


@deterministic
@given(raw=pipeline_rows())
def test_the_trained_graphlet_is_that_of_the_whole_store(raw: RowBuilder) -> None:
    """From stage trainer on no other run has to be read to find what the Trainer's is.

    Whether it is needed a later run may say, which warm-starts from its Model.
    """
    whole = assemble(raw.rows())
    with tempfile.TemporaryDirectory() as folder:
        path = stored(raw, folder)
        for run in runs_of(whole):
            found = around(path, run=run, pipeline=run.partition(".")[0], runs=0)
            assert found is not None
            role_of_type = custom_roles(whole, found.trace)
            stage = Stage.VALIDATION
            try:
                there = current_graphlet(
                    whole, run=run, moment_ms=10**9, stage=stage,
                    role_of_type=custom_roles(whole, whole),
                )  # fmt: skip
            except TraceNotFoundError:
                with pytest.raises(TraceNotFoundError):
                    current_graphlet(
                        found.trace, run=run, moment_ms=10**9, stage=stage,
                        role_of_type=role_of_type,
                    )  # fmt: skip
                continue
            here = current_graphlet(
                found.trace, run=run, moment_ms=10**9, stage=stage, role_of_type=role_of_type
            )
            same_but_for_unread_runs(here, there, segment(whole), {run})


@deterministic
@given(raw=pipeline_rows(), runs=st.integers(1, 4))
def test_the_latest_runs_have_the_graphlets_of_the_whole_store(raw: RowBuilder, runs: int) -> None:
    """Every graphlet of a run that was read is the same as in the whole store.

    But for what runs that were not read say of it: one of them may have warm-started from its
    Model, and need it.
    """
    whole = assemble(raw.rows())
    in_whole = {one.trainer: one for one in segment(whole)}
    with tempfile.TemporaryDirectory() as folder:
        path = stored(raw, folder)
        for run in runs_of(whole):
            found = around(path, run=run, runs=runs)
            if found is None:
                assert "system.PipelineRun" in whole.contexts.type_names
                continue
            assert len(found.runs) <= runs
            graphlets = segment(found.trace, role_of_type=custom_roles(whole, found.trace))
            read = {run, *found.runs}
            for graphlet in graphlets:
                if graphlet.run in read:
                    there = in_whole[graphlet.trainer]
                    same_but_for_unread_runs(graphlet, there, segment(whole), read)
            assert {one.trainer for one in graphlets} >= {
                number for number, one in in_whole.items() if one.run in read
            }


def by_mlmd(path: Path, **options: object) -> Neighbourhood | None:
    """What is read of a file by the MLMD API."""
    from ml_metadata import MetadataStore
    from ml_metadata.proto import metadata_store_pb2

    from tfx_graphlets.stores.mlmd.lookups import MlmdLookups

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    return read_neighbourhood(MlmdLookups(MetadataStore(config)), **options)  # type: ignore[arg-type]


@needs_mlmd
@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
@pytest.mark.parametrize("runs", [None, 0, 5])
def test_both_ways_of_asking_read_the_same(store: Path, runs: int | None) -> None:
    """The MLMD API and SQL give equal traces, but for nodes that a class tells as well."""
    whole = open_store(store).read_trace()
    for run in runs_of(whole):
        here, there = around(store, run=run, runs=runs), by_mlmd(store, run=run, runs=runs)
        assert here is not None
        assert there is not None
        assert (here.runs, here.complete) == (there.runs, there.complete)
        assert without_strangers(here.trace) == without_strangers(there.trace)
        assert same_nodes(there.trace) == same_nodes(here.trace)


def same_nodes(trace: Trace) -> set[tuple[int, int]]:
    """Pairs of executions that stand for one node in two runs, as far as can be told."""
    run, node, kind = trace.run_of_execution, trace.node_of_execution, trace.executions.type
    members = np.flatnonzero(run >= 0).tolist()
    return {
        (left, right)
        for left in members
        for right in members
        if run[left] != run[right] and (node[left], kind[left]) == (node[right], kind[right])
    }


def without_strangers(trace: Trace) -> dict[str, object]:
    """The trace as plain values, contexts of executions of runs that were not read left out.

    The API cannot tell them.
    """
    of_run = set(np.flatnonzero(trace.run_of_execution >= 0).tolist())
    contexts = trace.contexts
    return {
        "executions": trace.executions.id.tolist(),
        "artifacts": trace.artifacts.id.tolist(),
        "events": [
            column.tolist()
            for column in (
                trace.events.execution, trace.events.artifact, trace.events.type,
                trace.events.time_ms,
            )
        ],
        "keys": [trace.events.keys[code] for code in trace.events.key.tolist()],
        "texts": trace.executions.properties.texts("module_path", len(trace.executions)),
        "numbers": np.nan_to_num(
            trace.artifacts.properties.numbers("pushed", len(trace.artifacts)), nan=-1
        ).tolist(),
        "contexts": sorted(
            (contexts.name[context], execution)
            for context, execution in zip(
                contexts.association_context.tolist(), contexts.association_execution.tolist()
            )
            if execution in of_run
            and contexts.type_names[contexts.type[context]] != "node"
        ),
    }  # fmt: skip


@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
@pytest.mark.parametrize("stage", [Stage.INPUT, Stage.PRE])
def test_a_gate_reads_the_same_of_recorded_runs(store: Path, stage: Stage) -> None:
    """Recorded runs, each cut before its gate: the same graphlet as from the whole cut store."""
    whole = segment(open_store(store).read_trace())
    moments = decision_moment(whole, stage)
    for number in range(3, len(whole), 9):
        moment, run = int(moments[number]), whole[number].run
        cut = cut_trace(whole, number, stage, moment, with_trainer=False)
        with tempfile.TemporaryDirectory() as folder:
            found = around(stored(retold(cut), folder), run=run)
        assert found is not None
        here, there = (
            current_graphlet(trace, run=run, moment_ms=moment, stage=stage)
            for trace in (found.trace, cut)
        )
        assert content(here) == content(there)
        assert len(found.trace.executions) < len(cut.executions) or found.complete


@pytest.mark.parametrize("ask", [around, pytest.param(by_mlmd, marks=needs_mlmd)])
def test_what_every_run_shares_is_not_followed_without_end(
    ask: Callable[..., Neighbourhood | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data of all runs bring in the latest few statistics; a schema brings in its producer only."""
    monkeypatch.setattr(neighbourhood, "MOST_JOINED", 5)
    build = TraceBuilder()
    schema, shared = build.artifact("Schema"), build.artifact("Examples")
    for number in range(30):
        examples, anomalies = build.artifact("Examples"), build.artifact("ExampleAnomalies")
        run = f"r-{number}"
        state = ExecutionState.CACHED if number else ExecutionState.COMPLETE
        build.execution("SchemaGen", outputs={"schema": [schema]}, run=run, state=state)
        build.execution("CsvExampleGen", outputs={"examples": [examples]}, run=run)
        build.execution(
            "ExampleValidator", inputs={"schema": [schema]}, outputs={"anomalies": [anomalies]},
            run=run,
        )  # fmt: skip
        build.execution("ImportExampleGen", outputs={"shared": [shared]}, run=run, state=state)
        build.execution("StatisticsGen", inputs={"examples": [shared]}, run=run)
        if number < 29:
            inputs = {"examples": [examples, shared], "schema": [schema]}
            build.execution("Trainer", inputs=inputs, run=run)
    found = ask(stored(build.raw(), tmp_path), run="r-29")
    assert found is not None
    graphlet = current_graphlet(found.trace, run="r-29", moment_ms=10**9)
    # The one that made it, and this run's cache hit.
    assert len(graphlet.with_role(Role.SCHEMA_GEN)) == 2
    assert len(graphlet.with_role(Role.EXAMPLE_GEN)) == 3
    assert 5 <= len(graphlet.with_role(Role.STATISTICS_GEN)) <= 8
    assert not graphlet.with_role(Role.DATA_VALIDATOR)
