"""Selection: which part of a store is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import ClassVar, Final

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError

# Contexts that say where an execution belongs. (TFX writes one
# ``execution_cache`` context per execution besides.)
WHERE_CONTEXTS: Final = (
    *vocabulary.PIPELINE_CONTEXTS,
    *vocabulary.RUN_CONTEXTS,
    *vocabulary.NODE_CONTEXTS,
)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns of a store are read; what is not read is empty in the Trace.

    Attributes:
      uris: URIs of artifacts; without them each is empty.
      uri_types: last parts of the names of the artifact types whose URIs are
        read; None for all.
      event_times: times of events; without them each is 0.
      event_keys: the keys of events that are told apart; None for all. An
        event whose first key is another one has NO_KEY.
      context_types: names of the types of the contexts that are read; None
        for all.
      attributions: which artifacts a context holds.
      ALL: everything.
      FOR_FEATURES: what segmentation and the features that need no payload
        look at.
    """

    uris: bool = True
    uri_types: frozenset[str] | None = None
    event_times: bool = True
    event_keys: frozenset[str] | None = None
    context_types: frozenset[str] | None = None
    attributions: bool = True

    def for_belonging(self) -> Columns:
        """These columns, and those by which what belongs to a pipeline is told."""
        kinds, keys = self.context_types, self.event_keys
        return dataclasses.replace(
            self,
            context_types=None if kinds is None else kinds | frozenset(WHERE_CONTEXTS),
            event_keys=None if keys is None else keys | {vocabulary.BASELINE_MODEL_KEY},
        )

    ALL: ClassVar[Columns]
    FOR_FEATURES: ClassVar[Columns]
    FOR_PARTS: ClassVar[Columns]


Columns.ALL = Columns()
Columns.FOR_FEATURES = Columns(
    uris=False,
    event_times=False,
    event_keys=frozenset({vocabulary.BASELINE_MODEL_KEY}),
    context_types=frozenset(WHERE_CONTEXTS),
    attributions=False,
)
# What tells which pipelines belong together, and what custom classes are.
PROPERTIES_FOR_PARTS: Final = (
    vocabulary.PropertyName.INPUT_FINGERPRINT,
    vocabulary.PropertyName.PUSHED,
)
Columns.FOR_PARTS = Columns(
    uris=False,
    event_times=False,
    event_keys=frozenset(),
    context_types=frozenset(vocabulary.PIPELINE_CONTEXTS),
    attributions=False,
)


@dataclasses.dataclass(frozen=True)
class Selection:
    """The arguments of ``Store.read_trace``, checked.

    Attributes:
      pipelines: names of pipeline contexts; None for the whole store.
      properties: names of the properties to keep; None for all.
      columns: the columns to read.
    """

    pipelines: frozenset[str] | None = None
    properties: frozenset[str] | None = None
    columns: Columns = Columns.ALL

    @classmethod
    def of(
        cls,
        pipelines: Collection[str] | None,
        properties: Collection[str] | None,
        columns: Columns,
    ) -> Selection:
        """From the arguments of ``Store.read_trace``.

        Raises:
          InvalidArgumentError: names are given as one string, or ``pipelines`` names none.
        """
        for argument, names in (("pipelines", pipelines), ("properties", properties)):
            if isinstance(names, str):
                raise InvalidArgumentError(argument, names, "give several names, as in [name]")
        if pipelines is not None and not pipelines:
            raise InvalidArgumentError(
                "pipelines", pipelines, "name at least one, or leave it out for the whole store"
            )
        return cls(
            None if pipelines is None else frozenset(pipelines),
            None if properties is None else frozenset(properties),
            columns,
        )
