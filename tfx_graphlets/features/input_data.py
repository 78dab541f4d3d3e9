"""Group ``input_data``: the spans a model is trained on, and how they changed."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from tfx_graphlets.features import datasets
from tfx_graphlets.features.facts import Span
from tfx_graphlets.features.registry import FeatureGroup, Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.payloads.similarity import jaccard
from tfx_graphlets.vocabulary import Stage

_NO_PREVIOUS = "no such earlier graphlet, or no spans"
_NO_SIZE = "no input_fingerprint, or no earlier graphlet"
_SPANS = "Examples artifacts of ExampleGen; Xin et al. 2021"
_SIZE = "MLMD Examples.input_fingerprint, total_bytes"

_INPUT_FEATURES = (
    *numbers(
        "input_data",
        Stage.INPUT,
        "never",
        _SPANS,
        spans="count",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        _NO_PREVIOUS,
        "MLMD Examples.span",
        span_step="spans",
        span_step_since_push="spans",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        "no span number",
        "MLMD Examples.span",
        span_weekday="newest span modulo 7",
        missing_spans="gaps within the window",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        _NO_PREVIOUS,
        _SPANS,
        new_spans="count, against the previous graphlet",
        new_spans_since_push="count, against the last pushed",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        "no earlier graphlet",
        _SPANS,
        unseen_spans="count, against all earlier graphlets",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        _NO_PREVIOUS,
        _SPANS,
        jaccard_1="share 0..1",
        jaccard_2="share 0..1",
        jaccard_3="share 0..1",
        jaccard_pushed="share 0..1",
        jaccard_blessed="share 0..1",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        "no input_fingerprint",
        _SIZE,
        bytes="bytes",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        _NO_SIZE,
        _SIZE,
        bytes_ratio_1="ratio to the previous graphlet",
        bytes_ratio_pushed="ratio to the last pushed",
        bytes_ratio_mean="ratio to the mean of the last 10",
        newest_bytes_ratio="newest span, ratio to the median of earlier spans",
    ),
    *numbers(
        "input_data",
        Stage.INPUT,
        "none was blessed, or no input_fingerprint",
        _SIZE,
        new_bytes_share_blessed="share 0..1 of the bytes, not in the last blessed",
    ),
)

FEATURES = (*_INPUT_FEATURES, *datasets.FEATURES)


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    spans = view.spans
    values: dict[str, Value] = {"input_data.spans": float(len(spans))}
    newest = _newest(spans.values())
    days = sorted({span.number for span in spans.values() if not math.isnan(span.number)})
    if days:
        values["input_data.span_weekday"] = days[-1] % 7
        values["input_data.missing_spans"] = days[-1] - days[0] + 1 - len(days)
    if view.previous:
        unseen = set(spans)
        for earlier in reversed(view.seen_previous):
            unseen -= earlier.span_set
            if not unseen:
                break
        values["input_data.unseen_spans"] = float(len(unseen))
    for n in (1, 2, 3):
        graphlet = view.nth_previous(n)
        if graphlet is not None:
            values[f"input_data.jaccard_{n}"] = jaccard(spans, view.seen(graphlet).spans)
    if view.last_blessed is not None:
        other = view.seen(view.last_blessed).spans
        values["input_data.jaccard_blessed"] = jaccard(spans, other)
        if spans and other:
            added = [span for identity, span in spans.items() if identity not in other]
            values["input_data.new_bytes_share_blessed"] = _ratio(
                sum(span.bytes for span in added), total_bytes(spans.values())
            )
    for graphlet, names in (
        (view.nth_previous(1), ("span_step", "new_spans", "bytes_ratio_1")),
        (view.last_pushed, ("span_step_since_push", "new_spans_since_push", "bytes_ratio_pushed")),
    ):
        if graphlet is None:
            continue
        others = view.seen(graphlet).spans
        if not others or not spans:
            continue
        step, new, ratio = (f"input_data.{name}" for name in names)
        values[step] = newest.number - _newest(others.values()).number
        values[new] = float(len(set(spans) - set(others)))
        values[ratio] = _ratio(total_bytes(spans.values()), total_bytes(others.values()))
    if view.last_pushed is not None:
        values["input_data.jaccard_pushed"] = jaccard(spans, view.seen(view.last_pushed).spans)
    values.update(_sizes(view, newest))
    if view.reaches(Stage.PRE):
        values.update(datasets.describe(view))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def total_bytes(spans: Collection[Span]) -> float:
    """Bytes of all spans; NaN where there are none or one has no size."""
    return sum(span.bytes for span in spans) if spans else math.nan


def _sizes(view: View, newest: Span) -> dict[str, Value]:
    earlier = [seen.spans for seen in view.seen_previous[-10:]]
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
