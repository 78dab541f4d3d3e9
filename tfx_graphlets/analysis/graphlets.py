"""Graphlets: their size and likeness, their data and models, and what tells the pushed apart.

Statistics of the paper's study (Xin et al., SIGMOD 2021, sections 3 and 4).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.analysis.described import Described, joined
from tfx_graphlets.analysis.tables import (
    PIPELINE,
    PUSH_RATE,
    STORE,
    Cell,
    Column,
    Measure,
    Table,
    made,
    share,
    spread,
)
from tfx_graphlets.features.table import FeatureKind
from tfx_graphlets.payloads.analyzers import analyzers, vocabularies
from tfx_graphlets.payloads.statistics import Payloads, training_statistics
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import ArtifactType, Outcome, PropertyName

MOST_STATISTICS: Final = 50  # pipelines whose latest statistics are decoded
MOST_DIFFERENCES: Final = 30  # features shown of pushed against unpushed
MOST_MODELS: Final = 50  # kinds of models with a row of their own

# Entries of a Trainer's custom_config that say what it trains; others are not shown, for a
# report is handed on.
_SAYS_ARCHITECTURE: Final = ("arch", "model", "network", "estimator", "layer", "units", "backbone")
_LONGEST_ARCHITECTURE: Final = 120
_Read = TypeVar("_Read")


def graphlet_tables(sources: Sequence[Described]) -> tuple[Table, ...]:
    """Sizes and likeness, outcomes, data, preprocessing, models, pushed against unpushed."""
    tables = sizes, outcomes, data, preprocessing, models, pushed_against_unpushed
    return tuple(make(sources) for make in tables)


def sizes(sources: Sequence[Described]) -> Table:
    """Sizes, durations and overlaps of graphlets, as quantiles."""

    def feature(name: str) -> FloatArray:
        return joined(sources, lambda one: one.feature(name))

    return spread(
        "graphlets",
        "Graphlets",
        "graphlets",
        [
            Measure(
                "Executions",
                "count",
                "Executions of a graphlet.",
                joined(sources, lambda one: one.graphlets.executions.counts()[one.numbers]),
            ),
            Measure(
                "Duration",
                "ms",
                "First create to last update time of its executions.",
                joined(sources, lambda one: (one.end_ms - one.graphlets.start_ms)[one.numbers]),
            ),
            Measure(
                "Spans",
                "count",
                "Spans of Examples that it was trained on.",
                feature("input_data.spans"),
            ),
            Measure(
                "Overlap",
                "share",
                "Spans shared with the graphlet before (Jaccard).",
                feature("input_data.jaccard_1"),
            ),
            Measure(
                "Similarity of data",
                "share",
                "Similarity of the statistics with the graphlet before (the paper's, eq. 1).",
                feature("input_data.similarity_1"),
            ),
            Measure(
                "Code match",
                "share",
                "1 where the Trainer's code is that of the one before.",
                feature("code.trainer_same_1"),
            ),
        ],
    )


def outcomes(sources: Sequence[Described]) -> Table:
    """What became of graphlets: pushed, useful, failed, tried again, and what training took."""
    outcome = joined(sources, lambda one: one.graphlets.outcome[one.numbers])
    useful = joined(sources, lambda one: one.graphlets.useful[one.numbers]) > 0
    cost = joined(sources, lambda one: one.graphlets.cost[one.trainers])
    rows: list[list[Cell]] = []
    for name, definition, mine in (
        ("pushed", "A Pusher brought the model to serving.", outcome == Outcome.PUSHED),
        ("useful", "Unpushed, but the warm start of one that was pushed.", useful),
        ("unpushed", "Wasted.", (outcome == Outcome.UNPUSHED) & ~useful),
        ("failed", "The Trainer failed.", outcome == Outcome.FAILED),
        ("retried", "Trained again in the same run.", outcome == Outcome.RETRIED),
        ("incomplete", "Not ended, or without a model.", outcome == Outcome.INCOMPLETE),
    ):
        count = int(mine.sum())
        rows.append([name, definition, count, share(count, len(mine)), float(cost[mine].sum())])
    return made(
        "outcomes",
        "Outcomes",
        "A row is an outcome of graphlets; each is in exactly one row.",
        [
            Column("outcome", "Outcome", "name", "What became of them."),
            Column("definition", "Definition", "name", "When it is this one."),
            Column("graphlets", "Graphlets", "count", "Trainings that were no cache hits."),
            Column("share", "Share", "share", "Of all graphlets."),
            Column("trainer_ms", "Training", "ms", "Cost of their Trainers' executions."),
        ],
        [row for row in rows if row[2]],
    )


def data(sources: Sequence[Described]) -> Table:
    """Features of the data by type, and how many values categorical ones have."""
    rows: list[list[Cell]] = []
    for one in sources:
        largest = sorted(one.by_pipeline().items(), key=lambda found: -len(found[1]))
        for name, numbers in largest[:MOST_STATISTICS]:
            statistics = ArtifactType.EXAMPLE_STATISTICS
            read = _latest(one, int(numbers[-1]), statistics, training_statistics)
            if read is None:
                continue
            _, found = read
            features = found.features.values()
            categorical = [f for f in features if f.type in ("STRING", "BYTES")]
            domains = np.array([f.unique for f in categorical], np.float64)
            domains = domains[~np.isnan(domains)]  # not measured
            rows.append(
                [
                    one.store,
                    name,
                    found.num_examples,
                    len(found.features),
                    sum(f.type in ("INT", "FLOAT") for f in features),
                    len(categorical),
                    float(np.median(domains)) if len(domains) else None,
                    float(domains.max()) if len(domains) else None,
                ]
            )
    return made(
        "data",
        "Data",
        "A row is a pipeline, by the latest statistics of its last graphlet that are still there; "
        f"of each store the {MOST_STATISTICS} pipelines with most graphlets.",
        [
            STORE,
            PIPELINE,
            Column("examples", "Examples", "count", "Of the split that is trained on."),
            Column("features", "Features", "count", "All of them."),
            Column("numeric", "Numeric", "count", "Of type INT or FLOAT."),
            Column("categorical", "Categorical", "count", "Of type STRING or BYTES."),
            Column("domain_median", "Domain, median", "count", "Distinct values, where measured."),
            Column("domain_largest", "Domain, largest", "count", "The most, where measured."),
        ],
        rows,
    )


def _latest(
    one: Described, number: int, kind: str, read: Callable[[Payloads, str], _Read | None]
) -> _Read | None:
    """What the files of a graphlet's latest artifact of a type say; None where they are gone."""
    trace = one.graphlets.trace
    is_wanted = trace.artifacts_of_types([kind])
    members = one.graphlets.artifacts.of(number)
    for at in members[is_wanted[members]][::-1].tolist():
        found = read(one.payloads, trace.artifacts.uri[at])
        if found is not None:
            return found
    return None


def preprocessing(sources: Sequence[Described]) -> Table:
    """What Transform works out over all of the data: analyzers by kind, and vocabularies."""
    rows: list[list[Cell]] = []
    for one in sources:
        largest = sorted(one.by_pipeline().items(), key=lambda found: -len(found[1]))
        for name, numbers in largest[:MOST_STATISTICS]:
            found = _latest(one, int(numbers[-1]), ArtifactType.TRANSFORM_CACHE, analyzers)
            tokens = _latest(one, int(numbers[-1]), ArtifactType.TRANSFORM_GRAPH, vocabularies)
            if found is None and tokens is None:
                continue
            kinds = [f"{kind} ({count})" for kind, count in (found or {}).items()]
            count = None if found is None else sum(found.values())
            rows.append([one.store, name, count, ", ".join(kinds) or None, tokens])
    return made(
        "preprocessing",
        "Preprocessing",
        "A row is a pipeline, by the Transform of its last graphlet where its files are still "
        f"there; of each store the {MOST_STATISTICS} pipelines with most graphlets.",
        [
            STORE,
            PIPELINE,
            Column(
                "analyzers",
                "Analyzers",
                "count",
                "What is worked out over all of the data, as far as Transform's analyzer cache "
                "names it; not known where there is no cache.",
            ),
            Column(
                "kinds",
                "Kinds",
                "name",
                "Of the analyzers, by tensorflow_transform's names, with how many there are.",
            ),
            Column(
                "vocabularies",
                "Vocabularies",
                "count",
                "Files of values (assets) that the transform graph holds.",
            ),
        ],
        rows,
    )


def models(sources: Sequence[Described]) -> Table:
    """What is trained: classes of Trainers and recorded architectures, and what became of them."""
    kinds = [kind for one in sources for kind in _kinds(one)]
    names = sorted(set(kinds))
    number = {kind: at for at, kind in enumerate(names)}
    kind = np.array([number[one] for one in kinds], np.int64)
    order = np.argsort(-np.bincount(kind, minlength=len(names)), kind="stable")
    outcome = joined(sources, lambda one: one.graphlets.outcome[one.numbers])
    cost = joined(sources, lambda one: one.graphlets.cost[one.trainers])
    groups = [(*names[at], kind == at) for at in order[:MOST_MODELS].tolist()]
    if len(names) > MOST_MODELS:
        groups.append(("(others)", "", np.isin(kind, order[MOST_MODELS:])))
    rows: list[list[Cell]] = []
    for type_name, architecture, mine in groups:
        pushed = int((outcome[mine] == Outcome.PUSHED).sum())
        labelled = pushed + int((outcome[mine] == Outcome.UNPUSHED).sum())
        count = int(mine.sum())
        rows.append(
            [
                type_name,
                architecture or None,
                count,
                share(count, len(kind)),
                share(pushed, labelled),
                float(np.median(cost[mine])),
            ]
        )
    return made(
        "models",
        "Models",
        "A row is a class of Trainers with an architecture; "
        f"the {MOST_MODELS} with most graphlets, and the others.",
        [
            Column("type", "Type", "name", "Last part of the Trainer's execution type."),
            Column(
                "architecture",
                "Architecture",
                "name",
                "Entries of the Trainer's custom_config that name one: their key holds "
                + ", ".join(_SAYS_ARCHITECTURE)
                + ".",
            ),
            Column("graphlets", "Graphlets", "count", "That were trained so."),
            Column("share", "Share", "share", "Of all graphlets."),
            PUSH_RATE,
            Column("trainer_ms", "Training", "ms", "Median cost of the Trainer's execution."),
        ],
        rows,
    )


def _kinds(one: Described) -> list[tuple[str, str]]:
    """Class of the Trainer and architecture of each graphlet that counts."""
    executions = one.graphlets.trace.executions
    names = [vocabulary.base_name(name) for name in executions.type_names]
    config = executions.properties.texts(PropertyName.CUSTOM_CONFIG, len(executions))
    known: dict[str | None, str] = {None: ""}
    kinds = []
    for at in one.trainers.tolist():
        text = config[at]
        if text not in known:
            known[text] = architecture_of(str(text))
        kinds.append((names[executions.type[at]], known[text]))
    return kinds


def architecture_of(custom_config: str) -> str:
    """What a Trainer's custom_config says about the architecture of its model.

    >>> architecture_of('{"hidden_units": [64, 32], "model": "wide", "bucket": "b"}')
    'hidden_units=[64, 32], model=wide'

    Args:
      custom_config: JSON, as TFX records it.

    Returns: entries by key, at most 120 characters; "" where none says it.
    """
    try:
        entries = json.loads(custom_config)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(entries, dict):
        return ""
    said = [
        f"{key}={value}"
        for key, value in sorted(entries.items())
        if any(word in key.lower() for word in _SAYS_ARCHITECTURE) and value is not None
    ]
    return ", ".join(said)[:_LONGEST_ARCHITECTURE]


def pushed_against_unpushed(sources: Sequence[Described]) -> Table:
    """Features in which pushed and unpushed graphlets differ most."""
    features = [f for f in sources[0].table.features if f.kind is FeatureKind.NUMBER]
    pushed = joined(sources, lambda one: one.graphlets.pushed[one.numbers]) > 0
    unpushed = joined(sources, lambda one: one.graphlets.unpushed[one.numbers]) > 0
    rows: list[list[Cell]] = []
    for feature in features:
        values = joined(sources, lambda one, name=feature.name: one.feature(name))  # type: ignore[misc]
        there = ~np.isnan(values)
        yes, no = values[pushed & there], values[unpushed & there]
        if len(yes) < 2 or len(no) < 2:
            continue
        deviation = float(np.sqrt((yes.var(ddof=1) + no.var(ddof=1)) / 2))
        if deviation > 0:
            means = float(yes.mean()), float(no.mean())
            difference = (means[0] - means[1]) / deviation
            rows.append([feature.name, feature.unit, len(yes), len(no), *means, difference])
    rows.sort(key=lambda row: -abs(float(row[-1] or 0.0)))
    return made(
        "pushed_against_unpushed",
        "Pushed against unpushed",
        f"A row is a feature; the {MOST_DIFFERENCES} that differ most.",
        [
            Column("feature", "Feature", "name", "Name of the feature (`features` explains it)."),
            Column("unit", "Unit", "name", "Of its values."),
            Column("pushed_known", "Pushed, known", "count", "Pushed graphlets that have it."),
            Column("unpushed_known", "Unpushed, known", "count", "Unpushed ones that have it."),
            Column("pushed_mean", "Pushed, mean", "as the row", "Mean over the pushed."),
            Column("unpushed_mean", "Unpushed, mean", "as the row", "Mean over the unpushed."),
            Column(
                "difference",
                "Difference",
                "standard deviations",
                "Of the means, by the pooled standard deviation (Cohen's d).",
            ),
        ],
        rows[:MOST_DIFFERENCES],
    )
