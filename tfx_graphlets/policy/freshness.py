"""Promise: below which score a gate may skip and still keep its share of pushes.

``choose_threshold`` bounds the risk of the next push; ``FreshnessLedger`` keeps
account of the risk that was taken so far, so that the share of pushes kept over
the gate's whole life stays at the target, whatever came before.

>>> choice = choose_threshold([0.2, 0.8] * 20, [True] * 40, freshness=0.9)
>>> choice.threshold, choice.pushes_needed
(0.2, 0)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Union

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError

# Rounding of binary fractions: (1 - 0.9) * 10 must count as 1.
_TOLERANCE = 1e-9
# However much was saved up, no push is put at more than so many times the promised risk.
MOST_RISK = 2.5
# Savings pay for no more than so many known pushes below a threshold beyond those that 1 - F
# allows: spent faster, one mistaken belief of a gate that has just become sure costs all of them.
MOST_EXTRA = 2
# What is more likely than not to be pushed is no waste, however safe it were to skip it.
MOST_THRESHOLD = 0.5
_FURTHEST = 10_000  # pushes that "how many more" looks ahead


@dataclasses.dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and what it rests on.

    Attributes:
      threshold: skip where the score is below it; None: never skip.
      freshness: the share of pushes that it was chosen to keep.
      pushes: number of pushed graphlets whose out-of-sample scores it rests on.
      pushes_needed: how many more are needed before the freshness can be
        promised; None where no number is enough (freshness 1).
      expected_skips: share of all scored graphlets below the threshold, 0..1;
        NaN where none was scored.
      risk: the most by which a further push, exchangeable with those, is
        likely to be missed, 0..1; 0 without a threshold.
    """

    threshold: float | None
    freshness: float
    pushes: int
    pushes_needed: int | None
    expected_skips: float
    risk: float = 0.0

    @property
    def note(self) -> str:
        """Why there is no threshold; "" where there is one."""
        if self.threshold is not None:
            return ""
        if self.pushes_needed is None:
            return "no threshold can promise to keep every push"
        return (
            f"a freshness of {self.freshness:g} cannot be promised from {self.pushes} scored "
            f"pushes, {self.pushes_needed} more are needed"
        )

    def __str__(self) -> str:
        if self.threshold is None:
            return f"never skip: {self.note}"
        return (
            f"skip below {self.threshold:.4f}: keeps at least {self.freshness:g} of pushes in "
            f"expectation (from {self.pushes} pushes), skips {self.expected_skips:.0%} of runs"
        )


@dataclasses.dataclass(frozen=True)
class FreshnessLedger:
    """Account of the risk that a gate has taken with pushes so far.

    The promise is about all pushes since the gate stands: of N of them at most
    (1 - F) N are missed in expectation. What was not spent, while the gate still
    learnt, is there for later pushes: the next one may be put at a risk of at most
    (1 - F) (N + 1) minus what was spent, and of MOST_RISK times 1 - F. So the sum of
    the risks never exceeds (1 - F) N, whatever came before.

    It is a budget like that of adaptive conformal inference (Gibbs
    and Candes, NeurIPS 2021), of the stated risk in place of the misses that
    happened to be seen: those of a gate that skips mostly are not.

    Attributes:
      freshness: F, target share of pushes that are kept, 0..1.
      pushes: N, pushes known so far.
      spent: sum of the risks that they were put at.
    """

    freshness: float
    pushes: int = 0
    spent: float = 0.0

    def __post_init__(self) -> None:
        check_freshness(self.freshness)

    @property
    def allowance(self) -> float:
        """The risk that the next push may be put at, 0..1."""
        share = 1 - self.freshness
        left = max(share * (self.pushes + 1) - self.spent, 0.0)
        return float(min(left, MOST_RISK * share, 1.0))

    def after_push(
        self, risk: float, *, censored: bool, runs: int | None = None
    ) -> FreshnessLedger:
        """The account after one more push came to be known.

        Args:
          risk: what it was put at (ThresholdChoice.risk), 0..1; 0 where the
            gate could not skip.
          censored: had it been missed, nobody would know: then it stands for
            1 / (1 - risk) pushes, each at that risk.
          runs: since the push before; it counts for no share of pushes.
        """
        del runs
        spent = risk / (1 - risk) if censored and risk < 1 else risk
        return dataclasses.replace(self, pushes=self.pushes + 1, spent=self.spent + spent)


@dataclasses.dataclass(frozen=True)
class DelayLedger:
    """Account of the delay that a gate has caused to pushes, as far as risk tells.

    What a missed push costs is not the push but the wait: the next run that pushes brings
    a model that is as good. Where every run pushes that is one run, where every tenth
    does it is ten. So a promise of the mean delay lets a gate miss more where pushes are
    frequent, and fewer where they are rare, than one of the share that is kept.

    >>> account = DelayLedger(0.2, pushes=20, runs=38)
    >>> account.wait, round(account.freshness, 6)
    (2.0, 0.9)

    A push at risk p waits on average p times the runs until the next push. That
    number is known once the next push is; until then the mean of those before stands
    for it. The next push may be put at a risk of at most what is left of d (N + 1)
    runs, by the mean wait, so that the sum stays within d N runs after N pushes. The
    waits are those between pushes that were seen: a push that was missed in between
    makes them longer than they were, which is on the safe side.

    Attributes:
      delay: d, runs that a push may wait, on average, 0 or more.
      pushes: N, pushes known so far.
      runs: from the first of them to the latest, skipped ones counted.
      spent: runs that those before the latest waited, in expectation.
      open_risk: odds at which the latest was missed; what it costs is not known yet.
    """

    delay: float
    pushes: int = 0
    runs: int = 0
    spent: float = 0.0
    open_risk: float = 0.0

    def __post_init__(self) -> None:
        check_delay(self.delay)

    @property
    def wait(self) -> float | None:
        """Runs from a push to the next, on average; None while fewer than two are known."""
        return max(self.runs / (self.pushes - 1), 1.0) if self.pushes > 1 else None

    @property
    def freshness(self) -> float:
        """The share of pushes that is kept where each that is missed waits the mean wait, 0..1."""
        return 1.0 - min(self.delay / (self.wait or 1.0), 1.0)

    @property
    def allowance(self) -> float:
        """The risk that the next push may be put at, 0..1; 0 while no wait is known."""
        if self.wait is None:
            return 0.0
        left = self.delay * (self.pushes + 1) - self.spent - self.open_risk * self.wait
        return min(max(left, 0.0) / self.wait, MOST_RISK * self.delay / self.wait, 1.0)

    def after_push(self, risk: float, *, censored: bool, runs: int | None = None) -> DelayLedger:
        """The account after one more push came to be known.

        Args:
          risk: what it was put at (ThresholdChoice.risk), 0..1.
          censored: had it been missed, nobody would know: then it stands for
            1 / (1 - risk) pushes.
          runs: since the push before; the mean wait by default. Of the first push
            it is not looked at.
        """
        since = 0 if not self.pushes else round(self.wait or 1.0) if runs is None else runs
        return dataclasses.replace(
            self,
            pushes=self.pushes + 1,
            runs=self.runs + since,
            spent=self.spent + self.open_risk * since,
            open_risk=risk / (1 - risk) if censored and risk < 1 else risk,
        )


# What was promised, and what is left of it.
Ledger = Union[FreshnessLedger, DelayLedger]


def choose_threshold(
    scores: Sequence[float],
    pushed: Sequence[bool],
    freshness: float,
    *,
    weights: Sequence[float] | None = None,
    ledger: Ledger | None = None,
    most: float = MOST_THRESHOLD,
) -> ThresholdChoice:
    """The highest threshold that keeps ``freshness`` of pushes in expectation.

    Split conformal risk control: of n scores of pushed graphlets, ascending,
    the k-th with k = floor((1 - freshness) * (n + 1)). The score of a further
    push, exchangeable with these, is below it with probability at most
    k / (n + 1), hence at most 1 - freshness. Where k is 0 there is no
    threshold. Source: Angelopoulos, Bates et al., "Conformal Risk Control",
    ICLR 2024, section 2, with the miss of a push as the loss; with weights:
    Tibshirani et al., "Conformal Prediction Under Covariate Shift", NeurIPS
    2019.

    Args:
      scores: out-of-sample scores, the higher the likelier a push, [n]; a
        graphlet with NaN would run, so it counts as a push that was kept.
      pushed: what became of each, [n].
      freshness: share of pushes to keep, 0..1.
      weights: for how many graphlets each stands (an explored one for those
        that were skipped), above 0, [n]; 1 by default, which is also the weight
        of the push to come.
      ledger: the account of the gate so far; its allowance takes the place of
        1 - freshness, for MOST_EXTRA known pushes more at the most. None: that.
      most: no threshold is above it, 0..1.

    Returns:
      The choice; its threshold is None where ``freshness`` cannot be promised.

    Raises:
      InvalidArgumentError: lengths differ, ``freshness`` is out of range or not
        the ledger's, or a weight is not above 0.
    """
    check_freshness(freshness)
    values, labels = np.asarray(scores, np.float64), np.asarray(pushed, bool)
    if values.shape != labels.shape:
        raise InvalidArgumentError(
            "pushed", len(labels), f"its length must be that of scores, {len(values)}"
        )
    stands_for = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    if stands_for.shape != values.shape or not (stands_for > 0).all():
        raise InvalidArgumentError(
            "weights", weights, f"must be {len(values)} numbers above 0, one for each score"
        )
    if ledger is not None and ledger.freshness != freshness:
        raise InvalidArgumentError("ledger", ledger, f"its freshness must be {freshness:g}")
    of_pushes = np.where(np.isnan(values[labels]), np.inf, values[labels])
    order = np.argsort(of_pushes, kind="stable")
    mass = np.cumsum(stands_for[labels][order])
    total = float(mass[-1]) + 1.0 if len(mass) else 1.0
    allowance = 1 - freshness if ledger is None else ledger.allowance
    affordable = min(allowance * total, (1 - freshness) * total + MOST_EXTRA)
    count = int(np.count_nonzero(mass <= affordable + _TOLERANCE))
    threshold, risk = None, 0.0
    if allowance * total + _TOLERANCE >= total:
        threshold, risk = most, 1.0  # at freshness 0, which asks for nothing
    elif count:
        threshold = min(float(of_pushes[order[count - 1]]), most)
        below = int(np.count_nonzero(of_pushes[order] < threshold))
        risk = (float(mass[below - 1]) + 1.0 if below else 1.0) / total
    skipped = values < threshold if threshold is not None else np.zeros(len(values), bool)
    return ThresholdChoice(
        threshold=threshold,
        freshness=freshness,
        pushes=round(total - 1.0),
        pushes_needed=(
            _pushes_needed(total, allowance, freshness, ledger) if threshold is None else 0
        ),
        expected_skips=float(skipped.mean()) if len(values) else float("nan"),
        risk=risk,
    )


def check_freshness(freshness: float) -> None:
    """Raises InvalidArgumentError unless it lies within 0 and 1."""
    if not 0 <= freshness <= 1:
        raise InvalidArgumentError(
            "freshness", freshness, "must be a share of pushes from 0 to 1, for example 0.95"
        )


def check_delay(delay: float) -> None:
    """Raises InvalidArgumentError unless it is a finite number of runs, 0 or more."""
    if not (math.isfinite(delay) and delay >= 0):
        raise InvalidArgumentError(
            "delay", delay, "must be a finite number of runs, 0 or more, for example 0.2"
        )


def _pushes_needed(
    total: float, allowance: float, freshness: float, ledger: Ledger | None
) -> int | None:
    """How many further pushes, all of them kept, until one can be put at risk."""
    if freshness == 1:
        return None
    if ledger is None:
        return max(math.ceil(1 / allowance - _TOLERANCE - total), 0)
    for more in range(_FURTHEST):
        if ledger.allowance * (total + more) + _TOLERANCE >= 1:
            return more
        ledger = ledger.after_push(0.0, censored=False)
    return None
