"""The part of group ``input_data`` that data analysis brings: statistics, anomalies, schema."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from tfx_graphlets.features.facts import Member, Span
from tfx_graphlets.features.registry import Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.graphlet import Part
from tfx_graphlets.payload import SchemaSummary
from tfx_graphlets.similarity import spans_similarity
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
)


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Missing share, mean and standard deviation of one feature over some spans."""

    missing_share: float
    mean: float
    std_dev: float


def describe(view: View) -> dict[str, Value]:
    """Values of one row, stage ``pre`` and later."""
    spans = sorted(view.spans.values(), key=lambda span: (span.number, span.identity))
    values: dict[str, Value] = {}
    if spans:
        values.update(_anomalies(view, spans))
    previous, pushed = view.nth_previous(1), view.last_pushed
    values.update(_schema(view, previous, pushed))
    own = _statistics(view, spans)
    if own is None:
        return values
    examples = _num_examples(view, own)
    values["input_data.examples"] = examples
    own_moments, newest_moments = _moments(view, own), _moments(view, own[-1:])
    if previous is not None:
        other = _statistics(view, view.seen(previous).spans.values())
        if other:
            values["input_data.examples_ratio_1"] = _ratio(examples, _num_examples(view, other))
            values["input_data.similarity_1"] = _similarity(view, own, other)
            reference = _moments(view, other)
            values["input_data.missing_rise_1"] = _missing_rise(own_moments, reference)
            values["input_data.mean_shift_1"] = _mean_shift(own_moments, reference)
    if pushed is not None:
        other = _statistics(view, view.seen(pushed).spans.values())
        if other:
            values["input_data.examples_ratio_pushed"] = _ratio(
                examples, _num_examples(view, other)
            )
            values["input_data.similarity_pushed"] = _similarity(view, own, other)
            values["input_data.newest_similarity"] = _similarity(view, own[-1:], other)
            reference = _moments(view, other)
            values["input_data.missing_rise_newest"] = _missing_rise(newest_moments, reference)
            values["input_data.mean_shift_pushed"] = _mean_shift(own_moments, reference)
            values["input_data.mean_shift_newest"] = _mean_shift(newest_moments, reference)
    return values


def _statistics(view: View, spans: Iterable[Span]) -> list[int] | None:
    """Statistics artifact of each span, oldest span first; None unless all can be read."""
    found = []
    for span in sorted(spans, key=lambda span: (span.number, span.identity)):
        artifact = view.facts.statistics_artifact(span.identity, view.moment_ms)
        if artifact is None or view.facts.decoded.statistics(artifact) is None:
            return None
        found.append(artifact)
    return found or None


def _num_examples(view: View, statistics: list[int]) -> float:
    return sum(view.facts.decoded.num_examples(artifact) for artifact in statistics)


def _similarity(view: View, left: list[int], right: list[int]) -> float:
    return spans_similarity(left, right, view.facts.decoded.similarity)


def _moments(view: View, statistics: list[int]) -> dict[str, _Moments]:
    """Moments of every feature over some spans, weighted by their examples."""
    parts = [view.facts.decoded.statistics(artifact) for artifact in statistics]
    result = {}
    datasets = [part for part in parts if part is not None]
    for name in sorted({name for dataset in datasets for name in dataset.features}):
        weight = missing = valued = mean = square = 0.0
        for dataset in datasets:
            examples = float(dataset.num_examples)
            feature = dataset.features.get(name)
            share = 1.0 if feature is None else feature.missing_share
            weight += examples
            missing += examples * (1.0 if math.isnan(share) else share)
            if feature is not None and not math.isnan(feature.mean):
                present = examples * (1.0 - share)
                valued += present
                mean += present * feature.mean
                square += present * (feature.std_dev**2 + feature.mean**2)
        mean = mean / valued if valued else math.nan
        variance = max(square / valued - mean**2, 0.0) if valued else math.nan
        result[name] = _Moments(missing / weight if weight else math.nan, mean, math.sqrt(variance))
    return result


def _missing_rise(new: dict[str, _Moments], old: dict[str, _Moments]) -> float:
    """Largest rise of a missing share; a feature that is not described is missing."""
    nothing = _Moments(1.0, math.nan, math.nan)
    rises = [
        new.get(name, nothing).missing_share - moments.missing_share
        for name, moments in old.items()
    ]
    return max((rise for rise in rises if not math.isnan(rise)), default=math.nan)


def _mean_shift(new: dict[str, _Moments], old: dict[str, _Moments]) -> float:
    shifts = [
        abs(new[name].mean - moments.mean) / moments.std_dev
        for name, moments in old.items()
        if name in new and moments.std_dev > 0
    ]
    return max((shift for shift in shifts if not math.isnan(shift)), default=math.nan)


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
