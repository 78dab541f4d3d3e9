"""The part of group ``input_data`` that data analysis brings: statistics, anomalies, schema."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tfx_graphlets.features import labels, novelty
from tfx_graphlets.features.facts import Member, Span
from tfx_graphlets.features.registry import Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.features.windows import earlier_spans, in_order, window_of
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.payloads.moments import mean_shift, missing_rise
from tfx_graphlets.payloads.statistics import SchemaSummary
from tfx_graphlets.vocabulary import ArtifactType, Role, Stage

_NO_STATISTICS = "statistics of a span are gone, or no such earlier graphlet"
_NO_SCHEMA = "a schema is gone, or no such earlier graphlet"
_STATISTICS = "FeatureStats.pb of StatisticsGen"
_SIMILARITY = "dataset similarity, Xin et al. 2021; " + _STATISTICS
_ANOMALIES = "SchemaDiff.pb of ExampleValidator"
_SCHEMA = "schema.pbtxt"

FEATURES = (
    *numbers(
        "input_data",
        Stage.PRE,
        "statistics of a span are gone",
        _STATISTICS,
        examples="count, all splits",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_STATISTICS,
        _STATISTICS,
        examples_ratio_1="ratio to the previous graphlet",
        examples_ratio_pushed="ratio to the last pushed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_STATISTICS,
        _SIMILARITY,
        similarity_1="0..1, with the previous graphlet",
        similarity_pushed="0..1, with the last pushed",
        newest_similarity="0..1, newest span with the last pushed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_STATISTICS,
        _STATISTICS,
        missing_rise_1="largest rise of a missing share",
        missing_rise_newest="largest rise of a missing share, newest span against the last pushed",
        mean_shift_1="largest shift of a mean, standard deviations",
        mean_shift_pushed="largest shift of a mean, standard deviations",
        mean_shift_newest="largest shift of a mean, newest span against the last pushed",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        "anomalies are gone",
        _ANOMALIES,
        anomalies="count, latest check of each span",
        newest_anomalies="count, newest span",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        "not recorded",
        "MLMD ExampleAnomalies.blessed",
        anomalous_splits="count, newest span",
    ),
    *numbers(
        "input_data",
        Stage.PRE,
        _NO_SCHEMA,
        _SCHEMA,
        schema_changed_1="0 or 1",
        schema_changed_pushed="0 or 1",
        schema_features_added="count, against the previous graphlet",
        schema_features_removed="count, against the previous graphlet",
    ),
    *novelty.FEATURES,
    *labels.FEATURES,
)


def describe(view: View) -> dict[str, Value]:
    """Values of one row, stage ``pre`` and later."""
    spans = in_order(view.spans.values())
    values: dict[str, Value] = {}
    if spans:
        values.update(_anomalies(view, spans))
    previous, pushed = view.nth_previous(1), view.last_pushed
    values.update(_schema(view, previous, pushed))
    own = window_of(view, spans)
    if own is None:
        return values
    alone = [window_of(view, [span]) for span in earlier_spans(view)]
    earlier = [window for window in alone if window is not None]
    values.update(novelty.describe(view, own, earlier))
    values.update(labels.describe(view, own, earlier))
    values["input_data.examples"] = own.num_examples
    if previous is not None:
        other = window_of(view, view.seen(previous).spans.values())
        if other is not None:
            values["input_data.examples_ratio_1"] = _ratio(own.num_examples, other.num_examples)
            values["input_data.similarity_1"] = own.similarity(other)
            values["input_data.missing_rise_1"] = missing_rise(own.moments, other.moments)
            values["input_data.mean_shift_1"] = mean_shift(own.moments, other.moments)
    if pushed is not None:
        other = window_of(view, view.seen(pushed).spans.values())
        if other is not None:
            newest = own.newest
            values["input_data.examples_ratio_pushed"] = _ratio(
                own.num_examples, other.num_examples
            )
            values["input_data.similarity_pushed"] = own.similarity(other)
            values["input_data.newest_similarity"] = newest.similarity(other)
            values["input_data.missing_rise_newest"] = missing_rise(newest.moments, other.moments)
            values["input_data.mean_shift_pushed"] = mean_shift(own.moments, other.moments)
            values["input_data.mean_shift_newest"] = mean_shift(newest.moments, other.moments)
    return values


def _anomalies(view: View, spans: list[Span]) -> dict[str, Value]:
    """Anomalies by the latest check of each span."""
    facts, counts = view.facts, []
    newest = math.nan
    splits = math.nan
    for span in spans:
        check = facts.anomaly_artifact(span.identity, view.moment_ms)
        counts.append(math.nan if check is None else facts.decoded.num_anomalies(check))
        if span is spans[-1] and check is not None:
            newest, splits = counts[-1], facts.anomalous_splits(check)
    known = [count for count in counts if not math.isnan(count)]
    return {
        "input_data.anomalies": sum(known) if known else math.nan,
        "input_data.newest_anomalies": newest,
        "input_data.anomalous_splits": splits,
    }


def _schema(view: View, previous: int | None, pushed: int | None) -> dict[str, Value]:
    own = _schema_of(view, view.graphlet, view.own)
    if own is None:
        return {}
    values: dict[str, Value] = {}
    for graphlet, name in ((previous, "1"), (pushed, "pushed")):
        if graphlet is None:
            continue
        other = _schema_of(view, graphlet, view.seen(graphlet).members)
        if other is None:
            continue
        values[f"input_data.schema_changed_{name}"] = float(own.fingerprint != other.fingerprint)
        if graphlet == previous:
            added, removed = set(own.types) - set(other.types), set(other.types) - set(own.types)
            values["input_data.schema_features_added"] = float(len(added))
            values["input_data.schema_features_removed"] = float(len(removed))
    return values


def _schema_of(view: View, graphlet: int, members: Iterable[Member]) -> SchemaSummary | None:
    """The schema that Trainer or Transform took in, else the latest one put out."""
    facts = view.facts
    artifacts = facts.inputs(int(facts.graphlets.trainer[graphlet]), ArtifactType.SCHEMA)
    known = sorted(members, key=lambda member: (member.known_ms, member.execution))
    for member in reversed(known):
        if not artifacts and member.role is Role.TRANSFORM:
            artifacts = facts.inputs(member.execution, ArtifactType.SCHEMA)
    for member in reversed(known):
        if not artifacts and member.part in (Part.UPSTREAM, Part.ANALYSIS):
            artifacts = facts.outputs(member.execution, ArtifactType.SCHEMA)
    return facts.decoded.schema(max(artifacts)) if artifacts else None


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan
