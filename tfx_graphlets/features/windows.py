"""The statistics of what one graphlet is trained on: a window of spans."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

import numpy as np

from tfx_graphlets.features.facts import Span
from tfx_graphlets.features.view import View
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.moments import Moments
from tfx_graphlets.payloads.similarity import spans_similarity

_MOST_EARLIER = 64  # graphlets whose spans tell what is usual
_LEAST_EARLIER = 4  # values for a standard deviation or a median


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


def earlier_spans(view: View) -> list[Span]:
    """Spans before the newest of the view's own, the oldest first.

    Those of the graphlet itself and of the latest preceding ones.
    """
    own = in_order(view.spans.values())
    if not own:
        return []
    spans = dict(view.spans)
    for seen in view.seen_previous[-_MOST_EARLIER:]:
        spans.update(seen.spans)
    order = in_order(spans.values())
    return order[: [span.identity for span in order].index(own[-1].identity)]


def window_of(view: View, spans: Iterable[Span]) -> Window | None:
    """Statistics of some spans as of the view's moment; None unless all can be read."""
    facts, found = view.facts, []
    for span in in_order(spans):
        artifact = facts.statistics_artifact(span.identity, view.moment_ms)
        if artifact is None or facts.decoded.statistics(artifact) is None:
            return None
        found.append(artifact)
    return Window(facts.decoded, tuple(found)) if found else None


def standard_score(value: float, earlier: Iterable[float]) -> float:
    """Distance of a value to the mean of earlier ones, in their standard deviations.

    Returns: NaN where fewer than four are known, or all are the same.
    """
    known = [other for other in earlier if not math.isnan(other)]
    if len(known) < _LEAST_EARLIER:
        return math.nan
    deviation = float(np.std(known))
    return (value - float(np.mean(known))) / deviation if deviation > 0 else math.nan


def usual(earlier: Iterable[float]) -> float:
    """Median of the earlier values that are known; NaN where fewer than four are."""
    known = [value for value in earlier if not math.isnan(value)]
    return float(np.median(known)) if len(known) >= _LEAST_EARLIER else math.nan
