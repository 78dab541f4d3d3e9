"""Groups of pipelines: the elements that a corpus is worked on by.

They are the parts of a store that know nothing of each other (``trace.partition``), of a
size that makes opening and seeking cheap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.graphlets.verdicts import Classes, counted
from tfx_graphlets.stores import uris
from tfx_graphlets.stores.rows import no_such_pipeline
from tfx_graphlets.stores.selection import PROPERTIES_FOR_PARTS, Columns
from tfx_graphlets.stores.store import declared_by, declared_in, open_store
from tfx_graphlets.trace.partition import parts_of
from tfx_graphlets.vocabulary import Role

# Reading a group costs one pass over the store's associations besides, which no
# index leads from executions to contexts: groups grow with the store.
_FEWEST_EXECUTIONS: Final = 25_000  # some tens of pipelines, some seconds of work
_MOST_EXECUTIONS: Final = 250_000  # some hundred megabytes
_GROUPS: Final = 32

_WITH_NODES: Final = dataclasses.replace(
    Columns.FOR_PARTS,
    context_types=frozenset((*vocabulary.PIPELINE_CONTEXTS, *vocabulary.NODE_CONTEXTS)),
)


@dataclasses.dataclass(frozen=True)
class Group:
    """Pipelines that are worked on together, and all that a worker has to know.

    Attributes:
      store: URI of the store, for ``open_store``.
      number: of the group, from 0 on.
      count: number of groups of the store.
      pipelines: names of pipeline contexts, sorted.
      others: whether executions without a pipeline context belong to it.
      executions: number of its executions.
      classes: what the whole store tells of its execution types.
      pushers: names of the pushers that count, of which the group may hold some; None for all.
    """

    store: str
    number: int
    count: int
    pipelines: tuple[str, ...]
    others: bool
    executions: int
    classes: Classes
    pushers: tuple[str, ...] | None = None

    @property
    def part(self) -> str:
        """Which part of the whole it is, as in ``00003-of-00019``."""
        return f"{self.number:05d}-of-{self.count:05d}"


def groups_of_store(
    store: str,
    *,
    max_executions: int | None = None,
    role_of_type: Mapping[str, Role] | None = None,
    pushers: Collection[str] | None = None,
) -> tuple[Group, ...]:
    """Divides a store into groups of pipelines that know nothing of each other.

    Reads, of the whole store, types of nodes, events and pipeline contexts; it
    runs where the job is submitted, which has to reach the store, too.

    Args:
      store: URI of the store, for ``open_store``, without a password: each
        worker takes it from the variable that ``open_store`` names.
      max_executions: most executions in a group, unless pipelines that belong
        together have more; by default a 32nd of the store, but 25,000 to
        250,000. With more than 16 workers give less.
      role_of_type, pushers: as for ``segment``; an archive may declare others besides.

    Returns:
      The groups, of about equal size, the first pipelines first.

    Raises:
      InvalidArgumentError: ``max_executions`` is below 1, ``store`` holds a
        password, a role or a pusher is named that is not in the store, or the store declares
        others.
      StoreError: the store cannot be read, or holds no execution.
    """
    if max_executions is not None and max_executions < 1:
        raise InvalidArgumentError("max_executions", max_executions, "it must be 1 or more")
    if uris.may_hold_password(store):
        raise InvalidArgumentError(
            "store",
            uris.redacted(store),
            "it must hold no password, which would go with every element; set "
            f"{uris.PASSWORD_VARIABLE} for the job and on every worker",
        )
    with open_store(store) as opened:
        given = Declared.of(role_of_type, pushers)
        by_name = declared_by(opened, given).pushers is not None
        trace = opened.read_trace(
            properties=PROPERTIES_FOR_PARTS, columns=_WITH_NODES if by_name else Columns.FOR_PARTS
        )
        plain = without_gates(trace)
        declared = declared_in(plain, opened, given)
    classes = Classes.of(plain, declared.role_of_type)
    counted(plain, classes.roles_in(plain), declared.pushers)  # refuses a name that no pusher has
    if max_executions is None:
        share = len(trace.executions) // _GROUPS
        max_executions = min(max(share, _FEWEST_EXECUTIONS), _MOST_EXECUTIONS)
    parts = parts_of(trace, max_executions)
    return tuple(
        Group(
            store,
            number,
            len(parts),
            part.pipelines,
            part.others,
            part.executions,
            classes,
            declared.pushers,
        )
        for number, part in enumerate(parts)
    )


def with_pipeline(groups: Sequence[Group], pipeline: str) -> tuple[Group, ...]:
    """The group that a pipeline is in, as all that there is.

    Raises:
      TraceNotFoundError: it is in none.
    """
    found = [group for group in groups if pipeline in group.pipelines]
    if not found:
        known = {name for group in groups for name in group.pipelines}
        raise no_such_pipeline(uris.redacted(groups[0].store), pipeline, known)
    return tuple(
        dataclasses.replace(group, number=number, count=len(found))
        for number, group in enumerate(found)
    )
