"""BaseStore: what the readers of all stores do in the same way."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.selection import Columns, Selection
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Role

if TYPE_CHECKING:
    from typing_extensions import Self


class BaseStore(abc.ABC):
    """What the readers of all stores do in the same way."""

    _payloads: Payloads

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The store as the user named it, without credentials."""

    @property
    def payloads(self) -> Payloads:
        """The files below the artifacts' URIs, or those that an archive keeps."""
        return self._payloads

    @property
    def _role_of_type(self) -> Mapping[str, Role] | None:
        """Roles of custom classes that the store itself declares."""
        return None

    @abc.abstractmethod
    def _read(self, selection: Selection) -> Trace:
        """The rows that are selected."""

    def read_trace(
        self,
        *,
        pipeline: str | None = None,
        pipelines: Collection[str] | None = None,
        properties: Collection[str] | None = None,
        columns: Columns = Columns.ALL,
    ) -> Trace:
        """Reads the store; see ``Store.read_trace``."""
        selection = Selection.of(
            pipeline=pipeline, pipelines=pipelines, properties=properties, columns=columns
        )
        if pipeline is None:
            return self._read(selection)
        from tfx_graphlets.stores.belonging import belonging_to

        whole = self.read_trace(properties=properties, columns=columns.for_belonging())
        return belonging_to(whole, pipeline, self.name, self._role_of_type)

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of the store."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()
