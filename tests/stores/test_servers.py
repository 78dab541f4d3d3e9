"""Stores in MySQL (MariaDB) and PostgreSQL, held against the MLMD API, on servers of their own."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stores import servers
from tests.stores.mlmd_files import mlmd_struct
from tests.stores.readers import needs_mlmd
from tfx_graphlets.errors import (
    EmptyStoreError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
    TraceNotFoundError,
    UnsupportedSchemaError,
)
from tfx_graphlets.stores import store as store_module
from tfx_graphlets.stores.mlmd.store import MlmdStore
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.sql.server_store import ServerStore
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.trace import first_difference

pytestmark = [
    pytest.mark.server,
    needs_mlmd,
    pytest.mark.skipif(
        importlib.util.find_spec("connectorx") is None, reason="connectorx is not installed"
    ),
]
FIRST = "it's first"
QUOTED = urllib.parse.quote(servers.PASSWORD, safe="")


class Database:
    """A server and how to reach it."""

    def __init__(self, backend: str, port: int) -> None:
        self.backend = backend
        # ml-metadata writes no backslash into PostgreSQL: it quotes it twice.
        self.mark = "\\" if backend == "mysql" else ""
        self.port = port

    def uri(self, database: str, *, scheme: str = "", password: str = QUOTED) -> str:
        """The URI of one of its databases."""
        return f"{scheme or self.backend}://mlmd:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, database: str, statements: str) -> None:
        """Executes statements."""
        if self.backend == "mysql":
            command = [
                "mariadb", "--no-defaults", "-h127.0.0.1", f"-P{self.port}", "-umlmd",
                f"-p{servers.PASSWORD}", database or "mysql",
            ]  # fmt: skip
        else:
            command = [
                str(servers.program("psql")), "-qh127.0.0.1", f"-p{self.port}", "-Umlmd",
                "-vON_ERROR_STOP=1", database or "postgres",
            ]  # fmt: skip
        environment = {**os.environ, "PGPASSWORD": servers.PASSWORD}
        subprocess.run(
            command, input=statements.encode(), check=True, env=environment, capture_output=True
        )

    def config(self, name: str) -> Any:
        """How the MLMD API, and a runner of TFX, connects to one of its databases."""
        from ml_metadata.proto import metadata_store_pb2 as pb

        config = pb.ConnectionConfig()
        place = config.mysql if self.backend == "mysql" else config.postgresql
        place.host, place.user, place.password = "127.0.0.1", "mlmd", servers.PASSWORD
        place.skip_db_creation = True
        if self.backend == "mysql":
            place.port, place.database = self.port, name
        else:
            place.port, place.dbname = str(self.port), name
        return config

    def filled(self, name: str, fill: Callable[[Any, str], None] | None = None) -> None:
        """Makes a database whose tables the MLMD API makes, and ``fill`` fills."""
        from ml_metadata.metadata_store import metadata_store

        self.run("", f"CREATE DATABASE {name};")
        api = metadata_store.MetadataStore(self.config(name))
        if fill is not None:
            fill(api, self.mark)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("mysql", marks=servers.needs_mariadb),
        pytest.param("postgresql", marks=servers.needs_postgresql),
    ],
)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A server with a filled store, and an empty one."""
    start = servers.mariadb if request.param == "mysql" else servers.postgresql
    with start() as port:
        result = Database(request.param, port)
        result.filled("store", fill)
        result.filled("empty")
        yield result


def fill(api: Any, mark: str) -> None:
    """Two pipelines, every kind of property, awkward names; ``mark`` stands in some texts."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    kinds = {"span": pb.INT, "share": pb.DOUBLE, "text": pb.STRING, "on": pb.BOOLEAN}
    data = api.put_artifact_type(pb.ArtifactType(name="Examples", properties=kinds))
    model = api.put_artifact_type(pb.ArtifactType(name="tfx.Model"))
    trainer = api.put_execution_type(pb.ExecutionType(name="tfx.Trainer", properties=kinds))
    contexts = {
        name: api.put_context_type(pb.ContextType(name=name))
        for name in ("pipeline", "pipeline_run", "node", "execution_cache")
    }
    places = {}
    for kind, name in (
        ("pipeline", FIRST + mark), ("pipeline", "second"), ("pipeline_run", "run ü"),
        ("node", "node"), ("execution_cache", "abc"),
    ):  # fmt: skip
        (places[name],) = api.put_contexts([pb.Context(type_id=contexts[kind], name=name)])
    artifacts = api.put_artifacts(
        [
            pb.Artifact(type_id=data, uri=f"data/ä{mark}1", state=pb.Artifact.LIVE),
            pb.Artifact(type_id=model, uri=""),
            pb.Artifact(type_id=model, uri="x" * 900, name="named"),
        ]
    )
    first, second = pb.Execution(type_id=trainer), pb.Execution(type_id=trainer)
    first.last_known_state = pb.Execution.COMPLETE
    first.properties["span"].int_value = 2**31 - 1
    first.properties["share"].double_value = 1 / 3
    first.properties["text"].string_value = f"fünf 'und' {mark} sechs\n"
    first.properties["on"].bool_value = True
    first.custom_properties["text"].string_value = "10"
    first.custom_properties["off"].bool_value = False
    first.custom_properties["splits"].struct_value.update({"a": 1, "b": [0.5, None]})
    first.custom_properties["tiny"].double_value = -1.5e-300
    second.custom_properties["state"].string_value = "failed"
    second.custom_properties["long"].string_value = "y" * 3000
    executions = api.put_executions([first, second])
    steps = [("examples", 0), ("model", None), ("baseline_model", 1)]
    for number, (execution, artifact) in enumerate(
        [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)], start=1
    ):
        event = pb.Event(
            execution_id=executions[execution], artifact_id=artifacts[artifact],
            type=pb.Event.OUTPUT if number in (2, 5) else pb.Event.INPUT,
            milliseconds_since_epoch=1_700_000_000_000 + number,
        )  # fmt: skip
        key, index = steps[number % 3]
        event.path.steps.add().key = key
        if index is not None:
            event.path.steps.add().index = index
            event.path.steps.add().key = "later"
        api.put_events([event])
    api.put_attributions_and_associations(
        [pb.Attribution(context_id=places[FIRST + mark], artifact_id=artifacts[0])],
        [
            pb.Association(context_id=places[name], execution_id=executions[number])
            for number, name in (
                (0, FIRST + mark), (0, "run ü"), (0, "node"), (0, "abc"), (1, "second"),
                (1, "run ü"),
            )
        ],
    )  # fmt: skip


def test_the_bulk_reader_and_the_api_agree(database: Database) -> None:
    """The same Trace of the same database: whole, of one pipeline, with less of it."""
    with (
        open_store(database.uri("store")) as bulk,
        open_store(database.uri("store", scheme=f"{database.backend}+mlmd")) as api,
    ):
        assert isinstance(bulk, ServerStore)
        assert isinstance(api, MlmdStore)
        assert len(bulk.read_trace().events) == 5
        for arguments in (
            {}, {"pipeline": "second"}, {"pipelines": ["second", FIRST + database.mark]},
            {"properties": ["text", "it's \\"]}, {"properties": ["span"], "pipeline": "second"},
            {"columns": Columns.FOR_FEATURES},
            {"columns": Columns(event_keys=frozenset({"it's \\", "model"}))},
        ):  # fmt: skip
            mine, theirs = bulk.read_trace(**arguments), api.read_trace(**arguments)
            assert first_difference(mine, theirs) is None, arguments
        assert (
            bulk.pipelines()
            == api.pipelines()
            == {
                FIRST + database.mark: 1,
                "second": 1,
            }
        )
        with pytest.raises(TraceNotFoundError, match="'second'"):
            bulk.read_trace(pipeline="third")
    with pytest.raises(StoreError, match="open it again"):
        bulk.read_trace()


def test_a_store_without_executions(database: Database) -> None:
    """A sound store in which nothing ever ran has no trace."""
    with open_store(database.uri("empty")) as store, pytest.raises(EmptyStoreError):
        store.read_trace()


def test_what_is_written_meanwhile_is_left_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come after the reading began are not in the trace, whole or in half."""
    database.filled("growing", fill)
    with open_store(database.uri("growing")) as store:
        before = store.read_trace()
        bounds = ServerStore._bounds

        def grow(reader: ServerStore) -> dict[str, int]:
            found = bounds(reader)
            database.run(
                "growing",
                "INSERT INTO Execution (type_id) SELECT max(type_id) FROM Execution;"
                "INSERT INTO Event (artifact_id, execution_id, type) SELECT 1, max(id), 3 "
                "FROM Execution;"
                "INSERT INTO Association (context_id, execution_id) SELECT 1, max(id) "
                "FROM Execution;",
            )
            return found

        monkeypatch.setattr(ServerStore, "_bounds", grow)
        assert first_difference(store.read_trace(), before) is None
        monkeypatch.undo()
        assert len(store.read_trace().executions) == 3


def test_databases_without_the_tables_or_of_another_schema(database: Database) -> None:
    """Neither is read, and no table is made in them."""
    database.run("", "CREATE DATABASE bare;")
    for _ in range(2):
        with pytest.raises(NotAMetadataStoreError, match="lacks the table"):
            open_store(database.uri("bare"))
    database.filled("newer")
    database.run("newer", "UPDATE MLMDEnv SET schema_version = 11;")
    with pytest.raises(UnsupportedSchemaError, match="schema 11"):
        open_store(database.uri("newer"))


def test_an_error_holds_no_password(
    database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither message, cause, context nor log names it, as it is or percent-encoded."""
    with caplog.at_level(logging.DEBUG), open_store(database.uri("store")) as store:
        database.run("store", "ALTER TABLE Attribution RENAME TO Hidden;")
        try:
            with pytest.raises(StoreError, match="cannot be read") as caught:
                store.read_trace()
        finally:
            database.run("store", "ALTER TABLE Hidden RENAME TO Attribution;")
    said = [str(caught.value), repr(caught.value.__cause__), caplog.text, *capfd.readouterr()]
    assert caught.value.__suppress_context__
    for text in said:
        assert servers.PASSWORD not in text
        assert QUOTED not in text


@pytest.mark.slow
def test_a_wrong_password_is_not_shown(
    database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    """ConnectorX tries for half a minute; its message and what it logs do not name the password."""
    with pytest.raises(StoreError, match="password") as caught:
        open_store(database.uri("store", password="wr%40ng"))  # noqa: S106 - a wrong one
    for text in (str(caught.value), repr(caught.value.__cause__), *capfd.readouterr()):
        assert "wr%40ng" not in text
        assert "wr@ng" not in text


def test_a_port_where_nobody_answers() -> None:
    """It is named as such, at once."""
    with pytest.raises(StoreNotFoundError, match="does not answer"):
        open_store("postgresql://mlmd@127.0.0.1:1/store")


def test_without_connectorx_the_api_reads(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same URI opens the MLMD API where the optional package is missing."""
    from tfx_graphlets.stores.sql import server_store

    monkeypatch.setattr(server_store, "is_installed", lambda: False)
    with store_module.open_store(database.uri("store")) as store:
        assert isinstance(store, MlmdStore)


def test_structs_are_kept_as_mlmd_keeps_them(database: Database) -> None:
    """The text of a Struct in the table is the one that the reader takes apart."""
    text = mlmd_struct({"a": 1})
    with open_store(database.uri("store")) as store:
        properties = store.read_trace().executions.properties
    assert text.startswith("mlmd-struct::")
    assert properties.texts("splits", 2)[0] == '{"a": 1, "b": [0.5, null]}'
