"""Which past graphlets a model takes for the same kind, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.policy.decision import SimilarGraphlet
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.waste_model.dataset import Dataset

# The latest ones that are looked at: what is older says little, and looking takes time.
MOST_COMPARED: Final = 100


def most_similar(
    proximity: Callable[[FeatureTable, FeatureTable], FloatArray],
    table: FeatureTable,
    row: int,
    past: Dataset,
    top: int,
    runs: Sequence[str] = (),
    moment_ms: int | None = None,
) -> tuple[SimilarGraphlet, ...]:
    """The most similar past graphlets; see ``WasteModel.similar``.

    Args:
      proximity: of the rows of two tables, float64 [n, m], 0..1.
    """
    rows = compared(table, row, past, runs, moment_ms)
    if not len(rows) or top < 1:
        return ()
    this = table.take(np.array([row], np.int64))
    return told(proximity(this, past.table.take(rows))[0], past, rows, top, runs)


def compared(
    table: FeatureTable,
    row: int,
    past: Dataset,
    runs: Sequence[str] = (),
    moment_ms: int | None = None,
) -> IntArray:
    """Which past graphlets a row is compared with: the latest with a known outcome.

    Returns: int64 [k], rows of ``past``, at most MOST_COMPARED.
    """
    if runs and len(runs) != len(past):
        raise InvalidArgumentError(
            "runs", len(runs), f"its length must be that of past, {len(past)}, or 0"
        )
    if table.stage is not past.stage:
        raise InvalidArgumentError(
            "past", str(past.stage), f"its stage must be that of the table, {table.stage}"
        )
    candidate = past.labelled & (past.table.trainer != table.trainer[row])
    if moment_ms is not None:
        candidate &= past.known_ms <= moment_ms
    rows = np.flatnonzero(candidate)
    return rows[np.argsort(past.decision_ms[rows], kind="stable")][-MOST_COMPARED:].astype(np.int64)


def told(
    similarity: FloatArray, past: Dataset, rows: IntArray, top: int, runs: Sequence[str] = ()
) -> tuple[SimilarGraphlet, ...]:
    """The most similar ones.

    Args:
      similarity: float64 [len(rows)], 0..1, to each of the rows that were compared.
      past, rows, top, runs: as above.
    """
    # Of equally similar ones the latest first.
    order = np.lexsort((-past.decision_ms[rows], -similarity))[: max(top, 0)]
    names = runs or _runs(past)
    return tuple(
        SimilarGraphlet(
            trainer=int(past.table.trainer[rows[at]]),
            run=names[rows[at]],
            decision_ms=int(past.decision_ms[rows[at]]),
            pushed=bool(past.pushed[rows[at]]),
            similarity=float(similarity[at]),
        )
        for at in order
    )


def _runs(past: Dataset) -> tuple[str, ...]:
    """Name of each graphlet's run, as far as the graphlets are at hand; "" elsewhere."""
    names: dict[tuple[str, int], str] = {}
    for store, graphlets in past.sources.items():
        trace = graphlets.trace
        of_trainer = trace.run_of_execution[graphlets.trainer]
        for trainer, run in zip(graphlets.trainer_id.tolist(), of_trainer.tolist()):
            names[store, trainer] = trace.context_name(run) or ""
    return tuple(names.get(key, "") for key in zip(past.store, past.table.trainer.tolist()))
