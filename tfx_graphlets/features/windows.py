"""The statistics of what one graphlet is trained on: a window of spans."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

from tfx_graphlets.features.decoded import DecodedPayloads
from tfx_graphlets.features.facts import Span
from tfx_graphlets.features.moments import Moments
from tfx_graphlets.features.view import View
from tfx_graphlets.similarity import spans_similarity


@dataclasses.dataclass(frozen=True)
class Window:
    """Statistics of some spans.

    Attributes:
      decoded: where they are read.
      statistics: ExampleStatistics artifact of each span, oldest span first, at
        least one.
    """

    decoded: DecodedPayloads
    statistics: tuple[int, ...]

    @property
    def newest(self) -> Window:
        """The newest span alone."""
        return Window(self.decoded, self.statistics[-1:])

    @property
    def num_examples(self) -> float:
        """Number of examples, all splits."""
        return sum(self.decoded.num_examples(artifact) for artifact in self.statistics)

    @property
    def moments(self) -> Mapping[str, Moments]:
        """Moments of every feature, of the split that models are trained on."""
        return self.decoded.moments(self.statistics)

    def similarity(self, other: Window) -> float:
        """``spans_similarity`` of both, 0..1."""
        return spans_similarity(self.statistics, other.statistics, self.decoded.similarity)


def in_order(spans: Iterable[Span]) -> list[Span]:
    """Spans by number, the oldest first, those without one before them; then by identity."""
    return sorted(
        spans, key=lambda span: (-1.0 if math.isnan(span.number) else span.number, span.identity)
    )


def window_of(view: View, spans: Iterable[Span]) -> Window | None:
    """Statistics of some spans as of the view's moment; None unless all can be read."""
    facts, found = view.facts, []
    for span in in_order(spans):
        artifact = facts.statistics_artifact(span.identity, view.moment_ms)
        if artifact is None or facts.decoded.statistics(artifact) is None:
            return None
        found.append(artifact)
    return Window(facts.decoded, tuple(found)) if found else None
