"""Checks of what is given to a component when the pipeline is written."""

from __future__ import annotations

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.stores.uris import PASSWORD_VARIABLE, redacted
from tfx_graphlets.vocabulary import Stage


def check_stage(stage: Stage | str) -> Stage:
    """The stage of that name.

    Raises:
      InvalidArgumentError: there is none.
    """
    try:
        return Stage(stage)
    except ValueError:
        names = ", ".join(map(str, Stage))
        raise InvalidArgumentError("stage", stage, f"must be one of {names}") from None


def given(**arguments: object) -> dict[str, object]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def check_store(store: str | None) -> str | None:
    """The store's URI, which must hold no password: TFX writes it into the store.

    Raises:
      InvalidArgumentError: it holds one. The message does not repeat it.
    """
    if store is None:
        return None
    if not store:
        raise InvalidArgumentError("store", store, "must be a URI or a path, or None")
    credentials = store.partition("://")[2].rpartition("@")[0]
    if ":" in credentials:
        raise InvalidArgumentError(
            "store", redacted(store),
            "must hold no password, because TFX records execution properties in the metadata "
            f"store: put it into the environment variable {PASSWORD_VARIABLE}",
        )  # fmt: skip
    return store
