"""Columns over the executions of graphlets, and what they show of a graphlet.

An *entry* is one execution of one graphlet: a row of ``graphlets.executions``.
What was known of a graphlet at a moment is worked out from the entries that
were known then, for any number of (graphlet, moment) pairs at once. A replay can
hide graphlets, and executions that would not have run, had a gate skipped them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import numpy as np

from tfx_graphlets.features.spans import UNSEEN, Checks, SpanContents, Spans
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets, Part
from tfx_graphlets.graphlets.timeline import Lanes, Timeline
from tfx_graphlets.graphlets.verdicts import Verdicts
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.statistics import NoPayloads
from tfx_graphlets.rehearsal.record import RUN
from tfx_graphlets.trace.ragged import Adjacency, within
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import RUN_CONTEXTS, ArtifactType, ExecutionState, Outcome, Role

# An execution that was left RUNNING by a crash is waited for no longer than this.
ABANDONED_AFTER_MS: Final = 24 * 3_600_000
# Types of the artifacts whose files features read.
READ_TYPES: Final = (
    ArtifactType.EXAMPLE_STATISTICS,
    ArtifactType.EXAMPLE_ANOMALIES,
    ArtifactType.SCHEMA,
    ArtifactType.MODEL_EVALUATION,
)

_SOURCES = (Role.EXAMPLE_GEN, Role.IMPORTER)
_Column = TypeVar("_Column")


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What was known of some graphlets at some moments.

    Attributes:
      outcome: int8 [q], what had become of each; INCOMPLETE where that was not
        known: not finished, or still on its way.
      pushed_ms: int64 [q], end of the Pusher that had first pushed, NEVER if none.
      blessed: float64 [q], the verdict of the model validators that counts, 1 or 0,
        see ``graphlets.verdicts``; NaN if none had spoken.
      cost_ms: float64 [q], of the executions of the graphlet's own run; of all
        where it has no run.
      spans: what each was trained on.
    """

    outcome: SmallArray
    pushed_ms: IntArray
    blessed: FloatArray
    cost_ms: FloatArray
    spans: Spans


class Entries:
    """Columns over all entries of some graphlets; see ``Timeline`` for the times.

    Attributes:
      graphlets: the graphlets.
      edges: edges of their trace.
      timeline: when each entry became known.
      lanes: which graphlets come before which.
      start: int64 [n + 1], entries of graphlet ``g`` are ``start[g]:start[g + 1]``.
      execution, role, part: of each entry.
      is_source: bool, true for what brings the graphlet's data in from outside.
      decoded: files of the trace's artifacts.
    """

    def __init__(self, graphlets: Graphlets, decoded: DecodedPayloads | None = None) -> None:
        """Works out the times of all entries.

        Args:
          graphlets: the graphlets.
          decoded: files of their trace; None where none is at hand.
        """
        self.graphlets, self.trace = graphlets, graphlets.trace
        self.decoded = DecodedPayloads(NoPayloads()) if decoded is None else decoded
        self.edges = graphlets.edges
        self.timeline = Timeline.of(graphlets, self.edges)
        self.lanes = Lanes.of(graphlets)
        self.start: IntArray = graphlets.executions.start
        self.execution: IntArray = graphlets.executions.index
        self.role: SmallArray = graphlets.role[self.execution]
        self.part: SmallArray = graphlets.part
        self._once: dict[Hashable, Any] = {}
        self.is_source: BoolArray = (self.part == Part.UPSTREAM) & np.isin(self.role, _SOURCES)
        self._hidden: BoolArray | None = None
        self._ran: BoolArray | None = None

    # -- what a replay hides -----------------------------------------------------------

    def hide(self, graphlet: int, executions: IntArray) -> None:
        """A gate skipped a graphlet: it is in no window, and these executions did not run."""
        if self._hidden is None or self._ran is None:
            self._hidden = np.zeros(len(self.graphlets), bool)
            self._ran = np.ones(len(self.trace.executions), bool)
        self._hidden[graphlet] = True
        self._ran[executions] = False
        self.__dict__.pop("visible", None)

    def show(self, graphlet: int) -> None:
        """All executions of a graphlet ran, whatever had been spared before."""
        if self._ran is not None:
            self._ran[self.graphlets.executions.of(graphlet)] = True

    def show_all(self) -> None:
        """Nothing was skipped."""
        self._hidden = self._ran = None
        self.__dict__.pop("visible", None)

    @property
    def hides(self) -> bool:
        """True if a graphlet is hidden."""
        return self._hidden is not None

    def ran(self, entry: IntArray) -> BoolArray:
        """False for entries whose execution is hidden, bool [m]."""
        if self._ran is None:
            return np.ones(len(entry), bool)
        return self._ran[self.execution[entry]]

    def changed(self, graphlet: IntArray) -> BoolArray:
        """True for graphlets of which a replay hides some execution, bool [q]."""
        if self._ran is None:
            return np.zeros(len(graphlet), bool)
        query, entry = within(self.start, graphlet)
        return np.bincount(query[~self.ran(entry)], minlength=len(graphlet)) > 0

    @functools.cached_property
    def visible(self) -> Lanes:
        """``lanes`` without the graphlets that are hidden."""
        return self.lanes if self._hidden is None else self.lanes.without(self._hidden)

    # -- columns over executions ----------------------------------------------------

    @functools.cached_property
    def contents(self) -> SpanContents:
        """What each artifact would be as a span."""
        return SpanContents.of(self.graphlets, self.edges.outputs)

    @functools.cached_property
    def readable(self) -> BoolArray:
        """False for artifacts of which no feature can read a file.

        Returns: bool [num_artifacts + 1]; the last is that of no artifact, -1.
        """
        rows = np.flatnonzero(self.trace.artifacts_of_types(READ_TYPES))
        result = np.zeros(len(self.trace.artifacts) + 1, bool)
        result[rows] = self.decoded.may_be_read(self.trace.artifacts.uri, rows)
        return result

    def only_readable(self, artifact: IntArray) -> IntArray:
        """Artifacts, UNSEEN in place of those of which no file can be read."""
        return np.where(self.readable[artifact], artifact, UNSEEN)

    def checks(self, base_type: str) -> Checks:
        """What data analysis made of each span, ExampleStatistics or ExampleAnomalies."""
        return self.once(
            ("checks", base_type),
            lambda: Checks.of(self.graphlets, self.contents, self.timeline.finished_ms, base_type),
        )

    def uri(self, artifact: int) -> str:
        """Where the files of an artifact are."""
        return self.trace.artifacts.uri[artifact]

    @functools.cached_property
    def examples(self) -> Adjacency:
        """Execution to the Examples that it put out."""
        return self.outputs_of_type(ArtifactType.EXAMPLES)

    def once(self, key: Hashable, work_out: Callable[[], _Column]) -> _Column:
        """What was worked out at the first call with this key; it is not changed."""
        if key not in self._once:
            self._once[key] = work_out()
        kept: _Column = self._once[key]
        return kept

    def outputs_of_type(self, base_type: str) -> Adjacency:
        """Execution to the artifacts of one type that it put out."""
        put = functools.partial(roles.is_output_edge, self.trace, self.graphlets.role)
        return self.once(("outputs", base_type), lambda: self._of_type(base_type, put()))

    def inputs_of_type(self, base_type: str) -> Adjacency:
        """Execution to the artifacts of one type that it took in."""
        taken = functools.partial(roles.is_input_edge, self.trace, self.graphlets.role)
        return self.once(("inputs", base_type), lambda: self._of_type(base_type, taken()))

    def _of_type(self, base_type: str, edge: BoolArray) -> Adjacency:
        events = self.trace.events
        chosen = edge & self.trace.artifacts_of_types([base_type])[events.artifact]
        return Adjacency.from_edges(
            events.execution[chosen], events.artifact[chosen], len(self.trace.executions)
        )

    def num_outputs(self, base_type: str) -> IntArray:
        """Number of artifacts of one type that each execution put out, int64 [E]."""
        return np.diff(self.outputs_of_type(base_type).start)

    @functools.cached_property
    def has_model(self) -> BoolArray:
        """True for a COMPLETE execution that put out a Model, bool [E]."""
        complete = self.trace.executions.state == ExecutionState.COMPLETE
        return complete & (self.num_outputs(ArtifactType.MODEL) > 0)

    @functools.cached_property
    def _pushes(self) -> BoolArray:
        """True for entries that brought the model to serving."""
        pushes: BoolArray = self.graphlets.pushes[self.execution]
        return pushes & (self.part == Part.DOWNSTREAM)

    @functools.cached_property
    def _retried_ms(self) -> IntArray:
        """When the next attempt at each graphlet's training was created, int64 [n]; or NEVER."""
        retry = self.graphlets.retry
        result = np.full(len(retry), NEVER, np.int64)
        some = np.flatnonzero(retry >= 0)
        result[some] = self.trace.executions.create_ms[self.graphlets.trainer[retry[some]]]
        return result

    def text_codes(self, name: str) -> IntArray:
        """``Properties.text_codes`` of a property of executions, int64 [E]."""
        executions = self.trace.executions
        return self.once(
            ("text", name), lambda: executions.properties.text_codes(name, len(executions))
        )

    @functools.cached_property
    def verdicts(self) -> Verdicts:
        """What the validators said."""
        return Verdicts.of(self.graphlets)

    # -- graphlets at moments ---------------------------------------------------------

    @functools.cached_property
    def settles_ms(self) -> IntArray:
        """From when on all there is to know of a graphlet is known, int64 [n]."""
        times = self.timeline
        latest = np.where(times.known_ms != NEVER, times.known_ms, 0)
        waits = (times.known_ms == NEVER) & (self.part == Part.DOWNSTREAM)
        waits &= times.joined_ms != NEVER
        created = self.trace.executions.create_ms[self.execution[waits]]
        latest[waits] = np.maximum(times.joined_ms[waits], created + ABANDONED_AFTER_MS + 1)
        if not len(self.graphlets):
            return np.zeros(0, np.int64)
        settled: IntArray = np.maximum.reduceat(latest, self.start[:-1])
        retried = np.where(self._retried_ms == NEVER, 0, self._retried_ms)
        return np.maximum(settled, np.maximum(retried, 0))

    @functools.cached_property
    def settled(self) -> Seen:
        """What is known of every graphlet once it has settled, nothing hidden."""
        number = np.arange(len(self.graphlets), dtype=np.int64)
        hidden, self._ran = self._ran, None
        try:
            return self.look(number, np.full(len(number), NEVER - 1, np.int64))
        finally:
            self._ran = hidden

    @functools.cached_property
    def occurrences(self) -> IntArray:
        """Where in ``lanes.order`` each span was trained on, ascending, int64 [m].

        A number is ``identity * n + place`` of a span and of one of the n graphlets.
        """
        spans, order = self.settled.spans.ragged, self.lanes.order
        place = np.zeros(len(order), np.int64)
        place[order] = np.arange(len(order))
        return np.sort(spans.index * max(len(order), 1) + place[spans.rows()])

    def known(self, entry: IntArray, moment_ms: IntArray) -> BoolArray:
        """True for entries that had finished and were seen to be their graphlet's, bool [m]."""
        known: BoolArray = self.timeline.known_ms[entry] <= moment_ms
        return known if self._ran is None else known & self.ran(entry)

    def look(self, graphlet: IntArray, moment_ms: IntArray) -> Seen:
        """What was known of graphlets at moments, pairwise, each int64 [q]."""
        query, entry = within(self.start, graphlet)
        known = self.known(entry, moment_ms[query])
        seen = self.shown(query[known], entry[known], len(graphlet))
        outcome = self._outcomes(graphlet, moment_ms, query, entry, seen.pushed_ms)
        return dataclasses.replace(seen, outcome=outcome)

    def shown(self, query: IntArray, entry: IntArray, num_queries: int) -> Seen:
        """What some entries of each query show; the outcome is left INCOMPLETE.

        Args:
          query, entry: int64 [m], ascending by query, then entry.
          num_queries: length of the result.
        """
        execution, timeline = self.execution[entry], self.timeline
        pushed_ms = np.full(num_queries, NEVER, np.int64)
        pushes = self._pushes[entry]
        np.minimum.at(pushed_ms, query[pushes], timeline.known_ms[entry[pushes]])

        in_run = timeline.in_run[entry]
        cost = self.graphlets.cost[execution]
        own = np.bincount(query[in_run], cost[in_run], num_queries)
        has_own = np.bincount(query[in_run], minlength=num_queries) > 0
        cost_ms = np.where(has_own, own, np.bincount(query, cost, num_queries))

        return Seen(
            outcome=np.full(num_queries, Outcome.INCOMPLETE, np.int8),
            pushed_ms=pushed_ms,
            blessed=self.verdicts.of_model(query, entry, num_queries),
            cost_ms=cost_ms,
            spans=self._spans(query, entry, num_queries),
        )

    def _outcomes(
        self,
        graphlet: IntArray,
        moment_ms: IntArray,
        query: IntArray,
        entry: IntArray,
        pushed_ms: IntArray,
    ) -> SmallArray:
        """Decided from what was recorded by then only.

        An unpushed graphlet is one that has a Model, no push, and nothing under way.

        Args:
          graphlet, moment_ms, pushed_ms: int64 [q].
          query, entry: int64 [m], all entries of the graphlets.
        """
        executions, trainer = self.trace.executions, self.graphlets.trainer[graphlet]
        finished = self.timeline.finished_ms
        moment, execution = moment_ms[query], self.execution[entry]
        under_way = (self.timeline.joined_ms[entry] < moment) & (moment < finished[execution])
        under_way &= moment - executions.create_ms[execution] <= ABANDONED_AFTER_MS
        under_way &= self.ran(entry)
        waits = np.bincount(query[under_way], minlength=len(graphlet)) > 0

        state = executions.state[trainer]
        result = np.full(len(graphlet), Outcome.INCOMPLETE, np.int8)
        result[self.has_model[trainer] & ~waits] = Outcome.UNPUSHED
        # The attempt that counts is a later one.
        result[self._retried_ms[graphlet] <= moment_ms] = Outcome.INCOMPLETE
        result[state == ExecutionState.FAILED] = Outcome.FAILED
        result[finished[trainer] > moment_ms] = Outcome.INCOMPLETE
        if self._ran is not None:
            result[~self._ran[trainer]] = Outcome.INCOMPLETE
        result[pushed_ms != NEVER] = Outcome.PUSHED
        return result

    def _spans(self, query: IntArray, entry: IntArray, num_queries: int) -> Spans:
        source = self.is_source[entry]
        query, entry = query[source], entry[source]
        index, artifact = self.examples.expand(self.execution[entry])
        num_artifacts = max(len(self.trace.artifacts), 1)
        keys = np.unique(query[index] * num_artifacts + self.contents.identity[artifact])
        return Spans.of(keys // num_artifacts, keys % num_artifacts, num_queries, self.contents)


def run_of_artifacts(trace: Trace, rows: IntArray) -> dict[int, str]:
    """Name of the run of some artifacts of this project's own, which no edge leads to.

    It is what their property ``run`` says, else the run context that they are
    attributed to; an artifact with neither is left out.
    """
    contexts, artifacts = trace.contexts, trace.artifacts
    chosen = contexts.of_types(RUN_CONTEXTS)[contexts.attribution_context]
    of_artifact = zip(
        contexts.attribution_artifact[chosen].tolist(),
        contexts.attribution_context[chosen].tolist(),
    )
    attributed = {artifact: contexts.name[context] for artifact, context in of_artifact}
    said = artifacts.properties.texts(RUN, len(artifacts))
    found = {row: said[row] or attributed.get(row) for row in rows.tolist()}
    return {row: run for row, run in found.items() if run}
