"""The rolling window: the latest version of each of the newest spans."""

from __future__ import annotations

import ml_metadata
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy


class LatestVersionSpanRange(ResolverStrategy):
    """Resolves Examples to one artifact for each of the newest spans, newest span first.

    TFX's SpanRangeStrategy keeps every artifact of a span, so that data which arrived first in part
    and then in full, or a re-run, would count twice.
    """

    def __init__(self, number_of_spans: int) -> None:
        if number_of_spans < 1:
            raise ValueError(f"number_of_spans={number_of_spans!r}: must be at least 1")
        self._number_of_spans = number_of_spans

    def resolve_artifacts(
        self, store: ml_metadata.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """The newest spans' artifacts for every key; None if a key has none at all."""
        del store
        resolved = {key: self._newest(artifacts) for key, artifacts in input_dict.items()}
        return resolved if all(resolved.values()) else None

    def _newest(self, artifacts: list[types.Artifact]) -> list[types.Artifact]:
        by_span: dict[int, types.Artifact] = {}
        for artifact in sorted(
            artifacts, key=lambda artifact: (_number(artifact, "version"), artifact.id)
        ):
            by_span[_number(artifact, "span")] = artifact
        return [by_span[span] for span in sorted(by_span, reverse=True)[: self._number_of_spans]]


def _number(artifact: types.Artifact, name: str) -> int:
    return int(artifact.get_int_custom_property(name))
