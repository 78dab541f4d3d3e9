"""Trains the waste model anew from archives; puts it in service if it proves to be no worse."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.upkeep import judgement
from pipelines.upkeep.judgement import Trial, Verdict, judge
from pipelines.upkeep.service import model_in_service, put_in_service
from tfx_graphlets import Stage, open_store, segment, train_waste_model
from tfx_graphlets.errors import InvalidArgumentError, NotEnoughHistoryError
from tfx_graphlets.gate.record import past_decisions
from tfx_graphlets.gate.snapshot import without_cut_short
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.policy.freshness import check_freshness
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.waste_model import Dataset, WasteModel, metrics
from tfx_graphlets.waste_model.metrics import WasteMeter
from tfx_graphlets.waste_model.training import time_split


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is trained, and how it is tried.

    Attributes:
      stage: the stage of the gates that read the model.
      freshness: share of pushes that its threshold is to keep, 0..1.
      seed: of training: same history, same model.
      newest_share: share of the graphlets, the newest of them, on which a model is tried: of those
        that the model in service has not learnt from, or of all where there is none; 0..1.
    """

    stage: Stage = Stage.PRE
    freshness: float = 0.95
    seed: int = 0
    newest_share: float = 0.3

    def __post_init__(self) -> None:
        check_freshness(self.freshness)
        if not 0 < self.newest_share < 1:
            raise InvalidArgumentError("newest_share", self.newest_share, "must be between 0 and 1")


@dataclasses.dataclass(frozen=True)
class Retraining:
    """What came of one retraining.

    Attributes:
      replaced: True if the new model is in service now.
      reason: why, or why not: a sentence.
      graphlets: labelled graphlets in the archives.
      fingerprint: of the model in service afterwards; "" where there is none.
      new, serving: the trials; None where there was none.
    """

    replaced: bool
    reason: str
    graphlets: int
    fingerprint: str
    new: Trial | None = None
    serving: Trial | None = None

    def __str__(self) -> str:
        head = "New model in service" if self.replaced else "The model in service stays"
        if not self.fingerprint:
            head = "No model in service"
        lines = [f"{head}: {self.reason} (from {self.graphlets} graphlets)"]
        for name, trial in (("new", self.new), ("in service", self.serving)):
            if trial is not None:
                lines.append(f"  {name}: {trial}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; NaN as None."""
        return {
            key: {name: _or_none(one) for name, one in value.items()}
            if isinstance(value, dict)
            else value
            for key, value in dataclasses.asdict(self).items()
        }


def retrain(
    archives: Sequence[str | os.PathLike[str]], model_directory: Path, settings: Settings
) -> Retraining:
    """Trains from archives; the new model is put in service if ``judge`` says so.

    What is tried is a model that knows no more than what was known before the newest graphlets,
    with the threshold that it would have had. What is put in service is trained in the same way
    from all of them.

    Args:
      archives: of this pipeline's store first, then of others: history to learn from.
      model_directory: where gates read the model.
      settings: what is trained.

    Returns:
      What came of it. Too little history, and a model that is worse, are no errors.

    Raises:
      StoreError: an archive cannot be read; the model in service stays.
      ModelFormatError: the directory holds what is no waste model, or one of another stage.
      ReplacedMeanwhileError: another program was faster.
      OSError: the model cannot be written.
    """
    serving, problem = model_in_service(model_directory, settings.stage)
    before = "" if serving is None else serving.fingerprint
    dataset = read_archives(archives, settings.stage)
    labelled = dataset.only_labelled()

    def stays(reason: str, *trials: Trial | None) -> Retraining:
        told = f"{reason}; {problem}" if problem else reason
        return Retraining(False, told, len(labelled), before, *trials)

    if serving is not None and _is_the_same(serving, labelled, settings):
        return stays("nothing new to learn from")
    try:
        new, old, verdict = _try_out(labelled, serving, settings)
    except NotEnoughHistoryError as error:
        return stays(str(error))
    if not verdict.replace:
        return stays(verdict.reason, new, old)
    model = train_waste_model(labelled, settings.stage, settings.freshness, settings.seed)
    if model.threshold.threshold is None:
        return stays(f"the new model would never skip: {model.threshold.note}", new, old)
    put_in_service(model, model_directory, expected=before)
    return Retraining(True, verdict.reason, len(labelled), model.fingerprint, new, old)


def read_archives(archives: Sequence[str | os.PathLike[str]], stage: Stage) -> Dataset:
    """All graphlets of the archives, described for a stage.

    Raises:
      StoreError: one cannot be read.
      InvalidArgumentError: one is named twice.
    """
    datasets = []
    with contextlib.ExitStack() as stores:
        for archive in archives:
            store = stores.enter_context(open_store(archive))
            trace = store.read_trace()
            graphlets = segment(without_gates(trace))
            dataset = Dataset.describe(graphlets, stage, store.payloads, store.name)
            # What a gate behind the Trainer has cut short has no outcome to learn from.
            datasets.append(without_cut_short(dataset, past_decisions(trace)))
    return Dataset.concatenate(datasets)


def newest(
    labelled: Dataset, serving: WasteModel | None, share: float
) -> tuple[IntArray, IntArray]:
    """The graphlets that a model is tried on, and what was known before the first of them.

    Args:
      labelled: pushed and unpushed graphlets.
      serving: the model in service; what was decided about until the last graphlet that it has
        learnt from is not tried on.
      share: of the rest, the newest so many, 0..1.

    Returns:
      (rows to train on, rows to try on), int64 each.
    """
    learnt_ms = -1 if serving is None else serving.manifest.training.last_ms
    unseen = int((labelled.decision_ms > learnt_ms).sum())
    # Where few are new, all of them are needed to judge by.
    least = 0 if serving is None else min(unseen, 2 * judgement.MIN_GRAPHLETS)
    tried = max(round(share * unseen), least)
    return time_split(labelled, 1 - tried / max(len(labelled), 1))


def _try_out(
    labelled: Dataset, serving: WasteModel | None, settings: Settings
) -> tuple[Trial, Trial | None, Verdict]:
    known, tried = newest(labelled, serving, settings.newest_share)
    test = labelled.take(tried)
    if not len(test):
        raise NotEnoughHistoryError("no graphlet is new since the model in service was made", 0, 0)
    model = train_waste_model(
        labelled.take(known), settings.stage, settings.freshness, settings.seed
    )
    new = trial(model, test, settings.freshness)
    old = None if serving is None else trial(serving, test, settings.freshness)
    return new, old, judge(new, old, freshness=settings.freshness)


def trial(model: WasteModel, test: Dataset, freshness: float) -> Trial:
    """A model on graphlets that it has not learnt from.

    Args:
      model: the model.
      test: labelled graphlets.
      freshness: what its threshold is to promise, 0..1.
    """
    choice = model.threshold_for(freshness)
    score = model.predict(test.table)
    skipped = score < (choice.threshold or 0.0)
    meter = WasteMeter(test.sources, test.stage)
    removable = meter.removed(test.skips_by_store(test.unpushed))
    removed = meter.removed(test.skips_by_store(skipped))
    return Trial(
        graphlets=len(test),
        pushes=int(test.pushed.sum()),
        missed=int((skipped & test.pushed).sum()),
        threshold=choice.threshold,
        brier=metrics.brier_score(test.pushed, score),
        auc=metrics.area_under_curve(test.pushed, score),
        waste_removed=removed / removable if removable > 0 else math.nan,
        why_no_threshold=choice.note,
    )


def _is_the_same(serving: WasteModel, labelled: Dataset, settings: Settings) -> bool:
    manifest = serving.manifest
    return (manifest.training.corpus_fingerprint, manifest.freshness, manifest.seed) == (
        labelled.fingerprint(), settings.freshness, settings.seed,
    )  # fmt: skip


def _or_none(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
