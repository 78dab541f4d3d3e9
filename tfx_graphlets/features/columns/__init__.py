"""Features of all graphlets at once, as columns; what needs no payloads.

The same values as ``features.describe`` gives row by row: a corpus of 450,000
graphlets is described in seconds, and a test holds every value against the
rows'. What comes from payloads (statistics, schemas, metrics) is missing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfx_graphlets.features.columns import (
    code,
    evaluation,
    history,
    input_data,
    model,
    rehearsal,
    shape,
)
from tfx_graphlets.features.columns.entries import Entries
from tfx_graphlets.features.columns.model import Values
from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.windows import Bounds
from tfx_graphlets.features.table import Column, Feature, FeatureKind
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Stage

# Rows are described in pieces whose windows hold about so many graphlets: arrays
# of this length stay in a processor's cache.
_PLACES_AT_ONCE = 1 << 18


def describe_columns(
    entries: Entries,
    stage: Stage,
    features: tuple[Feature, ...],
    graphlet: IntArray,
    moment_ms: IntArray,
) -> dict[str, Column]:
    """Columns of features that need no payloads; the others are missing.

    Args:
      entries: columns over the graphlets of the trace.
      stage: where the gate stands.
      features: which columns to give; those of the built-in groups.
      graphlet: int64 [n], numbers of the graphlets to describe.
      moment_ms: int64 [n], when each decision is taken.

    Returns: column by feature name, each [n].
    """
    result: dict[str, Column] = {}
    names: dict[str, list[str | None]] = {}
    for feature in features:
        if feature.kind is FeatureKind.CATEGORY:
            names[feature.name] = [None] * len(graphlet)
        else:
            result[feature.name] = np.full(len(graphlet), np.nan)
    bounds = Bounds.of(entries, graphlet, moment_ms)
    for piece in _pieces(bounds):
        part = Bounds(bounds.low[piece], bounds.high[piece])
        rows = Rows(entries, part, graphlet[piece], stage, moment_ms[piece])
        for name, values in _values(rows):
            if name in names:
                names[name][piece] = list(values)
            elif name in result:
                result[name][piece] = values  # type: ignore[index]
    return {**result, **{name: tuple(values) for name, values in names.items()}}


def _values(rows: Rows) -> Iterator[tuple[str, Values]]:
    for group in (input_data, code, model, shape, history, evaluation, rehearsal):
        yield from group.columns(rows).items()


def _pieces(bounds: Bounds) -> Iterator[slice]:
    """Slices of rows whose windows are of about equal size together."""
    total = np.cumsum(bounds.high - bounds.low + 1)
    first = 0
    while first < len(total):
        done = total[first - 1] if first else 0
        end = max(int(np.searchsorted(total, done + _PLACES_AT_ONCE, "right")), first + 1)
        yield slice(first, end)
        first = end
