"""Online: a waste model that is trained anew while a replay goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import Forest, LearnerSettings, train_forest
from tfx_graphlets.waste_model.prior import with_prior
from tfx_graphlets.waste_model.training import enough, transfer_scores


class ModelScores:
    """A scorer (``replay.Scorer``): a forest, trained anew as outcomes become known.

    Args:
      dataset: what is replayed.
      past: graphlets of other pipelines, known from the start; None: none.
      scores: ``transfer_scores`` of those that are labelled; None: they are worked out.
      retrain_every: newly known outcomes after which it is trained anew.
      seed: of all forests.
      settings: how they are grown.
    """

    of_all = True

    def __init__(
        self,
        dataset: Dataset,
        past: Dataset | None,
        *,
        scores: FloatArray | None = None,
        retrain_every: int,
        seed: int,
        settings: LearnerSettings,
    ) -> None:
        self._dataset = dataset
        self._past = None if past is None else past.only_labelled()
        self._scores = scores
        self._retrain_every, self._seed, self._settings = retrain_every, seed, settings
        self._known: list[int] = []
        self._needed: list[bool] = []
        self._features: list[FeatureTable] = []
        self._known_when_trained = -1
        self._forest: Forest | None = None
        self.trainings = 0

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """See Scorer."""
        if self._past is None:
            return np.zeros(0), ()
        scores = self._scores
        if scores is None:
            scores = transfer_scores(self._past, self._seed, settings=self._settings)
        scored = ~np.isnan(scores)
        return scores[scored], self._past.needed[scored].tolist()

    def learn(self, row: int, features: FeatureTable, needed: bool) -> None:
        """See Scorer."""
        self._known.append(row)
        self._needed.append(needed)
        self._features.append(features)

    def became_needed(self, row: int) -> None:
        """See Scorer."""
        self._needed[self._known.index(row)] = True
        self._known_when_trained -= 1  # as much of a reason to train anew as an outcome

    def score(self, row: int, features: FeatureTable) -> float:
        """See Scorer."""
        del row
        new = len(self._known) - self._known_when_trained
        if self._known_when_trained < 0 or new >= self._retrain_every or self._forest is None:
            self._train()
        if self._forest is None:
            return float("nan")
        return float(with_prior(self._forest.predict(features), features)[0])

    def _train(self) -> None:
        known = self._dataset.take(np.array(self._known, np.int64))
        if self._features:
            known = known.with_table(FeatureTable.concatenate(self._features))
        both = known if self._past is None else Dataset.concatenate([self._past, known])
        past = np.zeros(0, bool) if self._past is None else self._past.needed
        labels = np.concatenate([past, np.array(self._needed, bool)])
        if not enough(labels):
            return
        self._forest = train_forest(both.table, labels, self._settings, self._seed)
        self._known_when_trained = len(self._known)
        self.trainings += 1
