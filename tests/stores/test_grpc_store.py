"""``grpc://``: ML Metadata's service protocol, served from real stores."""

from __future__ import annotations

import contextlib
import inspect
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ml_metadata")

from tests.corpus import public_stores, real_runs
from tests.stores import test_readers as contract
from tests.stores.grpc_server import listening, serving
from tests.stores.mlmd_files import write_store
from tests.stores.readers import Reader, by_sql
from tests.stores.test_public_stores import first_pipeline, upgraded
from tests.stores.test_system_types import pipeline_of_one_run
from tfx_graphlets.errors import (
    InvalidArgumentError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
)
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.stores.uris import parse_server
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import first_difference

# Files are named by their paths, services by their addresses.
NOT_FOR_SERVICES = {"test_a_store_is_named_as_the_user_did"}
CONTRACT = sorted(
    name
    for name, test in vars(contract).items()
    if name.startswith("test_")
    and name not in NOT_FOR_SERVICES
    and list(inspect.signature(test).parameters) == ["reader", "tmp_path"]
)
STORES = [*real_runs()[1:2], *public_stores()[:3]]


@pytest.fixture
def by_grpc() -> Iterator[Reader]:
    """Opens a file through a service of its own."""
    with contextlib.ExitStack() as services:

        def reader(path: Path) -> Store:
            uri, _ = services.enter_context(serving(path))
            return open_store(uri)

        yield reader


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_of_readers(name: str, by_grpc: Reader, tmp_path: Path) -> None:
    """Whatever every reader holds to (test_readers), the service does."""
    getattr(contract, name)(by_grpc, tmp_path)


def test_the_contract_is_found() -> None:
    """The list above is not empty by mistake."""
    assert "test_every_column_comes_back" in CONTRACT
    assert len(CONTRACT) >= 12


@pytest.mark.parametrize("path", STORES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_stores_through_the_service(path: Path, tmp_path: Path) -> None:
    """The service and SQL give one trace of the same store, whole and of a pipeline."""
    copy = upgraded(path, tmp_path)
    with by_sql(copy) as sql, serving(copy) as (uri, servicer), open_store(uri) as store:
        trace = sql.read_trace()
        assert first_difference(store.read_trace(), trace) is None
        name = first_pipeline(trace)
        for columns in (Columns.ALL, Columns.FOR_FEATURES):
            mine = sql.read_trace(pipeline=name, properties=["span"], columns=columns)
            theirs = store.read_trace(pipeline=name, properties=["span"], columns=columns)
            assert first_difference(theirs, mine) is None
        assert store.pipelines() == sql.pipelines()
    # Later releases of ml-metadata have no such call.
    assert "GetLineageSubgraph" not in servicer.calls


def test_what_kubeflow_recorded_through_the_service(by_grpc: Reader, tmp_path: Path) -> None:
    """``system.*`` types are told in TFX's words, as from the file."""
    path = write_store(tmp_path / "store.sqlite", pipeline_of_one_run().raw())
    with by_sql(path) as sql, by_grpc(path) as service:
        assert first_difference(service.read_trace(), sql.read_trace()) is None


def test_messages_of_more_than_four_megabytes(by_grpc: Reader, tmp_path: Path) -> None:
    """gRPC's default limit on what is received does not apply."""
    build = TraceBuilder()
    build.execution("Trainer", run="r", custom_config="x" * 6_000_000)
    with by_grpc(write_store(tmp_path / "store.sqlite", build.raw())) as store:
        texts = store.read_trace().executions.properties.texts("custom_config", 1)
    assert len(texts[0] or "") == 6_000_000


def test_the_service_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``grpc://`` alone is the service that the environment names."""
    path = write_store(tmp_path / "store.sqlite", contract.two_pipelines().raw())
    with serving(path) as (uri, _):
        monkeypatch.setenv("METADATA_GRPC_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("METADATA_GRPC_SERVICE_PORT", uri.rpartition(":")[2])
        with open_store("grpc://") as store:
            assert store.name == uri
            assert len(store.read_trace().executions) == 2


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"HOST": "h", "PORT": "9000"}, "grpc://h:9000"),
        ({"HOST": "h"}, "grpc://h:8080"),
        ({"SERVICE_HOST": "10.0.0.1", "PORT": "tcp://10.0.0.1:8081"}, "grpc://10.0.0.1:8081"),
        ({"HOST": "h", "SERVICE_HOST": "no", "SERVICE_PORT": "1"}, "grpc://h:1"),
    ],
)
def test_the_environment_of_a_pod(environment: dict[str, str], name: str) -> None:
    """As Kubeflow's configuration, and as Kubernetes itself, sets the variables."""
    variables = {f"METADATA_GRPC_SERVICE_{key}": value for key, value in environment.items()}
    assert parse_server("grpc://", variables).name == name
    assert parse_server("grpc://other", variables).name == "grpc://other:8080"


def test_an_environment_that_names_no_service() -> None:
    """The error names the variables."""
    with pytest.raises(InvalidArgumentError, match="METADATA_GRPC_SERVICE_HOST"):
        parse_server("grpc://", {})
    wrong = {"METADATA_GRPC_SERVICE_HOST": "h", "METADATA_GRPC_SERVICE_PORT": "http"}
    with pytest.raises(InvalidArgumentError, match="METADATA_GRPC_SERVICE_PORT='http'"):
        parse_server("grpc://", wrong)


# -- services that are not there, or not for long ------------------------------------


def test_a_service_that_dies_midway(tmp_path: Path) -> None:
    """One clear error, at whichever call it happens, and again when it is asked again."""
    path = write_store(tmp_path / "store.sqlite", contract.two_pipelines().raw())
    for number in (2, 5, 8):
        with serving(path) as (uri, servicer), open_store(uri) as store:
            servicer.last = number
            for _ in range(2):
                with pytest.raises(StoreError) as caught:
                    store.read_trace()
                assert str(caught.value).startswith(f"{uri}: ")
                assert "check" in str(caught.value)
                assert "\n" not in str(caught.value)


def test_a_service_that_is_gone_when_it_is_read(tmp_path: Path) -> None:
    """It was there when it was opened."""
    with serving(write_store(tmp_path / "store.sqlite")) as (uri, _):
        store = open_store(uri)
    with pytest.raises(StoreNotFoundError, match="does not answer; check host and port"):
        store.read_trace()


def test_a_silent_service_is_not_waited_for() -> None:
    """Something that takes the call and never answers ends with the time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"grpc://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreNotFoundError, match=r"not answered for 0.2 s; check") as caught:
            open_store(f"{uri}?statement_timeout=0.2")
    assert str(caught.value).startswith(f"{uri}: ")


def test_a_server_of_something_else() -> None:
    """A gRPC server without ML Metadata's service is an error that says so."""
    with listening() as (uri, _), pytest.raises(NotAMetadataStoreError, match="check the port"):
        open_store(uri)
