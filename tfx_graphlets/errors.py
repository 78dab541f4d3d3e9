"""Errors of tfx_graphlets: one base, children named for the situation.

Every error carries, as attributes, the ids or values that it is about, so that
a caller need not parse its message.
"""

from __future__ import annotations

from collections.abc import Sequence


class GraphletsError(Exception):
    """Base of every error that this library raises on purpose."""


class InvalidArgumentError(GraphletsError, ValueError):
    """An argument has a value that the called function does not accept.

    Attributes:
      argument: name of the argument.
      value: the value that was given.
    """

    def __init__(self, argument: str, value: object, rule: str) -> None:
        self.argument = argument
        self.value = value
        super().__init__(f"{argument}={value!r}: {rule}")


class StoreError(GraphletsError):
    """A metadata store cannot be opened or read.

    Attributes:
      store: the store as the caller named it, without credentials.
    """

    def __init__(self, store: str, problem: str) -> None:
        self.store = store
        super().__init__(f"{store}: {problem}")


class StoreNotFoundError(StoreError):
    """There is nothing at the place that the store's name points to."""


class NotAMetadataStoreError(StoreError):
    """The file or server exists, and holds no ML Metadata schema."""


class UnsupportedSchemaError(StoreError):
    """The store's MLMD schema version is not one that this release reads.

    Attributes:
      schema_version: the version found (MLMD table ``MLMDEnv``).
    """

    def __init__(self, store: str, schema_version: int, problem: str) -> None:
        self.schema_version = schema_version
        super().__init__(store, problem)


class EmptyStoreError(StoreError):
    """The store is sound and holds no execution."""


class TraceNotFoundError(GraphletsError):
    """A pipeline, run or execution that was asked for is not in the trace.

    Attributes:
      name: what was asked for.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(problem)


class MalformedTraceError(GraphletsError):
    """The columns of a trace contradict each other.

    Attributes:
      ids: ids of the rows concerned, at most the first ten.
    """

    def __init__(self, problem: str, ids: Sequence[int] = ()) -> None:
        self.ids = tuple(ids)[:10]
        shown = f" (ids {', '.join(map(str, self.ids))})" if self.ids else ""
        super().__init__(f"{problem}{shown}")


class ArchiveError(StoreError):
    """An archive directory is incomplete, damaged or of an unknown format."""


class ModelFormatError(GraphletsError):
    """A waste model's directory cannot be used for what is asked.

    Attributes:
      directory: the model's directory.
    """

    def __init__(self, directory: str, problem: str) -> None:
        self.directory = directory
        super().__init__(f"{directory}: {problem}")


class NotEnoughHistoryError(GraphletsError):
    """There are too few labelled graphlets to learn or to judge from.

    Attributes:
      pushed: number of pushed graphlets found.
      unpushed: number of unpushed graphlets found.
    """

    def __init__(self, problem: str, pushed: int, unpushed: int) -> None:
        self.pushed = pushed
        self.unpushed = unpushed
        super().__init__(problem)


class MissingDependencyError(GraphletsError, ImportError):
    """An optional dependency is needed for this call and is not installed.

    Attributes:
      package: the package that is missing.
      extra: the extra of this project that brings it.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs {package}, which is not installed: "
            f'pip install "tfx-graphlets[{extra}]"'
        )
