"""Whether a new waste model takes the place of the one in service: figures in, a verdict out."""

from __future__ import annotations

import dataclasses

from tfx_graphlets.waste_model.metrics import promise_kept

MIN_GRAPHLETS = 10  # of fewer newest graphlets nothing is concluded
MIN_PUSHES = 2  # nor of fewer pushes among them
MOST_ERROR = 0.01  # by how much the mean squared error of the probability may grow
SIGNIFICANCE = 0.05  # below it as many missed pushes as were seen are no accident


@dataclasses.dataclass(frozen=True)
class Trial:
    """One model on the newest graphlets, none of which it was trained on.

    Attributes:
      graphlets: how many, pushed or unpushed.
      pushes: how many of them were pushed.
      missed: how many of these the model's own threshold would have skipped.
      threshold: the model skips below it; None: it never skips.
      brier: mean squared error of its probability, 0..1.
      auc: probability that a push scores above a non-push, 0..1; NaN with one kind only.
      waste_removed: share of what a gate at this stage could save of these graphlets that the
        threshold would have saved, 0..1; NaN where nothing could be saved.
      why_no_threshold: a sentence; "" where it has one.
    """

    graphlets: int
    pushes: int
    missed: int
    threshold: float | None
    brier: float
    auc: float
    waste_removed: float
    why_no_threshold: str = ""

    def __str__(self) -> str:
        return (
            f"{self.missed} of {self.pushes} pushes missed in {self.graphlets} graphlets, "
            f"error {self.brier:.3f}, AUC {self.auc:.3f}, waste removed {self.waste_removed:.1%}"
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether the new model is put in service.

    Attributes:
      replace: True if it is.
      reason: a sentence for people.
    """

    replace: bool
    reason: str


def judge(new: Trial, serving: Trial | None, *, freshness: float) -> Verdict:
    """Says whether a new model takes the place of the one in service.

    It does if all of this holds on the newest graphlets, which neither has learnt from:

    1. there are at least MIN_GRAPHLETS, with at least MIN_PUSHES pushes;
    2. it can skip at all: its threshold promises the freshness;
    3. it keeps the promise: as many missed pushes as it has would not be an accident of
       probability below SIGNIFICANCE if it missed each push with probability 1 - freshness. Or,
       if it does not, it misses no more of them than the model in service;
    4. its error is at most that of the model in service plus MOST_ERROR.

    A first model needs 1 to 3 alone, without the "or". Waste removed and AUC are shown and decide
    nothing: on so few graphlets a single skip moves them by percents.

    Args:
      new: the new model's trial.
      serving: that of the model in service on the same graphlets; None where there is none.
      freshness: share of pushes that was promised, 0..1.

    Raises:
      ValueError: the two trials are not on the same graphlets.
    """
    if serving and (serving.graphlets, serving.pushes) != (new.graphlets, new.pushes):
        raise ValueError(f"serving={serving!r}: must be tried on the graphlets of the new model")
    if new.graphlets < MIN_GRAPHLETS or new.pushes < MIN_PUSHES:
        return Verdict(
            False,
            f"{new.graphlets} new graphlets with {new.pushes} pushes are too few to judge by: "
            f"{MIN_GRAPHLETS} and {MIN_PUSHES} are needed",
        )
    if new.threshold is None:
        return Verdict(False, f"the new model would never skip: {new.why_no_threshold}")
    kept = new.pushes - new.missed
    promise = promise_kept(freshness, kept, new.pushes, significance=SIGNIFICANCE)
    misses = f"it misses {new.missed} of {new.pushes} pushes, and promises to keep {freshness:g}"
    if serving is None:
        if not promise["consistent"]:
            return Verdict(False, f"the first model breaks its promise: {misses}")
        return Verdict(True, f"the first model: {misses}")
    if not promise["consistent"] and new.missed > serving.missed:
        return Verdict(
            False,
            f"the new model breaks its promise: {misses}; the model in service misses "
            f"{serving.missed}",
        )
    errors = f"its error is {new.brier:.3f}, that of the model in service {serving.brier:.3f}"
    if new.brier > serving.brier + MOST_ERROR:
        return Verdict(False, f"the new model is worse: {errors}")
    return Verdict(True, f"the new model is not worse: {misses}; {errors}")
