"""Policy: from the probability of a push to RUN or SKIP.

Pure: it knows neither traces nor features nor models, reads no clock and draws
no random number. ``choose_threshold`` says below which probability a gate may
skip so that a stated share of pushes is kept; ``decide`` applies it.

>>> choice = choose_threshold([0.2, 0.8] * 20, [True] * 40, freshness=0.9)
>>> choice.threshold, choice.pushes_needed
(0.2, 0)
>>> policy = GatePolicy(freshness=0.9, threshold=choice.threshold)
>>> decide(policy, 0.1, GateState(labelled=40, pushes=40)).proceed
False
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError

# Rounding of binary fractions: (1 - 0.9) * 10 must count as 1.
_TOLERANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class GatePolicy:
    """What a gate is allowed to do.

    Attributes:
      freshness: target share of pushes that are kept, 0..1; ``choose_threshold``
        acts on it, ``decide`` does not look at it.
      threshold: the gate skips where the probability of a push is below it,
        0..1; None: it never skips.
      min_labelled: with fewer labelled graphlets of this pipeline the gate
        lets it run (cold start).
      min_pushes: with fewer pushes of this pipeline the gate lets it run: 1
        means that nothing is skipped before a first model is in serving.
      max_consecutive_skips: after so many skips in a row the gate lets it run;
        0 means that it never skips.
      max_staleness_hours: the gate lets it run if the last push is at least
        that long ago, or if there was none; None: no limit.
      force_run: every run proceeds; what the gate would have done is recorded.
      shadow: decide and record, never skip.

    Raises:
      InvalidArgumentError: a value is outside its range.
    """

    freshness: float = 0.95
    threshold: float | None = None
    min_labelled: int = 5
    min_pushes: int = 1
    max_consecutive_skips: int = 10
    max_staleness_hours: float | None = None
    force_run: bool = False
    shadow: bool = False

    def __post_init__(self) -> None:
        check_freshness(self.freshness)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InvalidArgumentError(
                "threshold", self.threshold, "must be a probability from 0 to 1, or None"
            )
        for name in ("min_labelled", "min_pushes", "max_consecutive_skips"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidArgumentError(name, value, "must be a whole number, 0 or more")
        hours = self.max_staleness_hours
        if hours is not None and not (math.isfinite(hours) and hours > 0):
            raise InvalidArgumentError(
                "max_staleness_hours", hours, "must be a finite number of hours above 0, or None"
            )


@dataclasses.dataclass(frozen=True)
class GateState:
    """What is known of this pipeline at the moment of the decision.

    Attributes:
      labelled: its graphlets whose outcome (pushed or unpushed) is known.
      pushes: those among them that were pushed.
      consecutive_skips: runs that were skipped since the last that ran.
      hours_since_last_push: None where there was no push.
      forced_reason: why this run must proceed, whatever the model says (an
        operator's order, a gate that broke); None: nothing forces it.
      threshold_note: why the policy has no threshold; told in the reason.
    """

    labelled: int = 0
    pushes: int = 0
    consecutive_skips: int = 0
    hours_since_last_push: float | None = None
    forced_reason: str | None = None
    threshold_note: str | None = None


@dataclasses.dataclass(frozen=True)
class Contribution:
    """How much one feature moved the probability.

    Attributes:
      feature: its name.
      value: its value as text, ``missing`` where there is none.
      effect: probability minus what it would be had the feature its usual
        value; negative speaks for skipping.
    """

    feature: str
    value: str
    effect: float

    def __str__(self) -> str:
        return f"{self.feature} = {self.value} ({self.effect:+.2f})"


@dataclasses.dataclass(frozen=True)
class GateDecision:
    """The verdict on one run.

    Attributes:
      proceed: true: run; false: skip.
      would_skip: what the gate would have done were it neither in shadow mode
        nor forced to run.
      probability: of a push, 0..1; None where there is none.
      threshold: the policy's.
      reason: one sentence that a person can act on.
      stage: name of the stage at which the gate stands; "" if not given.
      model_fingerprint: of the waste model; "" where there is none.
      contributions: the features that moved the probability most.
    """

    proceed: bool
    would_skip: bool
    probability: float | None
    threshold: float | None
    reason: str
    stage: str = ""
    model_fingerprint: str = ""
    contributions: tuple[Contribution, ...] = ()

    def __str__(self) -> str:
        return f"{'RUN' if self.proceed else 'SKIP'}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and what it rests on.

    Attributes:
      threshold: skip where the probability is below it; None: never skip.
      freshness: the share of pushes that it was chosen to keep.
      pushes: number of pushed graphlets whose out-of-sample scores it rests on.
      pushes_needed: how many more are needed before the freshness can be
        promised; None where no number is enough (freshness 1).
      expected_skips: share of all scored graphlets below the threshold, 0..1;
        NaN where none was scored.
    """

    threshold: float | None
    freshness: float
    pushes: int
    pushes_needed: int | None
    expected_skips: float

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


def choose_threshold(
    probabilities: Sequence[float], pushed: Sequence[bool], freshness: float
) -> ThresholdChoice:
    """The highest threshold that keeps ``freshness`` of pushes in expectation.

    Split conformal risk control: of n scores of pushed graphlets, ascending,
    the k-th with k = floor((1 - freshness) * (n + 1)). The score of a further
    push, exchangeable with these, is below it with probability at most
    k / (n + 1), hence at most 1 - freshness. Where k is 0 there is no
    threshold. Source: Angelopoulos, Bates et al., "Conformal Risk Control",
    ICLR 2024, section 2, with the miss of a push as the loss.

    Args:
      probabilities: out-of-sample probabilities of a push, [n]; a graphlet
        with NaN would run, so it counts as a push that was kept.
      pushed: what became of each, [n].
      freshness: share of pushes to keep, 0..1.

    Returns:
      The choice; its threshold is None where ``freshness`` cannot be promised.

    Raises:
      InvalidArgumentError: lengths differ, or ``freshness`` is out of range.
    """
    check_freshness(freshness)
    scores = np.asarray(probabilities, np.float64)
    labels = np.asarray(pushed, bool)
    if scores.shape != labels.shape:
        raise InvalidArgumentError(
            "pushed", len(labels), f"its length must be that of probabilities, {len(scores)}"
        )
    of_pushes = np.sort(np.where(np.isnan(scores[labels]), np.inf, scores[labels]))
    allowed = math.floor((1 - freshness) * (len(of_pushes) + 1) + _TOLERANCE)
    threshold: float | None = None
    if allowed > len(of_pushes):
        threshold = 1.0  # at freshness 0, which asks for nothing, or nearly so
    elif allowed > 0:
        threshold = min(float(of_pushes[allowed - 1]), 1.0)
    needed: int | None = None
    if freshness < 1:
        needed = max(math.ceil(1 / (1 - freshness) - 1 - _TOLERANCE) - len(of_pushes), 0)
    below = scores < threshold if threshold is not None else np.zeros(len(scores), bool)
    return ThresholdChoice(
        threshold=threshold,
        freshness=freshness,
        pushes=len(of_pushes),
        pushes_needed=needed,
        expected_skips=float(below.mean()) if len(scores) else float("nan"),
    )


def decide(
    policy: GatePolicy,
    probability: float | None,
    state: GateState,
    *,
    stage: str = "",
    model_fingerprint: str = "",
    contributions: Sequence[Contribution] = (),
) -> GateDecision:
    """RUN or SKIP for one run, with the reason.

    Monotone: a higher probability never turns RUN into SKIP, a higher
    threshold never SKIP into RUN. Fails open: where something is not known,
    the run proceeds.

    Args:
      policy: what the gate may do.
      probability: of a push; None or NaN where there is no prediction.
      state: what is known of this pipeline.
      stage, model_fingerprint, contributions: recorded in the decision.

    Returns:
      The decision.
    """
    known = probability is not None and math.isfinite(probability)
    must_run = _why_it_runs(policy, probability if known else None, state)
    would_skip = must_run is None
    if policy.force_run:
        reason = "Runs because the policy forces every run" + _had_skipped(would_skip)
    elif state.forced_reason is not None:
        reason = f"Runs because it is forced: {state.forced_reason.rstrip('.')}"
        reason += _had_skipped(would_skip)
    elif must_run is not None:
        reason = f"Runs because {must_run}"
    else:
        reason = (
            f"{'Runs in shadow mode, would skip' if policy.shadow else 'Skipped'} because the "
            f"probability of a push, {probability:.3f}, is below the threshold "
            f"{policy.threshold:.3f}{_told(contributions)}"
        )
    proceed = not would_skip or policy.force_run or state.forced_reason is not None or policy.shadow
    return GateDecision(
        proceed=proceed,
        would_skip=would_skip,
        probability=probability if known else None,
        threshold=policy.threshold,
        reason=reason + ".",
        stage=stage,
        model_fingerprint=model_fingerprint,
        contributions=tuple(contributions),
    )


def check_freshness(freshness: float) -> None:
    """Raises InvalidArgumentError unless it lies within 0 and 1."""
    if not 0 <= freshness <= 1:
        raise InvalidArgumentError(
            "freshness", freshness, "must be a share of pushes from 0 to 1, for example 0.95"
        )


def _why_it_runs(policy: GatePolicy, probability: float | None, state: GateState) -> str | None:
    """Why the gate lets it run, if nobody forces it; None: it would skip."""
    if state.labelled < policy.min_labelled:
        return (
            f"only {state.labelled} graphlets of this pipeline are labelled and the policy asks "
            f"for {policy.min_labelled} (cold start)"
        )
    if state.pushes < policy.min_pushes:
        return (
            f"this pipeline has pushed {state.pushes} models and the policy asks for "
            f"{policy.min_pushes} before anything is skipped"
        )
    if probability is None:
        return "there is no prediction, and without one the gate does not skip"
    if policy.threshold is None:
        return f"the gate has no threshold: {state.threshold_note or 'none was chosen or given'}"
    if probability >= policy.threshold:
        return (
            f"the probability of a push, {probability:.3f}, is not below the threshold "
            f"{policy.threshold:.3f}"
        )
    if state.consecutive_skips >= policy.max_consecutive_skips:
        return (
            f"{state.consecutive_skips} runs in a row were skipped and the policy allows "
            f"{policy.max_consecutive_skips}"
        )
    limit, hours = policy.max_staleness_hours, state.hours_since_last_push
    if limit is not None and hours is None:
        return f"no push is known and the policy allows {limit:g} hours without one"
    if limit is not None and hours is not None and hours >= limit:
        return f"the last push was {hours:.1f} hours ago and the policy allows {limit:g}"
    return None


def _had_skipped(would_skip: bool) -> str:
    return " (the gate would have skipped it)" if would_skip else ""


def _told(contributions: Sequence[Contribution]) -> str:
    against = [c for c in contributions if c.effect < 0][:3]
    return f"; most against it: {', '.join(map(str, against))}" if against else ""
