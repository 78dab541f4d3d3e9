"""Policy: from the probability of a push to RUN or SKIP.

Pure: it knows neither traces nor features nor models, reads no clock and draws
no random number. ``freshness.choose_threshold`` says below which probability a
gate may skip so that a stated share of pushes is kept; ``decide`` applies it.

>>> policy = GatePolicy(freshness=0.9, threshold=0.2)
>>> decide(policy, 0.1, GateState(labelled=40, pushes=40)).proceed
False
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decision import (
    Contribution,
    NodeDecision,
    SimilarGraphlet,
    advice_in_words,
    contributions_in_words,
    similar_in_words,
)
from tfx_graphlets.policy.freshness import check_delay, check_freshness

__all__ = ["Contribution", "GateDecision", "GatePolicy", "GateState", "SimilarGraphlet", "decide"]

KEPT: Final = "kept"
DELAY: Final = "delay"
# Up to this multiple of the threshold a run was nearly skipped.
_BARELY: Final = 1.25
_DIGITS: Final = 6  # of the risk: what a store keeps of it, so that every account adds up the same
_FORCE: Final = "Set force_run to have it trained all the same"


@dataclasses.dataclass(frozen=True)
class GatePolicy:
    """What a gate is allowed to do.

    >>> GatePolicy(threshold=0.2, max_consecutive_skips=3).exploration
    0.05
    >>> GatePolicy(threshold=2.0)
    Traceback (most recent call last):
    tfx_graphlets.errors.InvalidArgumentError: threshold=2.0: ...

    Attributes:
      freshness: target share of pushes that are kept, 0..1; ``choose_threshold``
        acts on it, ``decide`` does not look at it.
      promise: "kept": that share is promised; "delay": ``delay`` is, and how many
        pushes are kept follows from how often the pipeline pushes.
      delay: runs that a push may wait on average for the next one that is let
        through, 0 or more (``freshness.DelayLedger``); with ``promise="delay"`` alone.
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
      max_hours_without_attempt: the gate lets it run if the last run that went
        on to its Trainer is at least that long ago, or if there was none;
        None: no limit.
      exploration: share of predicted skips that run anyway, 0..1, so that
        outcomes keep coming where the gate would see none.
      force_run: every run proceeds; what the gate would have done is recorded.
      shadow: decide and record, never skip.

    Raises:
      InvalidArgumentError: a value is outside its range.
    """

    freshness: float = 0.95
    promise: str = KEPT
    delay: float | None = None
    threshold: float | None = None
    min_labelled: int = 5
    min_pushes: int = 1
    max_consecutive_skips: int = 4
    max_staleness_hours: float | None = None
    max_hours_without_attempt: float | None = None
    exploration: float = 0.05
    force_run: bool = False
    shadow: bool = False

    def __post_init__(self) -> None:
        check_freshness(self.freshness)
        if self.promise not in (KEPT, DELAY):
            raise InvalidArgumentError("promise", self.promise, f"must be {KEPT!r} or {DELAY!r}")
        if (self.delay is None) == (self.promise == DELAY):
            raise InvalidArgumentError(
                "delay", self.delay, f"give it with promise={DELAY!r}, and only then"
            )
        if self.delay is not None:
            check_delay(self.delay)
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InvalidArgumentError(
                "threshold", self.threshold, "must be a probability from 0 to 1, or None"
            )
        for name in ("min_labelled", "min_pushes", "max_consecutive_skips"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidArgumentError(name, value, "must be a whole number, 0 or more")
        for name in ("max_staleness_hours", "max_hours_without_attempt"):
            hours = getattr(self, name)
            if hours is not None and not (math.isfinite(hours) and hours > 0):
                raise InvalidArgumentError(
                    name, hours, "must be a finite number of hours above 0, or None"
                )
        if not 0 <= self.exploration <= 1:
            raise InvalidArgumentError(
                "exploration", self.exploration, "must be a share of skips from 0 to 1"
            )


@dataclasses.dataclass(frozen=True)
class GateState:
    """What is known of this pipeline at the moment of the decision.

    >>> state = GateState(labelled=40, pushes=12, hours_since_last_push=30.0)
    >>> state.consecutive_skips
    0

    Attributes:
      labelled: its graphlets whose outcome (pushed or unpushed) is known.
      pushes: those among them that were pushed.
      consecutive_skips: runs that were skipped since the last that ran.
      hours_since_last_push: None where there was no push.
      hours_since_last_attempt: since the last run that went on to its Trainer;
        None where there was none.
      draw: a number drawn uniformly from 0..1 for this run and no other; it is
        explored if that is below the policy's share. None: nothing is explored.
      forced_reason: why this run must proceed, whatever the model says (an
        operator's order, a gate that broke); None: nothing forces it.
      threshold_note: why the policy has no threshold; told in the reason.
    """

    labelled: int = 0
    pushes: int = 0
    consecutive_skips: int = 0
    hours_since_last_push: float | None = None
    hours_since_last_attempt: float | None = None
    draw: float | None = None
    forced_reason: str | None = None
    threshold_note: str | None = None


@dataclasses.dataclass(frozen=True)
class GateDecision:
    """The verdict on one run.

    Attributes:
      proceed: true: run; false: skip.
      would_skip: what the gate would have done were it neither in shadow mode
        nor forced to run.
      probability: of a push, 0..1; None where there is none.
      threshold: the policy's.
      reason: sentences that a person can act on: why, what the most similar
        past graphlets came to, and what to do about it.
      stage: name of the stage at which the gate stands; "" if not given.
      model_fingerprint: of the waste model; "" where there is none.
      contributions: what moved the probability most.
      similar: the most similar past graphlets, and what became of them.
      explored: it proceeds only because skips are explored now and then.
      exploration: share of predicted skips that run anyway, 0..1: the policy's.
      risk: the most by which the run, were it to push, was likely to be
        skipped, 0..1; what a FreshnessLedger asks for.
      freshness: share of pushes that the threshold was chosen to keep, 0..1;
        None where it was not chosen for one.
      nodes: what was found about each Trainer node that the gate stands before;
        empty where ``decide`` was asked about one.
    """

    proceed: bool
    would_skip: bool
    probability: float | None
    threshold: float | None
    reason: str
    stage: str = ""
    model_fingerprint: str = ""
    contributions: tuple[Contribution, ...] = ()
    similar: tuple[SimilarGraphlet, ...] = ()
    explored: bool = False
    exploration: float = 0.0
    risk: float = 0.0
    freshness: float | None = None
    nodes: tuple[NodeDecision, ...] = ()

    def __str__(self) -> str:
        return f"{'RUN' if self.proceed else 'SKIP'}: {self.reason}"


def decide(
    policy: GatePolicy,
    probability: float | None,
    state: GateState,
    *,
    stage: str = "",
    model_fingerprint: str = "",
    contributions: Sequence[Contribution] = (),
    similar: Sequence[SimilarGraphlet] = (),
    risk: float = 0.0,
) -> GateDecision:
    """RUN or SKIP for one run, with the reason.

    >>> policy, known = GatePolicy(threshold=0.2), GateState(labelled=40, pushes=12)
    >>> decide(policy, 0.03, known).proceed, decide(policy, None, known).proceed
    (False, True)

    Monotone: a higher probability never turns RUN into SKIP, a higher
    threshold never SKIP into RUN. Fails open: where something is not known,
    the run proceeds.

    Args:
      policy: what the gate may do.
      probability: of a push; None or NaN where there is no prediction.
      state: what is known of this pipeline.
      stage, model_fingerprint: recorded in the decision.
      contributions, similar: likewise, and told in the reason.
      risk: of the policy's threshold (``freshness.ThresholdChoice.risk``).

    Returns:
      The decision; its risk is 0 where nothing could have been skipped,
      whatever the probability.
    """
    score = probability if probability is not None and math.isfinite(probability) else None
    must_run = _why_it_runs(policy, score, state)
    would_skip = must_run is None
    spared = policy.force_run or policy.shadow or state.forced_reason is not None
    drawn = state.draw is not None and state.draw < policy.exploration
    explored = would_skip and not spared and drawn
    could_skip = score is not None and not spared and _why_it_runs(policy, -1.0, state) is None
    if policy.force_run:
        sentences = ["Runs because the policy forces every run" + _had_skipped(would_skip)]
    elif state.forced_reason is not None:
        forced = state.forced_reason.rstrip(".")
        sentences = [f"Runs because it is forced: {forced}" + _had_skipped(would_skip)]
    elif must_run is not None:
        sentences = [f"Runs because {must_run}"]
        if policy.threshold is not None and score is not None and score >= policy.threshold:
            speaks_for = contributions_in_words(contributions, speak_for=True)
            sentences = [
                sentences[0] + (speaks_for and f": {speaks_for}"),
                similar_in_words(similar),
            ]
    else:
        verdict = "Runs in shadow mode, would be skipped" if policy.shadow else "Skipped"
        if explored:
            verdict = f"Runs to explore ({policy.exploration:.0%} of skips do), would be skipped"
        against = contributions_in_words(contributions, speak_for=False)
        sentences = [
            f"{verdict} because a push is unlikely ({_figures(policy, score)})"
            + (against and f": {against}"),
            similar_in_words(similar),
            advice_in_words(contributions) or _FORCE,
        ]
    return GateDecision(
        proceed=not would_skip or spared or explored,
        would_skip=would_skip,
        probability=score,
        threshold=policy.threshold,
        reason=" ".join(f"{sentence}." for sentence in sentences if sentence),
        stage=stage,
        model_fingerprint=model_fingerprint,
        contributions=tuple(contributions),
        similar=tuple(similar),
        explored=explored,
        exploration=policy.exploration,
        risk=round(risk * (1 - policy.exploration), _DIGITS) if could_skip else 0.0,
    )


def _why_it_runs(policy: GatePolicy, probability: float | None, state: GateState) -> str | None:
    """Why the gate lets it run, if nobody forces it; None: it would skip."""
    if state.labelled < policy.min_labelled:
        return (
            f"this pipeline has only {_counted(state.labelled, 'labelled graphlet')} and the "
            f"policy asks for {policy.min_labelled} (cold start): "
            f"{policy.min_labelled - state.labelled} more to come, or lower min_labelled"
        )
    if state.pushes < policy.min_pushes:
        return (
            f"this pipeline has pushed {_counted(state.pushes, 'model')} and the policy asks for "
            f"{policy.min_pushes} before anything is skipped (min_pushes)"
        )
    if probability is None:
        return "there is no prediction, and without one the gate does not skip"
    if policy.threshold is None:
        note = state.threshold_note or "none was chosen or given"
        return (
            f"the gate has no threshold: {note}; to have it skip now, lower the freshness or set "
            "a threshold"
        )
    if probability >= policy.threshold:
        barely = ", if barely" if probability < _BARELY * policy.threshold else ""
        return (
            f"the probability of a push, {probability:.3f}, is not below the threshold "
            f"{policy.threshold:.3f}{barely}"
        )
    guard_rail = _guard_rail(policy, state)
    if guard_rail is None:
        return None
    return f"{guard_rail}; else it would be skipped ({_figures(policy, probability)})"


def _guard_rail(policy: GatePolicy, state: GateState) -> str | None:
    """Which limit lets a run go on whose push is unlikely, and the setting it comes from."""
    if state.consecutive_skips >= policy.max_consecutive_skips:
        return (
            f"{_counted(state.consecutive_skips, 'run')} in a row had been skipped and the policy "
            f"allows {policy.max_consecutive_skips} (max_consecutive_skips)"
        )
    limit, hours = policy.max_staleness_hours, state.hours_since_last_push
    allows = f"the policy allows {limit:g}" if limit is not None else ""
    if limit is not None and hours is None:
        return f"no push is known and {allows} hours without one (max_staleness_hours)"
    if limit is not None and hours is not None and hours >= limit:
        return f"the last push was {hours:.1f} hours ago and {allows} (max_staleness_hours)"
    limit, hours = policy.max_hours_without_attempt, state.hours_since_last_attempt
    allows = f"the policy allows {limit:g}" if limit is not None else ""
    if limit is not None and hours is None:
        return f"no attempt is known and {allows} hours without one (max_hours_without_attempt)"
    if limit is not None and hours is not None and hours >= limit:
        return (
            f"the last run that went on to train was {hours:.1f} hours ago and {allows} "
            "(max_hours_without_attempt)"
        )
    return None


def _figures(policy: GatePolicy, probability: float | None) -> str:
    return f"probability {probability:.3f}, threshold {policy.threshold:.3f}"


def _had_skipped(would_skip: bool) -> str:
    return " (the gate would have skipped it)" if would_skip else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_BITS = 53  # as many as a float64 holds exactly


def run_draw(seed: int, pipeline: str, run: str, stage: str, *, moment_ms: int) -> float:
    """The draw of a run before a gate, the same for all Trainer nodes of the run.

    Args:
      seed: see ``exploration_draw``.
      pipeline, run: their names; a run without a name (it has not begun, or
        the runner does not tell) is drawn by the moment.
      stage: where the gate stands.
      moment_ms: of the decision, milliseconds since the epoch.
    """
    return exploration_draw(seed, pipeline, run or str(moment_ms), stage)


def exploration_draw(seed: int, *names: str) -> float:
    """A number drawn uniformly for these names.

    Args:
      seed: another one gives other draws for all names.
      names: what the draw is for: pipeline, run, stage. Their borders count:
        ("ab", "c") and ("a", "bc") are drawn apart.

    Returns:
      A number in [0, 1), the same in every process, so that a decision can be
      retraced: the first 53 bits of the SHA-256 of seed and names.

    >>> draw = exploration_draw(0, "my-pipeline", "run-17", "pre")
    >>> 0 <= draw < 1, draw == exploration_draw(0, "my-pipeline", "run-17", "pre")
    (True, True)
    """
    text = json.dumps([seed, *names], ensure_ascii=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return float(int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / float(1 << _BITS)
