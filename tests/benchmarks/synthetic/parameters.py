"""What a synthetic store is like: every figure that is drawn from has its parameter here."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError

# 450,000 models of 3,000 pipelines: the corpus of Xin et al., SIGMOD 2021, section 2.
MODELS_PER_PIPELINE: Final = 150
LONGEST_WINDOW: Final = 7

_SHARES = (
    "cached", "caching_pipelines", "failures", "left_running", "warm_starts", "two_trainers",
    "push_stretch", "reruns", "overlapping", "code_changes", "infra_validators", "bulk_inferrers",
    "tuners", "anomalies",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class StoreParameters:
    """How large a store is, and how often what happens in it. Shares are 0..1.

    >>> StoreParameters(models=450_000).number_of_pipelines
    3000

    Attributes:
      models: Trainer executions in the store, none of them a cache hit; each makes one graphlet.
      pipelines: number of pipelines; None for one per 150 models, as in the paper.
      seed: of all randomness.
      longest_window: spans that a model is trained on, 1 to 7: each pipeline has a window of its
        own from 1 to this. A run ingests one new span and trains on the last ones.
      reruns: share of runs that take no new span, but what the run before took, with new code.
      caching_pipelines: share of pipelines with TFX's cache switched on.
      cached: share of the re-runs of such a pipeline in which ExampleGen, StatisticsGen,
        SchemaGen, ExampleValidator (and Transform, if its code is the same) are cache hits.
      failures: share of runs in which an execution failed, before the Trainer or after.
      left_running: share of runs in which an execution was left RUNNING by a crash.
      warm_starts: share of pipelines whose Trainer starts from the model before.
      two_trainers: share of pipelines that train two models in each run.
      push_rate: mean over the pipelines of the share of models good enough to be pushed.
      push_concentration: of the beta distribution of that share; the higher, the more alike.
      push_stretch: share of models whose fate is that of the model before, whatever the rate.
      overlapping: share of runs that begin before the run before has finished.
      code_changes: share of runs on new spans that also bring new Trainer code.
      infra_validators, bulk_inferrers, tuners: share of pipelines with that component.
      anomalies: share of runs whose ExampleValidator finds anomalies.
      start_ms: when the first pipeline begins, milliseconds since the epoch.

    Raises:
      InvalidArgumentError: a number is out of range, or there are more pipelines than models.
    """

    models: int = 1500
    pipelines: int | None = None
    seed: int = 1
    longest_window: int = LONGEST_WINDOW
    reruns: float = 0.15
    caching_pipelines: float = 0.6
    cached: float = 0.8
    failures: float = 0.06
    left_running: float = 0.005
    warm_starts: float = 0.2
    two_trainers: float = 0.1
    push_rate: float = 0.3
    push_concentration: float = 3.0
    push_stretch: float = 0.4
    overlapping: float = 0.03
    code_changes: float = 0.1
    infra_validators: float = 0.3
    bulk_inferrers: float = 0.05
    tuners: float = 0.05
    anomalies: float = 0.05
    start_ms: int = 1_704_067_200_000  # 2024-01-01

    def __post_init__(self) -> None:
        if self.models < 1:
            raise InvalidArgumentError("models", self.models, "must be 1 or more")
        if self.pipelines is not None and not 1 <= self.pipelines <= self.models:
            raise InvalidArgumentError(
                "pipelines", self.pipelines, f"must be 1 to {self.models}, the number of models"
            )
        if self.seed < 0:
            raise InvalidArgumentError("seed", self.seed, "must be 0 or more")
        if not 1 <= self.longest_window <= LONGEST_WINDOW:
            raise InvalidArgumentError(
                "longest_window", self.longest_window, f"must be 1 to {LONGEST_WINDOW} spans"
            )
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidArgumentError(name, getattr(self, name), "must be a share, 0 to 1")
        if self.failures + self.left_running > 0.9:
            raise InvalidArgumentError(
                "failures", self.failures,
                f"with left_running={self.left_running!r} must be 0.9 at most: runs have to end",
            )  # fmt: skip
        if not 0 < self.push_rate < 1:
            raise InvalidArgumentError("push_rate", self.push_rate, "must be between 0 and 1")
        if not 0 < self.push_concentration < math.inf:
            raise InvalidArgumentError(
                "push_concentration", self.push_concentration, "must be a finite number above 0"
            )
        if self.start_ms < 0:
            raise InvalidArgumentError("start_ms", self.start_ms, "must be 0 or more")

    @property
    def number_of_pipelines(self) -> int:
        """``pipelines``, or its default."""
        if self.pipelines is not None:
            return self.pipelines
        return max(1, round(self.models / MODELS_PER_PIPELINE))
