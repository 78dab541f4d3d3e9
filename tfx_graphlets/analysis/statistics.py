"""Statistics of the paper's study (Xin et al., SIGMOD 2021, sections 3 and 4), as tables."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.analysis.account import OPERATORS
from tfx_graphlets.analysis.tables import Cell, Column, Table, made, share
from tfx_graphlets.features.table import FeatureKind, FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.statistics import Payloads, training_statistics
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Outcome

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MOST_STATISTICS: Final = 50  # pipelines whose latest statistics are decoded
MOST_DIFFERENCES: Final = 30  # features shown of pushed against unpushed

_STORE = Column("store", "Store", "name", "Where it is recorded.")
_PIPELINE = Column("pipeline", "Pipeline", "name", "Pipeline context of the Trainer.")


@dataclasses.dataclass(frozen=True, eq=False)
class Described:
    """The graphlets of one store with what is asked of them.

    Attributes:
      store: its name.
      graphlets: the graphlets.
      table: features at stage ``validation``, row-aligned.
      payloads: files below artifact URIs.
      own: bool [num_executions], nodes of this project, which are left out.
      pipeline: count the graphlets and executions of this one alone; None: of all.
    """

    store: str
    graphlets: Graphlets
    table: FeatureTable
    payloads: Payloads
    own: BoolArray
    pipeline: str | None = None

    @functools.cached_property
    def numbers(self) -> IntArray:
        """Numbers of the graphlets that count, int64 [n], ascending."""
        return np.flatnonzero(self._of_pipeline(self.graphlets.pipeline)).astype(np.int64)

    @functools.cached_property
    def counted(self) -> BoolArray:
        """Executions that count, bool [num_executions]."""
        return ~self.own & self._of_pipeline(self.graphlets.trace.pipeline_of_execution)

    def _of_pipeline(self, context: IntArray) -> BoolArray:
        if self.pipeline is None:
            return np.ones(len(context), bool)
        names = np.array(
            [name == self.pipeline for name in (*self.graphlets.trace.contexts.name, "")]
        )
        return names[context]  # the last, -1: without a pipeline

    def feature(self, name: str) -> FloatArray:
        """A feature of the graphlets that count, float64 [n], NaN where missing."""
        return self.table.numbers(name)[self.numbers]

    def by_pipeline(self) -> Mapping[str, IntArray]:
        """Numbers of the graphlets of each pipeline, int64 [k], in the order of their Trainers."""
        found, number = np.unique(self.graphlets.pipeline[self.numbers], return_inverse=True)
        order = self.numbers[np.argsort(number.reshape(-1), kind="stable")]
        parts = np.split(order, np.cumsum(np.bincount(number.reshape(-1)))[:-1])
        names = [
            self.graphlets.trace.context_name(int(at)) or "" if at >= 0 else "" for at in found
        ]
        return dict(zip(names, parts)) if len(self.numbers) else {}


def operators(sources: Sequence[Described]) -> Table:
    """How often each group of operators ran, and how it ended."""
    rows: list[list[Cell]] = []
    for name, roles in OPERATORS:
        states = np.concatenate([
            one.graphlets.trace.executions.state[
                one.counted & np.isin(one.graphlets.role, list(map(int, roles)))
            ]
            for one in sources
        ])  # fmt: skip
        complete, failed, cached = (
            int((states == state).sum())
            for state in (ExecutionState.COMPLETE, ExecutionState.FAILED, ExecutionState.CACHED)
        )
        ended = complete + failed + cached
        rows.append([
            name, len(states), complete, failed, cached, len(states) - ended,
            share(failed, complete + failed), share(cached, ended),
        ])  # fmt: skip
    return made(
        "operators", "Operators", "A row is a group of roles; executions of graphlets and others.",
        [
            Column("operator", "Operator", "name", "Group of roles (docs/graphlets.md)."),
            Column("executions", "Executions", "count", "All of them."),
            Column("complete", "Complete", "count", "In state COMPLETE."),
            Column("failed", "Failed", "count", "In state FAILED."),
            Column("cached", "Cached", "count", "In state CACHED: nothing ran."),
            Column("other", "Other", "count", "Still running, left RUNNING, or cancelled."),
            Column("failure_rate", "Failure rate", "share", "Failed among complete and failed."),
            Column("cache_rate", "Cache hits", "share", "Cached among those that ended."),
        ],
        [row for row in rows if row[1]],
    )  # fmt: skip


def pipelines(sources: Sequence[Described]) -> Table:
    """How long pipelines lived, how often they trained, and how often they pushed."""
    rows: list[list[Cell]] = []
    for one in sources:
        graphlets = one.graphlets
        start = graphlets.trace.executions.create_ms[graphlets.trainer]
        for name, numbers in one.by_pipeline().items():
            times = start[numbers]
            times = times[times > 0]
            days = float(times.max() - times.min()) / DAY_MS if len(times) else float("nan")
            labelled = graphlets.labelled[numbers]
            pushed = graphlets.pushed[numbers]
            rows.append([
                one.store, name, len(numbers), days,
                len(numbers) / days if days >= 1 else None,
                len(np.unique(times // DAY_MS)), share(int(pushed.sum()), int(labelled.sum())),
            ])  # fmt: skip
    return made(
        "pipelines", "Pipelines", "A row is a pipeline with at least one graphlet.",
        [
            _STORE, _PIPELINE,
            Column("graphlets", "Graphlets", "count", "Trainings that were no cache hits."),
            Column("lifespan_days", "Lifespan", "days", "From the first training to the last."),
            Column("models_per_day", "Models per day", "per day",
                   "Graphlets by lifespan; not known for less than a day."),
            Column("active_days", "Active days", "count", "Days (UTC) with a training."),
            Column("push_rate", "Push rate", "share", "Pushed among pushed and unpushed."),
        ],
        rows,
    )  # fmt: skip


def graphlet_statistics(sources: Sequence[Described]) -> Table:
    """Sizes, durations and overlaps of graphlets, as quantiles."""
    size = _joined(one.graphlets.executions.counts()[one.numbers] for one in sources)
    duration = _joined(
        (one.graphlets.end_ms - one.graphlets.start_ms)[one.numbers] for one in sources
    )
    measures = {
        "Executions": ("count", "Executions of a graphlet.", size),
        "Duration": ("ms", "First create to last update time of its executions.", duration),
        **{
            title: (unit, definition, _joined(one.feature(name) for one in sources))
            for title, unit, definition, name in (
                ("Spans", "count", "Spans of Examples that it was trained on.", "input_data.spans"),
                (
                    "Overlap", "share", "Spans shared with the graphlet before (Jaccard).",
                    "input_data.jaccard_1",
                ),
                (
                    "Similarity of data", "share",
                    "Similarity of the statistics with the graphlet before (the paper's, eq. 1).",
                    "input_data.similarity_1",
                ),
                (
                    "Code match", "share", "1 where the Trainer's code is that of the one before.",
                    "code.trainer_same_1",
                ),
            )
        },
    }  # fmt: skip
    rows = [[title, unit, *_quantiles(values)] for title, (unit, _, values) in measures.items()]
    definitions = "; ".join(f"{title}: {text}" for title, (_, text, _) in measures.items())
    return made(
        "graphlets", "Graphlets", f"A row is a measure over all graphlets. {definitions}",
        [
            Column("measure", "Measure", "name", "What is measured of each graphlet."),
            Column("unit", "Unit", "name", "Of the row's values."),
            *_QUANTILES,
        ],
        rows,
    )  # fmt: skip


_QUANTILES: Final = (
    Column("known", "Known", "count", "Graphlets of which it is known."),
    Column("mean", "Mean", "as the row", "Over these."),
    Column("low", "10 %", "as the row", "A tenth of them is at most this."),
    Column("median", "Median", "as the row", "Half of them is at most this."),
    Column("high", "90 %", "as the row", "Nine tenths of them are at most this."),
)


def _joined(arrays: object) -> FloatArray:
    parts = [np.asarray(one, np.float64) for one in arrays]  # type: ignore[attr-defined]
    return np.concatenate(parts) if parts else np.zeros(0)


def _quantiles(values: FloatArray) -> list[Cell]:
    there = values[~np.isnan(values)]
    if not len(there):
        return [0, None, None, None, None]
    low, median, high = np.quantile(there, (0.1, 0.5, 0.9)).tolist()
    return [len(there), float(there.mean()), low, median, high]


def data(sources: Sequence[Described]) -> Table:
    """Features of the data by type, and how many values categorical ones have."""
    rows: list[list[Cell]] = []
    for one in sources:
        trace = one.graphlets.trace
        is_statistics = trace.artifacts_of_types([ArtifactType.EXAMPLE_STATISTICS])
        largest = sorted(one.by_pipeline().items(), key=lambda found: -len(found[1]))
        for name, numbers in largest[:MOST_STATISTICS]:
            members = one.graphlets.artifacts.of(int(numbers[-1]))
            found = None
            for at in members[is_statistics[members]][::-1].tolist():
                found = training_statistics(one.payloads, trace.artifacts.uri[at])
                if found is not None:
                    break
            if found is None:
                continue
            features = found[1].features.values()
            sizes = [f.unique for f in features if f.type in ("STRING", "BYTES")]
            sizes = [size for size in sizes if size == size]  # noqa: PLR0124 - NaN where not measured
            rows.append([
                one.store, name, found[1].num_examples, len(found[1].features),
                sum(f.type in ("INT", "FLOAT") for f in features),
                sum(f.type in ("STRING", "BYTES") for f in features),
                float(np.median(sizes)) if sizes else None, max(sizes) if sizes else None,
            ])  # fmt: skip
    return made(
        "data", "Data",
        "A row is a pipeline, by the latest statistics of its last graphlet that are still there; "
        f"of each store the {MOST_STATISTICS} pipelines with most graphlets.",
        [
            _STORE, _PIPELINE,
            Column("examples", "Examples", "count", "Of the split that is trained on."),
            Column("features", "Features", "count", "All of them."),
            Column("numeric", "Numeric", "count", "Of type INT or FLOAT."),
            Column("categorical", "Categorical", "count", "Of type STRING or BYTES."),
            Column("domain_median", "Domain, median", "count", "Distinct values, where measured."),
            Column("domain_largest", "Domain, largest", "count", "The most, where measured."),
        ],
        rows,
    )  # fmt: skip


def models(sources: Sequence[Described]) -> Table:
    """What is trained: types of Trainers, their outcome and how long they take."""
    rows: list[list[Cell]] = []
    kinds = [_kinds(one) for one in sources]
    everything = sum(len(one.numbers) for one in sources)
    for kind in sorted({str(name) for names in kinds for name in np.unique(names)}):
        chosen = [one.numbers[names == kind] for one, names in zip(sources, kinds)]
        count = sum(map(len, chosen))
        outcome = np.concatenate(
            [one.graphlets.outcome[mine] for one, mine in zip(sources, chosen)]
        )
        trained = np.concatenate([
            one.graphlets.cost[one.graphlets.trainer[mine]] for one, mine in zip(sources, chosen)
        ])  # fmt: skip
        pushed, unpushed = (
            int((outcome == which).sum()) for which in (Outcome.PUSHED, Outcome.UNPUSHED)
        )
        rows.append([
            kind, count, share(count, everything), share(pushed, pushed + unpushed),
            float(np.median(trained)) if count else None,
        ])  # fmt: skip
    return made(
        "models", "Models", "A row is a class of Trainers.",
        [
            Column("type", "Type", "name", "Last part of the Trainer's execution type."),
            Column("graphlets", "Graphlets", "count", "That it trained."),
            Column("share", "Share", "share", "Of all graphlets."),
            Column("push_rate", "Push rate", "share", "Pushed among pushed and unpushed."),
            Column("trainer_ms", "Training", "ms", "Median cost of the Trainer's execution."),
        ],
        rows,
    )  # fmt: skip


def _kinds(one: Described) -> NDArray[np.str_]:
    """Class of the Trainer of each graphlet that counts, str [n]."""
    executions = one.graphlets.trace.executions
    names = np.array([vocabulary.base_name(name) for name in (*executions.type_names, "")])
    return names[executions.type[one.graphlets.trainer[one.numbers]]]


def pushes(sources: Sequence[Described]) -> Table:
    """How far apart pushes are, by pipeline."""
    rows: list[list[Cell]] = []
    for one in sources:
        graphlets = one.graphlets
        end = graphlets.end_ms
        for name, numbers in one.by_pipeline().items():
            at = np.flatnonzero(graphlets.pushed[numbers])
            hours = np.diff(end[numbers][at]) / HOUR_MS
            gaps = np.diff(at)
            rows.append([
                one.store, name, len(at),
                share(len(at), int(graphlets.labelled[numbers].sum())),
                float(np.median(gaps)) if len(gaps) else None,
                float(np.median(hours)) if len(hours) else None,
                len(numbers) - 1 - int(at[-1]) if len(at) else None,
            ])  # fmt: skip
    return made(
        "pushes", "Pushes", "A row is a pipeline.",
        [
            _STORE, _PIPELINE,
            Column("pushes", "Pushes", "count", "Pushed graphlets."),
            Column("push_rate", "Push rate", "share", "Pushed among pushed and unpushed."),
            Column("graphlets_between", "Graphlets between", "count",
                   "Median number of graphlets from one push to the next."),
            Column("hours_between", "Hours between", "hours", "Median time between pushes."),
            Column("since", "Since the last", "count", "Graphlets after the last push."),
        ],
        rows,
    )  # fmt: skip


def pushed_against_unpushed(sources: Sequence[Described]) -> Table:
    """Features in which pushed and unpushed graphlets differ most."""
    features = [f for f in sources[0].table.features if f.kind is FeatureKind.NUMBER]
    pushed = np.concatenate([one.graphlets.pushed[one.numbers] for one in sources])
    unpushed = np.concatenate([one.graphlets.unpushed[one.numbers] for one in sources])
    rows: list[list[Cell]] = []
    for feature in features:
        values = _joined(one.feature(feature.name) for one in sources)
        there = ~np.isnan(values)
        yes, no = values[pushed & there], values[unpushed & there]
        if len(yes) < 2 or len(no) < 2:
            continue
        spread = float(np.sqrt((yes.var(ddof=1) + no.var(ddof=1)) / 2))
        if spread > 0:
            difference = float(yes.mean() - no.mean()) / spread
            rows.append([
                feature.name, feature.unit, len(yes), len(no),
                float(yes.mean()), float(no.mean()), difference,
            ])  # fmt: skip
    rows.sort(key=lambda row: -abs(float(row[-1] or 0.0)))
    return made(
        "pushed_against_unpushed", "Pushed against unpushed",
        f"A row is a feature; the {MOST_DIFFERENCES} that differ most.",
        [
            Column("feature", "Feature", "name", "Name of the feature (`features` explains it)."),
            Column("unit", "Unit", "name", "Of its values."),
            Column("pushed_known", "Pushed, known", "count", "Pushed graphlets that have it."),
            Column("unpushed_known", "Unpushed, known", "count", "Unpushed ones that have it."),
            Column("pushed_mean", "Pushed, mean", "as the row", "Mean over the pushed."),
            Column("unpushed_mean", "Unpushed, mean", "as the row", "Mean over the unpushed."),
            Column("difference", "Difference", "standard deviations",
                   "Of the means, by the pooled standard deviation (Cohen's d)."),
        ],
        rows[:MOST_DIFFERENCES],
    )  # fmt: skip


def all_statistics(sources: Sequence[Described]) -> tuple[Table, ...]:
    """Every table of this module, in the order of the report."""
    return tuple(
        make(sources)
        for make in (
            operators, pipelines, graphlet_statistics, data, models, pushes,
            pushed_against_unpushed,
        )
    )  # fmt: skip
