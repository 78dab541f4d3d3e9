"""Clients of the ML Metadata API: how one is made, and what its errors may say."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from typing import Any, Final

from tfx_graphlets.errors import MissingDependencyError, StoreError, UnsupportedSchemaError
from tfx_graphlets.stores.uris import PASSWORD_VARIABLE, Server

_ATTEMPTS: Final = 4
_FIRST_WAIT_SECONDS: Final = 0.25  # doubled after every attempt

# Only the message says which schema a server has.
_SCHEMA_IN_MESSAGE: Final = re.compile(r"database version (\d+) is (?:older|newer)")


def answers(server: Server) -> bool:
    """Whether something listens there: ml-metadata asks again and again where nothing does."""
    try:
        socket.create_connection((server.host, server.port), server.connect_seconds).close()
    except OSError:
        return False
    return True


def ml_metadata() -> tuple[Any, Any]:
    """The modules metadata_store and metadata_store_pb2 of ml-metadata."""
    try:
        from ml_metadata.metadata_store import metadata_store
        from ml_metadata.proto import metadata_store_pb2
    except ImportError as error:
        raise MissingDependencyError(
            "ml-metadata", "mlmd", "reading a store through the MLMD API"
        ) from error
    return metadata_store, metadata_store_pb2


def connect(config: Any, name: str, server: Server | None = None) -> Any:
    """A MetadataStore of a configuration, whose password goes into no log.

    Raises:
      UnsupportedSchemaError, StoreError: it cannot be opened.
    """
    from absl import logging

    metadata_store, _ = ml_metadata()
    verbosity = logging.get_verbosity()
    # At DEBUG, ml-metadata logs the connection with its password.
    logging.set_verbosity(min(verbosity, logging.INFO))
    try:
        if server is not None and server.backend == "grpc":
            return _patient_client(config, server)
        return metadata_store.MetadataStore(config)
    except RuntimeError as error:
        found = _SCHEMA_IN_MESSAGE.search(str(error))
        if found is not None:
            raise UnsupportedSchemaError(
                name,
                int(found[1]),
                f"has MLMD schema {found[1]}, and the installed ml-metadata "
                "reads another one only; use the release of ml-metadata that wrote it, or upgrade "
                "a copy",
            ) from error
        advice = (
            f"check that the database exists, user and password ({PASSWORD_VARIABLE})"
            if server is not None
            else "name the file by its path alone"
        )
        raise StoreError(
            name, f"cannot be opened by ml-metadata ({first_line(error, server)}); {advice}"
        ) from without_secrets(error, server)
    finally:
        logging.set_verbosity(verbosity)


def _patient_client(config: Any, server: Server) -> Any:
    """A client that asks again where the service says that it is busy, or breaks off."""
    from ml_metadata import errors

    metadata_store, _ = ml_metadata()

    class PatientClient(metadata_store.MetadataStore):  # type: ignore[misc,name-defined]
        def _call(self, *arguments: Any) -> Any:
            for attempt in range(_ATTEMPTS - 1):
                with contextlib.suppress(errors.ResourceExhaustedError, errors.UnavailableError):
                    return super()._call(*arguments)
                if not answers(server):  # a service that is gone is not waited for
                    break
                time.sleep(_FIRST_WAIT_SECONDS * 2**attempt)
            return super()._call(*arguments)

    return PatientClient(config)


def first_line(error: Exception, server: Server | None) -> str:
    """The first line of what ml-metadata says, without the password."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if server is None else server.without_secrets(text)


def without_secrets(error: Exception, server: Server | None) -> Exception | None:
    """The error as a cause, or None where its text holds the password."""
    if server is not None and server.without_secrets(str(error)) != str(error):
        return None
    return error
