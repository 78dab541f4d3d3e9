"""Indexed: which stores answer look-ups, and how each is asked."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from tfx_graphlets.errors import StoreError
from tfx_graphlets.stores.lookups import Lookups
from tfx_graphlets.stores.mlmd.store import MlmdStore
from tfx_graphlets.stores.sql.server_store import ServerStore
from tfx_graphlets.stores.sql.sqlite_lookups import SqliteLookups
from tfx_graphlets.stores.sql.sqlite_store import SqliteStore
from tfx_graphlets.stores.store import Store

_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def lookups_of(store: Store) -> Iterator[Lookups | None]:
    """Look-ups in a store, in one state of it where it is a SQLite file.

    A SQLite file that the MLMD API has open is read by SQL beside it: the API
    takes several times as long, and cannot ask for some of an artifact's events.

    Args:
      store: any store.

    Yields:
      None where a store is read as a whole (an archive, a database over TLS, and others).

    Raises:
      StoreError: the store cannot be read.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(store, SqliteStore):
            yield SqliteLookups(stack.enter_context(store.connected()))
        elif isinstance(store, MlmdStore):
            beside = _beside(store)
            if beside is not None:
                connection = stack.enter_context(stack.enter_context(beside).connected())
                yield SqliteLookups(connection)
            else:
                from tfx_graphlets.stores.mlmd.lookups import MlmdLookups

                yield MlmdLookups(stack.enter_context(store.connected()))
        elif isinstance(store, ServerStore) and store.server.tls is not None:
            _LOGGER.info("%s is read as a whole: ml-metadata knows no TLS", store.name)
            yield None
        elif isinstance(store, ServerStore):
            # Look-ups go by the MLMD API, which asks for a few rows by their keys.
            from tfx_graphlets.stores.mlmd.lookups import MlmdLookups

            by_api = stack.enter_context(MlmdStore.from_server(store.server))
            yield MlmdLookups(stack.enter_context(by_api.connected()))
        else:
            yield None


def _beside(store: MlmdStore) -> SqliteStore | None:
    """The SQLite file that the API has open, opened for reading; None if that cannot be."""
    file = store.sqlite_file
    if file is None:
        return None
    try:
        return SqliteStore(file, name=store.name)
    except StoreError as error:
        _LOGGER.info("%s is read by the MLMD API: %s", store.name, error)
        return None
