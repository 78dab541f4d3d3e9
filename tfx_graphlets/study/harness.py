"""Harness: out-of-sample scores of one dataset in three ways, each made once.

- ``left_out``: a pipeline is scored by what was learnt from the other
  pipelines (leave one pipeline out; above MAX_FOLDS pipelines several are left
  out together).
- ``own``: by what was learnt from its own earlier graphlets alone.
- ``joined``: by what was learnt from the others and its own earlier graphlets.

With every score comes what the training side alone says of it: a cut for
balanced accuracy and a calibrated probability, both from scores that are
out-of-sample on the training side. No label of a scored graphlet, nor of one
that came after it in its pipeline, has any part in its score, cut or calibration.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.waste_model.calibration import PlattScaling, balanced_cut
from tfx_graphlets.waste_model.dataset import Dataset

LEFT_OUT: Final = "left_out"
OWN: Final = "own"
JOINED: Final = "joined"
WAYS: Final = (LEFT_OUT, OWN, JOINED)

MAX_FOLDS: Final = 6
INNER_FOLDS: Final = 2
MIN_ROWS = 10  # fewer graphlets are not learnt from, nor is a cut chosen from fewer
MIN_OF_EACH = 2
_FIRST_SHARE = 0.2  # of a pipeline's graphlets that are only learnt from
_OWN_BLOCKS = 3
_JOINED_EDGES = (0.2, 0.4, 0.6, 0.8)  # shares of a pipeline


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """Out-of-sample scores, aligned with the harness's rows.

    Attributes:
      score: float64 [n], 0..1; NaN where too little was known to learn from.
      cut: float64 [n], from which score on a push is predicted.
      calibrated: float64 [n], probability of a push by Platt scaling.
    """

    score: FloatArray
    cut: FloatArray
    calibrated: FloatArray

    @classmethod
    def empty(cls, count: int) -> Scored:
        """No row is scored yet."""
        return cls(np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan))

    @property
    def known(self) -> IntArray:
        """Rows that are scored, int64."""
        return np.flatnonzero(~np.isnan(self.score)).astype(np.int64)

    def put(
        self, rows: IntArray, score: FloatArray, sample: FloatArray, labels: BoolArray, prior: float
    ) -> None:
        """Sets the scores of rows.

        Args:
          rows: which rows.
          score: of these.
          sample, labels: out-of-sample scores of the training side, and their
            labels, bool. From too small a sample nothing is fitted: the cut is
            ``prior``, and the score stands for the probability.
          prior: share of pushes on the training side.
        """
        self.score[rows], self.calibrated[rows], self.cut[rows] = score, score, prior
        usable = ~np.isnan(sample)
        sample, labels = sample[usable], labels[usable]
        if len(labels) >= MIN_ROWS and _of_each(labels) >= MIN_OF_EACH:
            self.cut[rows] = balanced_cut(labels, sample)
            self.calibrated[rows] = PlattScaling.fit(sample, labels).apply(score)


class Harness:
    """Scores a dataset.

    Attributes:
      dataset: its labelled graphlets in the order of time.
      fold: number of the fold of each row's pipeline, int64 [n].
      folds: number of folds; 1 where there is only one pipeline, so that none
        can be left out.
    """

    def __init__(self, dataset: Dataset, seed: int = 0, *, max_folds: int = MAX_FOLDS) -> None:
        labelled = dataset.only_labelled()
        self.dataset = labelled.take(labelled.time_order)
        self._seed = seed
        self._group = self.dataset.group
        self.fold = self._group % max_folds
        self.folds = len(np.unique(self.fold))
        self._memory: dict[tuple[str, Learner, tuple[str, ...] | None], Scored] = {}
        # Of each fold: rows of its training side and their out-of-sample scores.
        self._inner: dict[tuple[Learner, tuple[str, ...] | None, int], FloatArray] = {}

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of features, in the order of the columns."""
        return tuple(dict.fromkeys(feature.group for feature in self.dataset.table.features))

    def scores(self, way: str, learner: Learner, groups: tuple[str, ...] | None = None) -> Scored:
        """Scores by one of WAYS.

        Args:
          way: LEFT_OUT, OWN or JOINED.
          learner: what learns.
          groups: only features of these groups; None: all.
        """
        key = (way, learner, groups)
        if key not in self._memory:
            make = {LEFT_OUT: self._left_out, OWN: self._own, JOINED: self._joined}[way]
            self._memory[key] = make(learner, groups)
        return self._memory[key]

    def score_rows(
        self, learner: Learner, table: FeatureTable, known: IntArray, rows: IntArray
    ) -> FloatArray:
        """Scores of rows by what is learnt from others, NaN where these are too few."""
        pushed = self.dataset.needed[known]
        if len(known) < MIN_ROWS or _of_each(pushed) < MIN_OF_EACH:
            return np.full(len(rows), np.nan)
        trained = learner.train(table.take(known), pushed, self._seed)
        score = trained.predict(table.take(rows))
        # A forest of a group of which nothing is known has no feature, and knows of no row.
        return score if len(score) else np.full(len(rows), pushed.mean())

    def table(self, groups: tuple[str, ...] | None = None) -> FeatureTable:
        """The features of some groups; None: all."""
        table = self.dataset.table
        if groups is None:
            return table
        features = tuple(feature for feature in table.features if feature.group in groups)
        columns = {feature.name: table.columns[feature.name] for feature in features}
        return FeatureTable(table.stage, table.trainer, features, columns)

    def _left_out(self, learner: Learner, groups: tuple[str, ...] | None) -> Scored:
        result = Scored.empty(len(self.dataset))
        if self.folds < 2:
            return result
        table, pushed = self.table(groups), self.dataset.needed
        for fold in np.unique(self.fold):
            rows, known = _rows(self.fold == fold), _rows(self.fold != fold)
            score = self.score_rows(learner, table, known, rows)
            inner = self._inner_scores(learner, table, known)
            self._inner[learner, groups, int(fold)] = inner
            result.put(rows, score, inner, pushed[known], float(pushed[known].mean()))
        return result

    def _inner_scores(self, learner: Learner, table: FeatureTable, known: IntArray) -> FloatArray:
        """Out-of-sample scores within a training side, float64 [len(known)]."""
        group = self._group[known]
        number = np.unique(group, return_inverse=True)[1]
        if number.max() == 0:  # one pipeline: its earlier against its later half
            number = np.arange(len(known)) * INNER_FOLDS // len(known)
        part = number % INNER_FOLDS
        inner = np.full(len(known), np.nan)
        for at in range(INNER_FOLDS):
            held = part == at
            inner[held] = self.score_rows(learner, table, known[~held], known[held])
        return inner

    def _own(self, learner: Learner, groups: tuple[str, ...] | None) -> Scored:
        result = Scored.empty(len(self.dataset))
        table, pushed = self.table(groups), self.dataset.needed
        for number in np.unique(self._group):
            mine = _rows(self._group == number)
            first = min(max(round(len(mine) * _FIRST_SHARE), MIN_ROWS), len(mine))
            edges = np.unique(np.linspace(first, len(mine), _OWN_BLOCKS + 1).round().astype(int))
            for start, end in zip(edges[:-1], edges[1:]):
                rows = mine[start:end]
                known = self._known_before(mine[:start], rows)
                score = self.score_rows(learner, table, known, rows)
                if np.isnan(score).any():
                    continue
                result.put(
                    rows, score, result.score[known], pushed[known], float(pushed[known].mean())
                )
        return result

    def _joined(self, learner: Learner, groups: tuple[str, ...] | None) -> Scored:
        others = self.scores(LEFT_OUT, learner, groups)
        result = Scored(others.score.copy(), others.cut.copy(), others.calibrated.copy())
        if self.folds < 2:
            return result
        table, pushed = self.table(groups), self.dataset.needed
        block = np.zeros(len(self.dataset), np.int64)
        for number in np.unique(self._group):
            mine = _rows(self._group == number)
            block[mine] = np.searchsorted(_JOINED_EDGES, np.arange(len(mine)) / len(mine), "right")
        for fold in np.unique(self.fold):
            outside = _rows(self.fold != fold)
            inner = self._inner[learner, groups, int(fold)]
            for at in range(1, len(_JOINED_EDGES) + 1):
                rows = _rows((self.fold == fold) & (block == at))
                if not len(rows):
                    continue
                earlier = self._known_before(_rows((self.fold == fold) & (block < at)), rows)
                known = np.concatenate([outside, earlier])
                score = self.score_rows(learner, table, np.sort(known), rows)
                sample = np.concatenate([inner, result.score[earlier]])
                result.put(rows, score, sample, pushed[known], float(pushed[known].mean()))
        return result

    def _known_before(self, earlier: IntArray, rows: IntArray) -> IntArray:
        """Earlier rows whose outcome was known when their pipeline's first row was decided."""
        first: dict[int, int] = {}
        for row in rows.tolist():
            number, moment = int(self._group[row]), int(self.dataset.decision_ms[row])
            first[number] = min(first.get(number, moment), moment)
        never = np.iinfo(np.int64).min
        limit = np.array([first.get(int(self._group[row]), never) for row in earlier], np.int64)
        return np.asarray(earlier[self.dataset.known_ms[earlier] < limit])


def _rows(chosen: BoolArray) -> IntArray:
    return np.flatnonzero(chosen).astype(np.int64)


def _of_each(pushed: BoolArray) -> int:
    """Number of the rarer label."""
    return int(min(pushed.sum(), (~pushed).sum()))
