"""Where the gate runs, as data: runner by backend, backend by schema, and the test of each cell.

``python -m tests.where_it_runs`` prints the tables as they stand in docs/where_it_runs.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

GATED: Final = "tests/components/test_gated_pipeline.py"
PLACES: Final = "tests/components/test_places.py"
PENGUIN: Final = "tests/pipelines/test_penguin.py"
BEAM: Final = "tests/pipelines/test_beam_runner.py"
KUBEFLOW: Final = "tests/kubeflow/test_running.py"
COMMAND: Final = "tests/cli/test_gate_from.py"
SCHEMAS: Final = "tests/stores/test_schemas.py"
PUBLIC: Final = "tests/stores/test_public_stores.py"

IN_A_SERVER: Final = f"{PLACES}::test_a_runner_that_records_in_a_server"
BY_SERVICE: Final = f"{PLACES}::test_a_runner_whose_store_is_read_through_the_service"
BESIDE: Final = f"{PLACES}::test_an_archive_beside_the_runner_lets_the_run_through"
CONTAINERS: Final = f"{PLACES}::test_containers_read_the_history"
DECIDES: Final = f"{COMMAND}::test_the_command_decides_the_same"
READ: Final = f"{SCHEMAS}::test_every_schema_from_every_backend"

LETS_THROUGH: Final = (
    "lets every run through and says why: the archive ends before the present run, which this "
    "runner names and keeps in its own store; name that store, or none"
)
NO_RUNS_OF_IT: Final = "the API tells of runs of Kubeflow Pipelines alone, not of these"
MOUNTED: Final = "the file has to be on a volume that the container mounts"
NO_AIRFLOW: Final = (
    "Airflow is not among the pinned packages. Tried by hand with 2.11.2, its runner "
    "ignores `tfx.dsl.Cond`, so that nothing is skipped; what works is `tfx-graphlets gate` in an "
    "operator before the DAG (the last row), see pipelines/kubeflow/README.md"
)
ONLY_V2: Final = "the API tells of runs of Kubeflow Pipelines v2 alone"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One pairing.

    Attributes:
      tests: node ids of the tests that run it; none where it is not run here.
      note: what to know of it, or why it is not run here; empty for nothing.
      works: false where the tests show that there the gate cannot decide.
    """

    tests: tuple[str, ...] = ()
    note: str = ""
    works: bool = True


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells by row and column.

    Attributes:
      corner: heading of the first column.
      said: heading of a column of words about each row; empty for none.
      columns: keys of the cells of a row, in order, and their headings.
      rows: heading, words, and cells by column.
    """

    corner: str
    said: str
    columns: Mapping[str, str]
    rows: tuple[tuple[str, str, Mapping[str, Cell]], ...]

    def cells(self) -> Iterator[tuple[str, str, Cell]]:
        """Row, column and cell, row by row."""
        for row, _, cells in self.rows:
            for column in self.columns:
                yield row, column, cells[column]


BACKENDS: Final = {
    "sqlite": "SQLite",
    "mysql": "MySQL, MariaDB",
    "postgresql": "PostgreSQL",
    "grpc": "gRPC",
    "kfp": "KFP's API",
    "archive": "archive",
}
SCHEMA_NAMES: Final = {
    "pipeline_run": "TFX 1.x",
    "run": "older TFX (`run`)",
    "InteractiveContext": "InteractiveContext",
    "KfpRun": "KFP v1 (`KfpRun`)",
    "system": "KFP v2 (`system.*`)",
}


def _of_local_runner(runner: str, *sqlite: str) -> Mapping[str, Cell]:
    return {
        "sqlite": Cell(sqlite),
        "mysql": Cell((f"{IN_A_SERVER}[{runner}-mysql]",)),
        "postgresql": Cell((f"{IN_A_SERVER}[{runner}-postgresql]",)),
        "grpc": Cell((f"{BY_SERVICE}[{runner}]",)),
        "kfp": Cell(note=NO_RUNS_OF_IT),
        "archive": Cell((f"{BESIDE}[{runner}]",), LETS_THROUGH, works=False),
    }


def _of_containers(platform: str, kfp: Cell, *archive: str) -> Mapping[str, Cell]:
    return {
        "sqlite": Cell((f"{CONTAINERS}[{platform}-sqlite]",), MOUNTED),
        **{
            backend: Cell((f"{CONTAINERS}[{platform}-{backend}]",))
            for backend in ("mysql", "postgresql", "grpc")
        },
        "kfp": kfp,
        "archive": Cell(archive),
    }


RUNNERS: Final = Table(
    "runner",
    "what its runs leave",
    BACKENDS,
    (
        (
            "LocalDagRunner",
            "TFX 1.x",
            _of_local_runner(
                "local",
                f"{GATED}::test_a_skipped_run_holds_a_decision_and_no_training",
                f"{GATED}::test_the_store_can_be_named",
                f"{PENGUIN}::test_the_gated_pipeline_decides",
            ),
        ),
        (
            "BeamDagRunner",
            "TFX 1.x",
            _of_local_runner(
                "beam",
                f"{BEAM}::test_the_gate_decides_both_ways",
                f"{BEAM}::test_the_history_is_read_through_the_driver",
            ),
        ),
        (
            "KubeflowV2DagRunner, Vertex AI *",
            "nothing that speaks MLMD",
            _of_containers(
                "vertex",
                Cell(note=NO_RUNS_OF_IT),
                f"{KUBEFLOW}::test_on_vertex_a_run_that_is_worth_it_trains_and_pushes",
                f"{KUBEFLOW}::test_on_vertex_a_run_that_is_not_worth_it_stops_at_the_gate",
                f"{KUBEFLOW}::test_the_history_may_lie_in_a_bucket",
            ),
        ),
        (
            "KubeflowV2DagRunner, open-source KFP v2 *",
            "KFP v2 (`system.*`)",
            _of_containers(
                "kfp",
                Cell((f"{CONTAINERS}[kfp-kfp]",)),
                f"{KUBEFLOW}::test_on_open_source_kfp_both_decisions_occur",
                f"{KUBEFLOW}::test_the_penguin_pipeline_runs_on_open_source_kfp",
            ),
        ),
        ("AirflowDagRunner", "TFX 1.x", dict.fromkeys(BACKENDS, Cell(note=NO_AIRFLOW))),
        (
            "none: `tfx-graphlets gate` from cron, Airflow, a script",
            "whatever runs then",
            {
                backend: Cell(
                    tuple(
                        f"{DECIDES}[{backend}-{kept_by}]"
                        for kept_by in ("tfx", "kubeflow", "run", "KfpRun")
                        if (backend == "sqlite" or kept_by not in ("run", "KfpRun"))
                        and (backend, kept_by) != ("kfp", "tfx")
                    )
                )
                for backend in BACKENDS
            },
        ),
    ),
)

_MORE_TESTS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("sqlite", "pipeline_run"): (
        "tests/stores/test_readers.py::test_every_schema_is_read_by_sql",
        f"{PUBLIC}::test_sql_and_api_give_one_trace",
    ),
    ("sqlite", "run"): (f"{PUBLIC}::test_counts_are_those_of_the_catalog",),
    ("sqlite", "InteractiveContext"): (f"{PUBLIC}::test_counts_are_those_of_the_catalog",),
    ("grpc", "pipeline_run"): (
        "tests/stores/test_grpc_store.py::test_real_stores_through_the_service",
    ),
    ("kfp", "system"): (
        "tests/stores/kubeflow/test_store.py::test_the_same_history_gives_the_same_graphlets",
    ),
    ("archive", "pipeline_run"): (f"{PUBLIC}::test_an_archive_gives_the_same_trace",),
}


def _read(backend: str, schema: str) -> Cell:
    if backend == "kfp" and schema != "system":
        return Cell(note=ONLY_V2)
    return Cell((f"{READ}[{backend}-{schema}]", *_MORE_TESTS.get((backend, schema), ())))


BACKENDS_BY_SCHEMA: Final = Table(
    "history",
    "",
    SCHEMA_NAMES,
    tuple(
        (heading, "", {schema: _read(backend, schema) for schema in SCHEMA_NAMES})
        for backend, heading in BACKENDS.items()
    ),
)
TABLES: Final = (RUNNERS, BACKENDS_BY_SCHEMA)


def markdown() -> str:
    """Both tables with their notes, as they stand in docs/where_it_runs.md."""
    notes: list[str] = []
    runners, schemas = (_table(table, notes) for table in TABLES)
    numbered = [f"{number}. {note}." for number, note in enumerate(notes, start=1)]
    return "\n".join([
        "Where a gate was run that decides by the history; each ✓ leads to a test. The servers are",
        "real ones, which the tests start. All tests of a cell: `tests/where_it_runs.py`.",
        "",
        *runners,
        "",
        "\\* container by container, as processes with the compiled commands, without a cluster.",
        "",
        "What is read into the same graphlets, by where it is and who wrote it:",
        "",
        *schemas,
        "",
        *numbered,
    ])  # fmt: skip


def _table(table: Table, notes: list[str]) -> list[str]:
    headings = [table.corner, *([table.said] if table.said else []), *table.columns.values()]
    lines = [_line(headings), _line(["---"] * len(headings))]
    for row, said, cells in table.rows:
        words = [row, *([said] if table.said else [])]
        lines.append(_line([*words, *(_shown(cells[column], notes) for column in table.columns)]))
    return lines


def _line(words: list[str]) -> str:
    return f"| {' | '.join(words)} |"


def _shown(cell: Cell, notes: list[str]) -> str:
    if cell.note and cell.note not in notes:
        notes.append(cell.note)
    sign = "✓" if cell.works else "✗"
    mark = f"[{sign}](../{cell.tests[0].partition('::')[0]})" if cell.tests else "-"
    return f"{mark} ({notes.index(cell.note) + 1})" if cell.note else mark


if __name__ == "__main__":
    print(markdown())  # noqa: T201
