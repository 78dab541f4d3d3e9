"""ML Metadata's gRPC service, served from a real store.

Every call is handed, as it came, to the library that the C++ server of ML
Metadata (Kubeflow's ``metadata-grpc-service``) is made of.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import (
    metadata_store_pb2,
    metadata_store_service_pb2,
    metadata_store_service_pb2_grpc,
)

SERVICE = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]


class Servicer(metadata_store_service_pb2_grpc.MetadataStoreServiceServicer):
    """Answers what reads; all else is not implemented.

    Attributes:
      calls: names of the methods that were called.
      last: number of the call in which the server dies; 0 for never.
    """

    def __init__(self, path: Path) -> None:
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
        self.store = metadata_store.MetadataStore(config)
        self.calls: list[str] = []
        self.last = 0
        self.server: grpc.Server | None = None
        for method in SERVICE.methods:
            if method.name.startswith("Get"):
                setattr(self, method.name, self.answering(method.name))

    def answering(self, name: str) -> object:
        """The method of this name."""
        kind = getattr(metadata_store_service_pb2, f"{name}Response")

        def answer(request: object, context: grpc.ServicerContext) -> object:
            self.calls.append(name)
            if len(self.calls) == self.last:
                gone = self.server.stop(None)
                gone.wait()
            response = kind()
            try:
                self.store._call(name, request, response)
            except errors.StatusError as error:
                code = next(one for one in grpc.StatusCode if one.value[0] == error.error_code)
                context.abort(code, str(error))
            return response

        return answer


@contextlib.contextmanager
def serving(
    path: Path, credentials: grpc.ServerCredentials | None = None
) -> Iterator[tuple[str, Servicer]]:
    """A server of a SQLite file on a free port: its URI and what it was asked."""
    servicer = Servicer(path)
    with listening(credentials) as (uri, server):
        servicer.server = server
        metadata_store_service_pb2_grpc.add_MetadataStoreServiceServicer_to_server(servicer, server)
        yield uri, servicer


@contextlib.contextmanager
def listening(
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[tuple[str, grpc.Server]]:
    """A gRPC server without any service, on a free port; over TLS with credentials."""
    # One thread: a connection to SQLite is for one.
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=1))
    place = "127.0.0.1:0"
    port = (
        server.add_insecure_port(place)
        if credentials is None
        else server.add_secure_port(place, credentials)
    )
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", server
    finally:
        stopped: threading.Event = server.stop(None)
        stopped.wait()
