"""World: what a replayed gate sees, after what it has skipped.

In a *censored* world a skipped graphlet has no Trainer and nothing after the
gate: later rows are described without it, and its outcome stays unknown. What
a replay cannot know: a missed push leaves an older model in serving, against
which later models would have been judged.
"""

from __future__ import annotations

import heapq

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets import outcome
from tfx_graphlets.trace.trace import BoolArray, IntArray
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset


class World:
    """The history of a dataset, as it unfolds under a gate.

    Args:
      dataset: what is replayed.
      censored: a skipped graphlet leaves no trace; else everything is seen as
        it was recorded, as in shadow mode.

    Raises:
      InvalidArgumentError: ``censored``, and the dataset has no describers.
    """

    def __init__(self, dataset: Dataset, *, censored: bool) -> None:
        lacking = sorted(set(dataset.store) - set(dataset.describers))
        if censored and lacking:
            raise InvalidArgumentError(
                "dataset",
                lacking,
                "a censored replay describes graphlets anew: make the "
                "dataset of each store by Dataset.describe, or replay uncensored",
            )
        self._dataset, self.censored = dataset, censored
        self._becoming_known: list[tuple[int, int]] = []
        self._not_yet_needed: list[int] = []
        self._skipped: dict[str, set[int]] = {store: set() for store in set(dataset.store)}
        self._needed_ms: dict[str, IntArray] = {}  # by store, after what was skipped
        self._changed = dict.fromkeys(set(dataset.store), False)
        self._graphlet = {
            store: {int(t): n for n, t in enumerate(graphlets.trainer_id.tolist())}
            for store, graphlets in dataset.sources.items()
        }
        self._spared = {
            store: _spared(dataset, store) for store in sorted(set(dataset.store)) if censored
        }
        self._ran = {
            store: np.zeros(len(graphlets.trace.executions), bool)
            for store, graphlets in dataset.sources.items()
        }
        for describer in dataset.describers.values() if censored else ():
            describer.reset()

    def features(self, row: int) -> FeatureTable:
        """Features of one row as the gate sees them now, one row."""
        dataset, store = self._dataset, self._dataset.store[row]
        if not self._changed[store]:
            return dataset.table.take(np.array([row]))
        number = self._graphlet[store][int(dataset.table.trainer[row])]
        return dataset.describers[store].describe(
            rows=np.array([number]), moment_ms=dataset.decision_ms[[row]]
        )

    def decided(self, row: int, proceed: bool) -> None:
        """The gate has decided about a row."""
        dataset, store = self._dataset, self._dataset.store[row]
        if (proceed or not self.censored) and dataset.labelled[row]:
            heapq.heappush(self._becoming_known, (int(dataset.known_ms[row]), row))
        if not self.censored:
            return
        number = self._graphlet[store][int(dataset.table.trainer[row])]
        graphlets, describer = dataset.sources[store], dataset.describers[store]
        if proceed:
            self._ran[store][graphlets.executions.of(number)] = True
            describer.run(number)
            return
        spared = self._spared[store][number]
        # What another graphlet needed, or what had begun by then, ran.
        begun = graphlets.trace.executions.create_ms[spared] < dataset.decision_ms[row]
        if dataset.stage is not Stage.INPUT:  # a gate over several Trainers waits for all of them
            trainer = np.full(len(spared), graphlets.trainer[number])
            begun &= ~graphlets.edges.shares_run(spared, trainer)
        describer.skip(number, spared[~begun & ~self._ran[store][spared]])
        self._changed[store] = True
        self._skipped[store].add(number)
        self._needed_ms.pop(store, None)

    def known_before(self, moment_ms: int) -> list[int]:
        """Labelled rows whose outcome became known before a moment and was not told yet.

        Strictly before: an outcome of the very moment may be the row's own.
        """
        known = []
        while self._becoming_known and self._becoming_known[0][0] < moment_ms:
            known.append(heapq.heappop(self._becoming_known)[1])
        self._not_yet_needed += [
            row
            for row in known
            if self._dataset.needed[row] and not self.needed_before(row, moment_ms)
        ]
        return known

    def needed_before(self, row: int, moment_ms: int) -> bool:
        """Whether a row whose outcome is known was known to be needed before a moment."""
        if self._dataset.pushed[row]:
            return True
        store = self._dataset.store[row]
        if not (self.censored and self._changed[store]):
            return bool(self._dataset.since_needed_ms[row] < moment_ms)
        if store not in self._needed_ms:
            skipped = np.array(sorted(self._skipped[store]), np.int64)
            self._needed_ms[store] = outcome.needed_without(self._dataset.sources[store], skipped)
        number = self._graphlet[store][int(self._dataset.table.trainer[row])]
        return bool(self._needed_ms[store][number] < moment_ms)

    def became_needed_before(self, moment_ms: int) -> list[int]:
        """Rows that were told as not needed, and led to a push before a moment; each once."""
        now = [row for row in self._not_yet_needed if self.needed_before(row, moment_ms)]
        self._not_yet_needed = [row for row in self._not_yet_needed if row not in now]
        return now


def _spared(dataset: Dataset, store: str) -> list[IntArray]:
    """Executions of each graphlet that run after the gate, int64 [k] each."""
    graphlets = dataset.sources[store]
    after: BoolArray = outcome.after_the_gate(graphlets, dataset.stage)
    start, index = graphlets.executions.start, graphlets.executions.index
    return [
        index[start[n] : start[n + 1]][after[start[n] : start[n + 1]]]
        for n in range(len(graphlets))
    ]
