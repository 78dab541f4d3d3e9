"""Training: a final forest, and honest scores to choose its threshold from.

The threshold may not rest on scores of graphlets that the forest was trained
on. Forward chaining gives such scores in the order of time: a block of
graphlets is scored by a forest that was trained on what was known before the
first decision of the block.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError, NotEnoughHistoryError
from tfx_graphlets.policy.freshness import check_freshness
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import (
    DEFAULT_SETTINGS,
    Forest,
    LearnerSettings,
    train_forest,
)
from tfx_graphlets.waste_model.manifest import TrainingRecord, short_digests
from tfx_graphlets.waste_model.model import WasteModel, new_model
from tfx_graphlets.waste_model.prior import with_prior

_logger = logging.getLogger(__name__)

MIN_LABELLED = 10  # fewer graphlets are not learnt from
MIN_OF_EACH = 2  # fewer pushed or fewer unpushed ones neither
MAX_ROWS_NAMED = 10_000  # of more graphlets the model does not name each
MAX_FOLDS = 6  # pipelines that are held out one by one
_TRANSFER_EDGES = (0.2, 0.4, 0.6, 0.8)  # shares of a pipeline's graphlets


@dataclasses.dataclass(frozen=True)
class ForwardChaining:
    """How the history is cut for out-of-sample scores.

    Attributes:
      initial_share: share of the labelled graphlets that come first and are
        only trained on, 0..1.
      blocks: number of blocks that the rest is cut into.
    """

    initial_share: float = 0.2
    blocks: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.initial_share < 1:
            raise InvalidArgumentError(
                "initial_share", self.initial_share, "must be between 0 and 1"
            )
        if self.blocks < 1:
            raise InvalidArgumentError("blocks", self.blocks, "must be 1 or more")


DEFAULT_CHAINING: Final = ForwardChaining()


def train_waste_model(
    dataset: Dataset,
    stage: Stage,
    freshness: float = 0.95,
    seed: int = 0,
    *,
    settings: LearnerSettings = DEFAULT_SETTINGS,
    chaining: ForwardChaining = DEFAULT_CHAINING,
    progress: Callable[[int, int], None] | None = None,
) -> WasteModel:
    """Trains a waste model and chooses its threshold.

    >>> import tempfile
    >>> from tfx_graphlets import load_waste_model, segment
    >>> from tfx_graphlets.testing import TraceBuilder
    >>> build = TraceBuilder()
    >>> for run in range(40):  # every second one trains on the data of the run before, in vain
    ...     name = f"r{run}"
    ...     model = build.artifact("Model")
    ...     pushed = build.artifact("PushedModel", pushed=1 - run % 2)
    ...     if run % 2 == 0:
    ...         data = build.artifact("Examples", span=run)
    ...         _ = build.execution("CsvExampleGen", outputs={"examples": [data]}, run=name)
    ...     _ = build.execution("Trainer", inputs={"examples": [data]},
    ...                         outputs={"model": [model]}, run=name)
    ...     _ = build.execution("Pusher", inputs={"model": [model]},
    ...                         outputs={"pushed_model": [pushed]}, run=name)
    >>> dataset = Dataset.describe(segment(build.trace()), Stage.INPUT)
    >>> model = train_waste_model(dataset, Stage.INPUT, freshness=0.9)
    >>> bool(model.predict(dataset.table)[38] > model.predict(dataset.table)[39])
    True
    >>> directory = tempfile.mkdtemp()
    >>> model.save(directory)
    >>> load_waste_model(directory).fingerprint == model.fingerprint
    True

    Args:
      dataset: graphlets with features; those neither pushed nor unpushed are
        left out.
      stage: the stage of the gate; that of the dataset's features.
      freshness: share of pushes to keep, 0..1.
      seed: of all randomness: same arguments, same model, same fingerprint.
      settings: how the forest is grown.
      chaining: how out-of-sample scores of a single pipeline are made.
      progress: is called before each forest with the number grown so far and of all.

    Returns:
      The model, trained on all labelled graphlets. Its calibration scores are
      out of sample: those of ``forward_scores`` for one pipeline, those of
      ``transfer_scores`` for several.

    Raises:
      InvalidArgumentError: the dataset is of another stage, or ``freshness``
        is out of range.
      NotEnoughHistoryError: fewer than MIN_LABELLED labelled graphlets, or
        fewer than MIN_OF_EACH pushed or unpushed ones.
      MissingDependencyError: ydf is not installed.
    """
    check_freshness(freshness)
    if dataset.stage is not stage:
        raise InvalidArgumentError(
            "stage", str(stage), f"the dataset's features are of stage {dataset.stage}"
        )
    labelled = dataset.only_labelled()
    check_enough(labelled)
    # One order of rows, whatever order they came in: the bootstrap depends on it.
    labelled = labelled.take(labelled.time_order)
    pipelines = len(set(labelled.group.tolist()))
    progress = progress or _without_progress
    if pipelines > 1:
        scores = transfer_scores(labelled, seed, settings=settings, progress=progress)
    else:
        scores = forward_scores(
            labelled, seed, settings=settings, chaining=chaining, progress=progress
        )
    forest = train_forest(labelled.table, labelled.needed, settings, seed)
    scored = ~np.isnan(scores)
    model = new_model(
        forest,
        labelled.table,
        training=TrainingRecord(
            first_ms=int(labelled.decision_ms.min()),
            last_ms=int(labelled.decision_ms.max()),
            pushed=int(labelled.pushed.sum()),
            unpushed=int(labelled.unpushed.sum()),
            pipelines=pipelines,
            corpus_fingerprint=labelled.fingerprint(),
            rows=_rows_seen(labelled),
        ),
        settings=settings,
        seed=seed,
        freshness=freshness,
        pushed_scores=scores[scored & labelled.needed],
        unpushed_scores=scores[scored & ~labelled.needed],
        declared=labelled.declared,
    )
    _logger.info("%s", model)
    return model


def _without_progress(done: int, total: int, /) -> None:
    """Looks on at no progress."""


def forward_scores(
    dataset: Dataset,
    seed: int,
    *,
    settings: LearnerSettings = DEFAULT_SETTINGS,
    chaining: ForwardChaining = DEFAULT_CHAINING,
    progress: Callable[[int, int], None] = _without_progress,
) -> FloatArray:
    """Out-of-sample probabilities of a push, in the order of time.

    Args:
      dataset: graphlets; only labelled ones are trained on.
      seed: of the forests.
      settings: how they are grown.
      chaining: how the time is cut.
      progress: see ``train_waste_model``; of all is one forest more than these.

    Returns:
      float64 [n], aligned with the rows; NaN for rows that are not scored:
      those of the initial share, and of a block before which too little was
      known to train on.
    """
    scores = np.full(len(dataset), np.nan)
    order = dataset.time_order
    blocks = [*forward_blocks(len(dataset), chaining)]
    for number, block in enumerate(blocks):
        progress(number, len(blocks) + 1)
        rows = order[block]
        forest = train_on_known(dataset, int(dataset.decision_ms[rows[0]]), seed, settings)
        if forest is not None:
            table = dataset.table.take(rows)
            scores[rows] = with_prior(forest.predict(table), table)
    progress(len(blocks), len(blocks) + 1)
    return scores


def transfer_scores(
    dataset: Dataset,
    seed: int,
    *,
    settings: LearnerSettings = DEFAULT_SETTINGS,
    progress: Callable[[int, int], None] = _without_progress,
) -> FloatArray:
    """Out-of-sample probabilities as a pipeline gets them that joins the others.

    A block of a pipeline is scored by a forest that was trained on all of the
    other pipelines, whatever their clock says, and on the pipeline's own
    earlier blocks. That is how a replay scores a pipeline to which these are
    the history. Above MAX_FOLDS pipelines several are held out together.

    Args:
      dataset: labelled graphlets.
      seed: of the forests.
      settings: how they are grown.
      progress: see ``train_waste_model``; of all is one forest more than these.

    Returns:
      float64 [n], aligned with the rows; NaN where too little was known.
    """
    scores = np.full(len(dataset), np.nan)
    order, group = dataset.time_order, dataset.group
    fold = group % MAX_FOLDS
    block = np.zeros(len(dataset), np.int64)
    for number in np.unique(group):
        mine = order[group[order] == number]
        block[mine] = np.searchsorted(_TRANSFER_EDGES, np.arange(len(mine)) / len(mine), "right")
    parts = [*itertools.product(np.unique(fold), range(len(_TRANSFER_EDGES) + 1))]
    for number, (held_out, at) in enumerate(parts):
        progress(number, len(parts) + 1)
        rows = order[((fold == held_out) & (block == at))[order]]
        known = order[((fold != held_out) | (block < at))[order]]
        if len(rows) and enough(dataset.needed[known]):
            forest = train_forest(dataset.table.take(known), dataset.needed[known], settings, seed)
            table = dataset.table.take(rows)
            scores[rows] = with_prior(forest.predict(table), table)
    progress(len(parts), len(parts) + 1)
    return scores


def forward_blocks(count: int, chaining: ForwardChaining) -> Iterator[slice]:
    """The blocks of forward chaining over ``count`` rows in the order of time."""
    first = min(max(round(count * chaining.initial_share), MIN_LABELLED), count)
    edges = np.unique(np.linspace(first, count, chaining.blocks + 1).round().astype(int))
    for start, end in zip(edges[:-1], edges[1:]):
        yield slice(int(start), int(end))


def train_on_known(
    dataset: Dataset, moment_ms: int, seed: int, settings: LearnerSettings = DEFAULT_SETTINGS
) -> Forest | None:
    """A forest from the outcomes that were known before a moment.

    Returns:
      None where too little was known to learn from (see ``enough``).
    """
    order = dataset.time_order  # whatever order the rows came in
    known = order[(dataset.labelled & (dataset.known_ms < moment_ms))[order]]
    labels = dataset.needed_before(moment_ms)[known]
    if not enough(labels):
        return None
    return train_forest(dataset.table.take(known), labels, settings, seed)


def enough(labels: BoolArray) -> bool:
    """True if rows with these labels (needed or not) are enough to train on."""
    needed = int(labels.sum())
    return len(labels) >= MIN_LABELLED and MIN_OF_EACH <= needed <= len(labels) - MIN_OF_EACH


def check_enough(labelled: Dataset) -> None:
    """Raises NotEnoughHistoryError unless there is enough to train on."""
    if enough(labelled.needed):
        return
    pushed, unpushed = int(labelled.pushed.sum()), int(labelled.unpushed.sum())
    raise NotEnoughHistoryError(
        f"{pushed} pushed and {unpushed} unpushed graphlets are not enough to train a waste "
        f"model: at least {MIN_LABELLED} in all and {MIN_OF_EACH} of each are needed; give "
        "more stores, or wait for more runs",
        pushed,
        unpushed,
    )


def _rows_seen(labelled: Dataset) -> tuple[str, ...]:
    if len(labelled) > MAX_ROWS_NAMED:
        return ()
    return tuple(sorted(short_digests(labelled.row_digests())))


def time_split(dataset: Dataset, share: float) -> tuple[IntArray, IntArray]:
    """A split in which everything learnt from was known before the first test.

    Args:
      dataset: graphlets.
      share: share of rows before the split, in the order of time, 0..1.

    Returns:
      (rows to train on, rows to test on), int64 each; a graphlet of the first
      part whose outcome was not yet known is in neither.
    """
    order = dataset.time_order
    cut = round(len(order) * share)
    before, test = order[:cut], order[cut:]
    if len(test):
        before = before[dataset.known_ms[before] < dataset.decision_ms[test].min()]
    return np.sort(before), np.sort(test)
