"""Columns over the executions of graphlets, and what they show of a graphlet.

An *entry* is one execution of one graphlet: a row of ``graphlets.executions``.
What was known of a graphlet at a moment is worked out from the entries that
were known then, for any number of (graphlet, moment) pairs at once.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tfx_graphlets.features.columns import configs
from tfx_graphlets.features.columns.ragged import within
from tfx_graphlets.features.columns.seen import UNSEEN, Seen, Spans
from tfx_graphlets.features.contents import GraphletCodes, SpanContents, text_codes
from tfx_graphlets.features.past import ABANDONED_AFTER_MS
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.series import Lanes
from tfx_graphlets.graphlets.timeline import NEVER, Edges, Timeline
from tfx_graphlets.graphlets.verdicts import Verdicts
from tfx_graphlets.trace.adjacency import Adjacency
from tfx_graphlets.trace.trace import BoolArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Outcome, Role

_SOURCES = (Role.EXAMPLE_GEN, Role.IMPORTER)
_Column = TypeVar("_Column")


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
    """

    def __init__(self, graphlets: Graphlets) -> None:
        """Works out the times of all entries."""
        self.graphlets, self.trace = graphlets, graphlets.trace
        self.edges = Edges.of(graphlets)
        self.timeline = Timeline.of(graphlets, self.edges)
        self.lanes = Lanes.of(graphlets)
        self.start: IntArray = graphlets.executions.start
        self.execution: IntArray = graphlets.executions.index
        self.role: SmallArray = graphlets.role[self.execution]
        self.part: SmallArray = graphlets.part
        self._once: dict[tuple[str, str], Any] = {}
        self.is_source: BoolArray = (self.part == Part.UPSTREAM) & np.isin(self.role, _SOURCES)

    # -- columns over executions ----------------------------------------------------

    @functools.cached_property
    def contents(self) -> SpanContents:
        """What each artifact would be as a span."""
        return SpanContents.of(self.graphlets, self.edges.outputs)

    @functools.cached_property
    def codes(self) -> GraphletCodes:
        """The user's code of the graphlets."""
        return GraphletCodes.of(self.graphlets, self.timeline)

    @functools.cached_property
    def examples(self) -> Adjacency:
        """Execution to the Examples that it put out."""
        return self.outputs_of_type(ArtifactType.EXAMPLES)

    def once(self, what: str, of: str, work_out: Callable[[], _Column]) -> _Column:
        """What was worked out at the first call with these names; it is not changed."""
        if (what, of) not in self._once:
            self._once[what, of] = work_out()
        kept: _Column = self._once[what, of]
        return kept

    def outputs_of_type(self, base_type: str) -> Adjacency:
        """Execution to the artifacts of one type that it put out."""
        return self.once("outputs", base_type, lambda: self._outputs_of_type(base_type))

    def _outputs_of_type(self, base_type: str) -> Adjacency:
        events = self.trace.events
        put = roles.is_output_edge(self.trace, self.graphlets.role)
        put &= self.trace.artifacts_of_types([base_type])[events.artifact]
        return Adjacency.from_edges(
            events.execution[put], events.artifact[put], len(self.trace.executions)
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
        """``contents.text_codes`` of a property of executions."""
        executions = self.trace.executions
        return self.once(
            "text", name, lambda: text_codes(executions.properties, name, len(executions))
        )

    @functools.cached_property
    def verdicts(self) -> Verdicts:
        """What the validators said."""
        return Verdicts.of(self.graphlets)

    @functools.cached_property
    def clone(self) -> configs.CloneRules:
        """What each execution's ``eval_config`` says of a model like the serving one."""
        return configs.clone_rules(self.trace)

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
        """What is known of every graphlet once it has settled."""
        number = np.arange(len(self.graphlets), dtype=np.int64)
        return self.look(number, np.full(len(number), NEVER - 1, np.int64))

    @functools.cached_property
    def occurrences(self) -> IntArray:
        """Where in ``lanes.order`` each span was trained on, ascending, int64 [m].

        A number is ``identity * n + place`` of a span and of one of the n graphlets.
        """
        spans, order = self.settled.spans.ragged, self.lanes.order
        place = np.zeros(len(order), np.int64)
        place[order] = np.arange(len(order))
        return np.sort(spans.value * max(len(order), 1) + place[spans.rows])

    def look(self, graphlet: IntArray, moment_ms: IntArray) -> Seen:
        """What was known of graphlets at moments, pairwise, each int64 [q]."""
        query, entry = within(self.start, graphlet)
        known = self.timeline.known_ms[entry] <= moment_ms[query]
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

        change, either = self._clone_rules(query, entry, num_queries)
        return Seen(
            outcome=np.full(num_queries, Outcome.INCOMPLETE, np.int8),
            pushed_ms=pushed_ms,
            blessed=self.verdicts.of_model(query, entry, num_queries),
            cost_ms=cost_ms,
            clone_by_change=change,
            clone_by_any=either,
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
        """As ``Past`` decides it; query and entry name all entries of the graphlets."""
        executions, trainer = self.trace.executions, self.graphlets.trainer[graphlet]
        finished = self.timeline.finished_ms
        moment, execution = moment_ms[query], self.execution[entry]
        under_way = (self.timeline.joined_ms[entry] < moment) & (moment < finished[execution])
        under_way &= moment - executions.create_ms[execution] <= ABANDONED_AFTER_MS
        waits = np.bincount(query[under_way], minlength=len(graphlet)) > 0

        state = executions.state[trainer]
        result = np.full(len(graphlet), Outcome.INCOMPLETE, np.int8)
        result[self.has_model[trainer] & ~waits] = Outcome.UNPUSHED
        # The attempt that counts is a later one.
        result[self._retried_ms[graphlet] <= moment_ms] = Outcome.INCOMPLETE
        result[state == ExecutionState.FAILED] = Outcome.FAILED
        result[finished[trainer] > moment_ms] = Outcome.INCOMPLETE
        result[pushed_ms != NEVER] = Outcome.PUSHED
        return result

    def _clone_rules(
        self, query: IntArray, entry: IntArray, num_queries: int
    ) -> tuple[IntArray, IntArray]:
        """Rule of the latest evaluator with a change threshold, and of the latest with any.

        Those whose verdict counts come before the others.
        """
        change = np.full(num_queries, UNSEEN, np.int64)
        either = np.full(num_queries, UNSEEN, np.int64)
        found = np.flatnonzero(self.verdicts.validates[entry])
        counts = self.verdicts.counting(query, entry)[found]
        query, entry = query[found], entry[found]
        execution = self.execution[entry]
        order = np.lexsort((execution, self.timeline.known_ms[entry], counts, query))
        query, rule = query[order], self.clone.of_execution[execution[order]]
        known = rule != UNSEEN
        either[query[known]] = rule[known]
        known &= self.clone.has_change[rule]
        change[query[known]] = rule[known]
        return change, either

    def _spans(self, query: IntArray, entry: IntArray, num_queries: int) -> Spans:
        source = self.is_source[entry]
        query, entry = query[source], entry[source]
        index, artifact = self.examples.expand(self.execution[entry])
        num_artifacts = max(len(self.trace.artifacts), 1)
        keys = np.unique(query[index] * num_artifacts + self.contents.identity[artifact])
        return Spans.of(keys // num_artifacts, keys % num_artifacts, num_queries, self.contents)
