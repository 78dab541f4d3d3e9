"""Roles and pushers that a store declares of itself: an archive may, other stores do not."""

from __future__ import annotations

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets import roles, verdicts
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import Trace

_WAY_OUT = "leave it out, or declare it anew by `tfx-graphlets archive --replace`"


def declared_by(store: Store, given: Declared) -> Declared:
    """Roles and pushers for a store: its own, and those that the user gives besides.

    Args:
      store: an archive, or any other store, which declares nothing.
      given: what the user gives.

    Raises:
      InvalidArgumentError: the user contradicts what the store declares.
    """
    manifest = getattr(store, "manifest", None)
    own = getattr(manifest, "declared", Declared())
    for name in sorted(given.role_of_type.keys() & own.role_of_type.keys()):
        role, mine = (one.role_of_type[name].name.lower() for one in (given, own))
        if role != mine:
            rule = f"the archive {store.name} declares {name}={mine}; {_WAY_OUT}"
            raise InvalidArgumentError("role_of_type", f"{name}={role}", rule)
    if given.pushers is not None and own.pushers not in (None, given.pushers):
        rule = f"the archive {store.name} declares {', '.join(own.pushers)}; {_WAY_OUT}"
        raise InvalidArgumentError("pushers", list(given.pushers), rule)
    return Declared(
        {**own.role_of_type, **given.role_of_type},
        own.pushers if given.pushers is None else given.pushers,
    )


def declared_in(trace: Trace, store: Store, given: Declared) -> Declared:
    """``declared_by``, for ``segment``: of what the store declares, that which the trace holds.

    What the user gives stays, so that a slip of the pen is told.

    Args:
      trace: what was read of the store.
      store, given: as for ``declared_by``.

    Raises:
      InvalidArgumentError: as ``declared_by``.
    """
    merged = declared_by(store, given)
    there = roles.present(trace, merged.role_of_type)
    counting = given.pushers
    if counting is None:
        role = roles.roles_of_executions(trace, there)
        counting = verdicts.present(trace, role, merged.pushers)
    return Declared.of({**there, **given.role_of_type}, counting)


def check_names(trace: Trace, given: Declared) -> None:
    """Refuses roles and pushers whose names a store does not hold.

    Raises:
      InvalidArgumentError: no execution has the type, or no pusher the name.
    """
    role = roles.roles_of_executions(trace, given.role_of_type)
    verdicts.counted(trace, role, given.pushers)
