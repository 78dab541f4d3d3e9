"""Group ``input_data``: the spans a model is trained on, and how they changed."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from tfx_graphlets.features import datasets
from tfx_graphlets.features.facts import Span
from tfx_graphlets.features.registry import FeatureGroup, Value, number
from tfx_graphlets.features.view import View
from tfx_graphlets.similarity import jaccard
from tfx_graphlets.vocabulary import Stage

_NO_PREVIOUS = "no such earlier graphlet, or no spans"
_NO_SIZE = "no input_fingerprint, or no earlier graphlet"
_SPANS = "Examples artifacts of ExampleGen; section 4 of the paper"
_SIZE = "MLMD Examples.input_fingerprint, total_bytes"

_INPUT_FEATURES = (
    number("input_data.spans", Stage.INPUT, "count", "never", _SPANS),
    number("input_data.span_step", Stage.INPUT, "spans", _NO_PREVIOUS, "MLMD Examples.span"),
    number("input_data.span_step_since_push", Stage.INPUT, "spans", _NO_PREVIOUS, "MLMD Examples.span"),
    number("input_data.span_weekday", Stage.INPUT, "newest span modulo 7", "no span number", "MLMD Examples.span"),
    number("input_data.missing_spans", Stage.INPUT, "gaps within the window", "no span number", "MLMD Examples.span"),
    number("input_data.new_spans", Stage.INPUT, "count, against the previous graphlet", _NO_PREVIOUS, _SPANS),
    number("input_data.new_spans_since_push", Stage.INPUT, "count, against the last pushed", _NO_PREVIOUS, _SPANS),
    number("input_data.unseen_spans", Stage.INPUT, "count, against all earlier graphlets", "no earlier graphlet", _SPANS),
    number("input_data.jaccard_1", Stage.INPUT, "share 0..1", _NO_PREVIOUS, _SPANS),
    number("input_data.jaccard_2", Stage.INPUT, "share 0..1", _NO_PREVIOUS, _SPANS),
    number("input_data.jaccard_3", Stage.INPUT, "share 0..1", _NO_PREVIOUS, _SPANS),
    number("input_data.jaccard_pushed", Stage.INPUT, "share 0..1", _NO_PREVIOUS, _SPANS),
    number("input_data.jaccard_blessed", Stage.INPUT, "share 0..1", _NO_PREVIOUS, _SPANS),
    number("input_data.bytes", Stage.INPUT, "bytes", "no input_fingerprint", _SIZE),
    number("input_data.bytes_ratio_1", Stage.INPUT, "ratio to the previous graphlet", _NO_SIZE, _SIZE),
    number("input_data.bytes_ratio_pushed", Stage.INPUT, "ratio to the last pushed", _NO_SIZE, _SIZE),
    number("input_data.bytes_ratio_mean", Stage.INPUT, "ratio to the mean of the last 10", _NO_SIZE, _SIZE),
    number("input_data.newest_bytes_ratio", Stage.INPUT, "newest span, ratio to the median of earlier spans", _NO_SIZE, _SIZE),
)  # fmt: skip

FEATURES = (*_INPUT_FEATURES, *datasets.FEATURES)


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    spans = view.spans
    values: dict[str, Value] = {"input_data.spans": float(len(spans))}
    newest = _newest(spans.values())
    numbers = sorted({span.number for span in spans.values() if not math.isnan(span.number)})
    if numbers:
        values["input_data.span_weekday"] = numbers[-1] % 7
        values["input_data.missing_spans"] = numbers[-1] - numbers[0] + 1 - len(numbers)
    if view.previous:
        seen = set().union(*(view.spans_of(graphlet) for graphlet in view.previous))
        values["input_data.unseen_spans"] = float(len(set(spans) - seen))
    for n in (1, 2, 3):
        graphlet = view.nth_previous(n)
        if graphlet is not None:
            values[f"input_data.jaccard_{n}"] = jaccard(spans, view.spans_of(graphlet))
    if view.last_blessed is not None:
        other = view.spans_of(view.last_blessed)
        values["input_data.jaccard_blessed"] = jaccard(spans, other)
    for graphlet, names in (
        (view.nth_previous(1), ("span_step", "new_spans", "bytes_ratio_1")),
        (view.last_pushed, ("span_step_since_push", "new_spans_since_push", "bytes_ratio_pushed")),
    ):
        if graphlet is None:
            continue
        others = view.spans_of(graphlet)
        if not others or not spans:
            continue
        step, new, ratio = (f"input_data.{name}" for name in names)
        values[step] = newest.number - _newest(others.values()).number
        values[new] = float(len(set(spans) - set(others)))
        values[ratio] = _ratio(total_bytes(spans.values()), total_bytes(others.values()))
    if view.last_pushed is not None:
        values["input_data.jaccard_pushed"] = jaccard(spans, view.spans_of(view.last_pushed))
    values.update(_sizes(view, newest))
    if view.reaches(Stage.PRE):
        values.update(datasets.describe(view))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def total_bytes(spans: Collection[Span]) -> float:
    """Bytes of all spans; NaN where there are none or one has no size."""
    return sum(span.bytes for span in spans) if spans else math.nan


def _sizes(view: View, newest: Span) -> dict[str, Value]:
    earlier = [view.spans_of(graphlet) for graphlet in view.previous[-10:]]
    totals = [total_bytes(spans.values()) for spans in earlier if spans]
    others = {
        identity: span.bytes
        for spans in (*earlier, view.spans)
        for identity, span in spans.items()
        if identity != newest.identity and not math.isnan(span.bytes)
    }
    total = total_bytes(view.spans.values())
    known = [value for value in totals if not math.isnan(value)]
    return {
        "input_data.bytes": total,
        "input_data.bytes_ratio_mean": _ratio(total, float(np.mean(known)) if known else math.nan),
        "input_data.newest_bytes_ratio": _ratio(
            newest.bytes, float(np.median(list(others.values()))) if others else math.nan
        ),
    }


def _newest(spans: Collection[Span]) -> Span:
    """The span with the highest number, the latest artifact where several have it."""
    nothing = Span(-1, math.nan, math.nan)
    return max(
        spans,
        key=lambda span: (-1.0 if math.isnan(span.number) else span.number, span.identity),
        default=nothing,
    )


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan
