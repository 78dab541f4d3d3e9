"""Evaluators of graphlets: what they measured, and what they would say of a re-run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, Window
from tfx_graphlets.features.spans import UNSEEN
from tfx_graphlets.payloads.evaluation import Evaluation, EvaluationMetrics, clone_margin
from tfx_graphlets.payloads.thresholds import (
    MetricThreshold,
    is_config,
    label_key_of_config,
    thresholds_of_config,
)
from tfx_graphlets.trace.ragged import within
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import ArtifactType, PropertyName

# What an evaluator's config says of a model like the serving one; _ASK: what stands
# beside its metrics may say it.
_NOTHING, _CONFIG, _CHANGE, _ASK = range(4)
_NOT_READ = -2  # an evaluation that was not asked for yet


class Evaluators:
    """The model validators of graphlets, and what each says and asks for.

    Attributes:
      entries: columns over the graphlets.
      start: int64 [n + 1]; those of graphlet ``g`` are ``entry[start[g]:start[g + 1]]``.
      entry: int64 [m], the earliest known first.
      label: int64 [E], number of the label's name in ``labels`` by ``eval_config``;
        UNSEEN where it names none.
      labels: the names.
      can_measure: false where no metrics of any can be read.
    """

    def __init__(self, entries: Entries) -> None:
        """Finds them, and reads each distinct ``eval_config`` once."""
        self.entries = entries
        found = np.flatnonzero(entries.verdicts.validates)
        graphlet = np.searchsorted(entries.start, found, "right") - 1
        order = np.lexsort((entries.execution[found], entries.timeline.known_ms[found], graphlet))
        self.entry = found[order]
        counts = np.bincount(graphlet, minlength=len(entries.graphlets))
        self.start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

        self._evaluations = entries.outputs_of_type(ArtifactType.MODEL_EVALUATION)
        self._code = entries.text_codes(PropertyName.EVAL_CONFIG)
        distinct, place = np.unique(self._code, return_inverse=True)
        place = place.reshape(-1)
        strings = entries.trace.executions.properties.strings
        texts = [strings[code] if code >= 0 else "" for code in distinct.tolist()]
        thresholds = [thresholds_of_config(text) if text else () for text in texts]
        self._config = dict(zip(distinct.tolist(), thresholds))
        label_of: dict[str, int] = {}
        keys = [label_key_of_config(text) if text else None for text in texts]
        label = [UNSEEN if key is None else label_of.setdefault(key, len(label_of)) for key in keys]
        self.labels = tuple(label_of)
        self.label: IntArray = np.array(label or [UNSEEN], np.int64)[place]

        says = np.array(
            [_says(bounds, bool(t) and is_config(t)) for bounds, t in zip(thresholds, texts)] or [0]
        )
        # Where the config has no thresholds, some may stand beside the metrics.
        index, artifact = self._evaluations.expand(np.arange(len(self._code)))
        self._measures: BoolArray = np.zeros(len(self._code), bool)
        self._measures[index[entries.readable[artifact]]] = True
        self.can_measure = bool(self._measures.any())
        bare = np.array([not bounds for bounds in thresholds] or [True])[place]
        self._says: SmallArray = np.where(self._measures & bare, _ASK, says[place]).astype(np.int8)
        self._margin: dict[int, float] = {}
        self._needs_baseline = {
            code: not bounds or any(bound.change_relative is not None for bound in bounds)
            for code, bounds in self._config.items()
        }
        self._found: list[Evaluation] = []
        self._number = np.where(self._measures, _NOT_READ, UNSEEN)

    def of_places(self, window: Window, places: IntArray) -> tuple[IntArray, IntArray]:
        """Evaluators that were known of the graphlets at some places, the earliest first.

        Of several those whose verdict counts come last.

        Args:
          places: int64 [q], -1 for none.

        Returns: index into ``places`` and execution of each, int64 [k].
        """
        some = np.flatnonzero(places >= 0)
        index, at = within(self.start, window.graphlet[places[some]])
        index, entry = some[index], self.entry[at]
        known = self.entries.known(entry, window.moment_ms[places[index]])
        index, entry = index[known], entry[known]
        several = np.flatnonzero(np.bincount(index, minlength=len(places)) > 1)
        if len(several):
            counts = self._counting(window, places[several])
            among = np.isin(index, several)
            number = np.searchsorted(several, index[among])
            last = np.zeros(len(index), bool)
            last[among] = np.isin(number * len(self.entries.execution) + entry[among], counts)
            entry = entry[np.lexsort((last, index))]
        return index, self.entries.execution[entry]

    def _counting(self, window: Window, places: IntArray) -> IntArray:
        """Evaluators whose verdict counts, as ``place * number of entries + entry``."""
        entries = self.entries
        query, entry = within(entries.start, window.graphlet[places])
        known = entries.known(entry, window.moment_ms[places[query]])
        query, entry = query[known], entry[known]
        counts = entries.verdicts.counting(query, entry)
        return query[counts] * len(entries.execution) + entry[counts]

    def of_window(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Place and execution of all that were known of the graphlets before rows, in order."""
        window = rows.window
        return rows.once("evaluators", lambda: self.of_places(window, np.arange(len(window.row))))

    def of_own(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Row and execution of rows' own evaluators that the stage may see, as ``of_places``."""
        entries, row, entry = self.entries, rows.own_row, rows.own_entry
        found = np.flatnonzero(entries.verdicts.validates[entry])
        counts = self.awaited(rows)[found]
        row, entry = row[found], entry[found]
        execution = entries.execution[entry]
        order = np.lexsort((execution, entries.timeline.known_ms[entry], counts, row))
        return row[order], execution[order]

    def awaited(self, rows: Rows) -> BoolArray:
        """Which of rows' own entries are evaluators whose verdict will count, bool [m].

        No pusher has run: those of the nodes that the pushers of an earlier graphlet listened
        to, the latest of which that is known; all where it is of none, or none of them spoke.
        """
        return rows.once("awaited", lambda: self._awaited(rows))

    def _awaited(self, rows: Rows) -> BoolArray:
        entries, verdicts, window = self.entries, self.entries.verdicts, rows.window
        row, entry = rows.own_row, rows.own_entry
        validates: BoolArray = verdicts.validates[entry]
        several = np.bincount(row[validates], minlength=len(rows)) > 1
        place = np.flatnonzero(several[window.row])
        if not len(place):
            return validates
        at, of_place = within(entries.start, window.graphlet[place])
        place = place[at]
        known = entries.known(of_place, window.moment_ms[place])
        at, validator = verdicts.heard.expand(of_place[known])
        place = place[known][at]
        known = entries.known(validator, window.moment_ms[place])
        place, validator = place[known], validator[known]
        latest = np.full(len(rows), UNSEEN, np.int64)
        np.maximum.at(latest, window.row[place], place)
        last = place == latest[window.row[place]]
        node, count = entries.trace.node_of_execution, len(entries.trace.contexts) + 1
        heard = window.row[place[last]] * count + node[entries.execution[validator[last]]]
        own = node[entries.execution[entry]]
        listened = validates & (own >= 0) & np.isin(row * count + own, heard)
        spoken = np.bincount(row[listened], minlength=len(rows)) > 0
        return np.where(spoken[row], listened, validates)

    # -- evaluations ------------------------------------------------------------------

    def latest(self, query: IntArray, execution: IntArray, num_queries: int) -> IntArray:
        """Number of the latest evaluation of each query whose metrics can be read.

        Args:
          query, execution: int64 [k], evaluators of each query, the earliest first.
          num_queries: length of the result.

        Returns: int64 [num_queries], for ``values``; UNSEEN where there is none.
        """
        result = np.full(num_queries, UNSEEN, np.int64)
        for one in np.unique(execution[self._number[execution] == _NOT_READ]).tolist():
            self._number[one] = self._read(one)
        number = self._number[execution]
        known = number != UNSEEN
        result[query[known]] = number[known]  # of each query's the last stays
        return result

    def at(self, window: Window, places: IntArray) -> IntArray:
        """``latest`` of the graphlets at some places, -1 for none."""
        if not self.can_measure:
            return np.full(len(places), UNSEEN, np.int64)
        return self.latest(*self.of_places(window, places), len(places))

    def values(self, name: str, numbers: IntArray) -> FloatArray:
        """An attribute of ``Evaluation`` by its number, float64; NaN for UNSEEN."""
        return np.array([*(getattr(one, name) for one in self._found), np.nan])[numbers]

    def _read(self, execution: int) -> int:
        for artifact in self._evaluations_of(execution):
            metrics = self.entries.decoded.metrics(self.entries.uri(artifact))
            thresholds = self._thresholds(execution, metrics)
            if metrics is not None and thresholds:
                self._found.append(Evaluation.of(metrics, thresholds))
                return len(self._found) - 1
        return UNSEEN

    def _evaluations_of(self, execution: int) -> list[int]:
        artifacts = self._evaluations.of(execution)
        return artifacts[self.entries.readable[artifacts]].tolist()

    def _thresholds(
        self, execution: int, metrics: EvaluationMetrics | None
    ) -> tuple[MetricThreshold, ...]:
        """By the Evaluator's ``eval_config``, else by what stands beside its metrics."""
        bounds = self._config[int(self._code[execution])]
        return bounds or (metrics.thresholds if metrics is not None else ())

    # -- a model like the serving one --------------------------------------------------

    def clone(self, rows: Rows) -> Clone:
        """What a model that does exactly as well as the serving one would be told.

        By the thresholds of the latest known evaluator of an earlier graphlet. TFX
        takes the change thresholds out of a config where it has no baseline yet, so
        that one without any counts only if a model had been blessed before it.
        """
        return rows.once("clone", lambda: self._clone(rows))

    def _clone(self, rows: Rows) -> Clone:
        window = rows.window
        place, execution = self.of_window(rows)
        row = window.row[place]
        first = window.first(window.blessed == 1.0)
        after = place > np.where(first >= 0, first, len(window.row))[row]
        latest = np.full(len(rows), UNSEEN, np.int64)
        while True:
            says = self._says[execution]
            counts = (says >= _CHANGE) | (after & (says == _CONFIG))
            latest[row[counts]] = execution[counts]
            asked = np.unique(latest[(latest >= 0) & (self._says[latest] == _ASK)])
            if not len(asked):
                break
            for one in asked.tolist():
                self._says[one] = self._says_beside(one)
            latest[:] = UNSEEN
        known, changes = latest >= 0, (latest >= 0) & (self._says[latest] == _CHANGE)
        margin = np.full(len(rows), np.nan)
        some = np.flatnonzero(changes)
        distinct, at_ = np.unique(latest[some], return_inverse=True)
        margin[some] = np.array([self._clone_margin(one) for one in distinct.tolist()])[
            at_.reshape(-1)
        ]
        known &= ~(changes & np.isnan(margin))
        return Clone(margin, known & (~changes | (margin >= 0)), known)

    def _says_beside(self, execution: int) -> int:
        """What an evaluator says whose config has no thresholds."""
        code = int(self._code[execution])
        text = self.entries.trace.executions.properties.strings[code] if code >= 0 else ""
        return _says(
            self._thresholds(execution, self._first_metrics(execution)),
            bool(text) and is_config(text),
        )

    def _first_metrics(self, execution: int) -> EvaluationMetrics | None:
        found = self._evaluations_of(execution)
        return self.entries.decoded.metrics(self.entries.uri(found[0])) if found else None

    def _clone_margin(self, execution: int) -> float:
        code = int(self._code[execution])
        needed = self._needs_baseline[code]
        key = execution if needed else -1 - code  # the config alone decides about the others
        if key not in self._margin:
            metrics = self._first_metrics(execution) if needed else None
            self._margin[key] = clone_margin(
                metrics.baseline if metrics else {}, self._thresholds(execution, metrics)
            )
        return self._margin[key]


@dataclasses.dataclass(frozen=True, eq=False)
class Clone:
    """What Evaluators would say of a model like the serving one.

    Attributes:
      margin: float64 [rows], see ``clone_margin``; NaN without a change threshold.
      passes: bool [rows], a tie is enough, or nothing is compared.
      known: bool [rows], false where no evaluation, or not its config, is known.
    """

    margin: FloatArray
    passes: BoolArray
    known: BoolArray


def evaluators_of(entries: Entries) -> Evaluators:
    """The evaluators of graphlets, found once."""
    return entries.once("evaluators", lambda: Evaluators(entries))


def rerun_expected(rows: Rows, same: BoolArray) -> FloatArray:
    """Whether what is trained once more will be pushed: 1 if so, else 0; float64 [rows].

    The same code on the same data is the same model, if training is
    deterministic. If it was not pushed, it will not be; if it was, it is as good
    as the serving model, and what counts is whether that is enough.

    Args:
      rows: the rows.
      same: bool [places], earlier graphlets that were trained on the same.

    Returns: NaN if no outcome is known, or if the last was pushed and no threshold is.
    """
    window = rows.window
    place = window.last(same & window.labelled)
    result = np.full(len(rows), np.nan)
    some = np.flatnonzero(place >= 0)
    pushed = window.pushed[place[some]]
    result[some[~pushed]] = 0.0
    clone, served = evaluators_of(rows.entries).clone(rows), some[pushed]
    served = served[clone.known[served]]
    result[served] = clone.passes[served]
    return result


def _says(thresholds: Sequence[MetricThreshold], is_a_config: bool) -> int:
    if any(threshold.has_change for threshold in thresholds):
        return _CHANGE
    return _CONFIG if thresholds or is_a_config else _NOTHING
