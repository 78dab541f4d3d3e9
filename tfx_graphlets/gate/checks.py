"""Checks of what is given to a component when the pipeline is written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.stores.uris import PASSWORD_VARIABLE, may_hold_password, redacted
from tfx_graphlets.vocabulary import Role, Stage


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


def roles_to_text(role_of_type: Mapping[str, Role | str] | None) -> str | None:
    """Roles of custom classes as an execution property, JSON; None where there are none.

    Raises:
      InvalidArgumentError: a value is no role.
    """
    if not role_of_type:
        return None
    return json.dumps({name: _role(role).name.lower() for name, role in role_of_type.items()})


def roles_of_text(text: object) -> dict[str, Role]:
    """The roles that ``roles_to_text`` wrote; empty for None or ""."""
    found = json.loads(str(text)) if text else {}
    return {str(name): _role(str(role)) for name, role in found.items()}


def _role(role: Role | str) -> Role:
    if isinstance(role, Role):
        return role
    try:
        return Role[role.upper()]
    except KeyError:
        names = ", ".join(one.name.lower() for one in Role)
        raise InvalidArgumentError("role_of_type", role, f"roles are {names}") from None


def pushers_to_text(pushers: Collection[str] | None) -> str | None:
    """Pushers that count as an execution property, JSON; None where all do.

    Raises:
      InvalidArgumentError: it is a text, or empty.
    """
    if pushers is None:
        return None
    if isinstance(pushers, str) or not pushers:
        raise InvalidArgumentError(
            "pushers", pushers, "must be a list of node ids or type names, or None for all"
        )
    return json.dumps(sorted(pushers))


def pushers_of_text(text: object) -> tuple[str, ...] | None:
    """The pushers that ``pushers_to_text`` wrote; None for None or ""."""
    return tuple(map(str, json.loads(str(text)))) if text else None


def check_store(store: str | None) -> str | None:
    """The store's URI, which must hold no password: TFX writes it into the store.

    Raises:
      InvalidArgumentError: it holds one. The message does not repeat it.
    """
    if store is None:
        return None
    if not store:
        raise InvalidArgumentError("store", store, "must be a URI or a path, or None")
    if may_hold_password(store):
        raise InvalidArgumentError(
            "store",
            redacted(store),
            "must hold no password, because TFX records execution properties in the metadata "
            f"store: put it into the environment variable {PASSWORD_VARIABLE}",
        )
    return store
