"""The pipelines of a store: how many models each trains, and what it is made of."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.parameters import StoreParameters
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray

_HOUR_MS = 3_600_000
# Spread of the sizes of pipelines (of the logarithm): some train a handful, a few thousands.
_SPREAD_OF_SIZES = 0.7
_SHORTEST_PERIOD_MS, _LONGEST_PERIOD_MS = _HOUR_MS // 2, 7 * 24 * _HOUR_MS


def stream(parameters: StoreParameters, purpose: int) -> np.random.Generator:
    """Random numbers for one purpose: those of the others do not move when it draws more."""
    return np.random.Generator(np.random.PCG64([parameters.seed, purpose]))


@dataclasses.dataclass(frozen=True, eq=False)
class Pipelines:
    """Columns over pipelines, shape [number of pipelines].

    Attributes:
      models: int64, Trainer executions.
      lanes: int64, 1 or 2 models a run.
      window: int64, spans that a model is trained on.
      has: bool [pipelines, layout.SLOTS], the nodes that it has.
      caches: bool, TFX's cache is on.
      shares_code: bool, Transform and Trainer are one module file, and change together.
      push_rate: float64, share of models that are good enough.
      scale: float64, factor on all durations.
      period_ms: float64, usual time between the starts of two runs.
      start_ms: int64, when its first run begins.
    """

    models: IntArray
    lanes: IntArray
    window: IntArray
    has: BoolArray
    caches: BoolArray
    shares_code: BoolArray
    push_rate: FloatArray
    scale: FloatArray
    period_ms: FloatArray
    start_ms: IntArray

    def __len__(self) -> int:
        return len(self.models)


def draw_pipelines(parameters: StoreParameters) -> Pipelines:
    """Pipelines with as many models in all as was asked for, at least one each."""
    draw = stream(parameters, 1)
    count = parameters.number_of_pipelines
    models = _sizes(draw.lognormal(0.0, _SPREAD_OF_SIZES, count), parameters.models)
    lanes = 1 + _some(draw, count, parameters.two_trainers)
    window = draw.integers(1, parameters.longest_window + 1, count)
    has = np.ones((count, layout.SLOTS), bool)
    has[:, layout.WINDOW] = window > 1
    has[:, layout.TUNER] = _some(draw, count, parameters.tuners)
    optional = {
        layout.LATEST_MODEL: parameters.warm_starts,
        layout.INFRA_VALIDATOR: parameters.infra_validators,
        layout.BULK_INFERRER: parameters.bulk_inferrers,
    }
    for slot, share in optional.items():
        has[:, slot] = has[:, layout.in_lane(slot, 1)] = _some(draw, count, share)
    has[lanes < layout.LANES, layout.in_lane(layout.FIRST_OF_LANE, 1) :] = False

    concentration = parameters.push_concentration
    push_rate = draw.beta(
        concentration * parameters.push_rate, concentration * (1 - parameters.push_rate), count
    )
    caches = _some(draw, count, parameters.caching_pipelines)
    shares_code = _some(draw, count, 0.5)
    scale = draw.lognormal(0.0, 0.7, count)
    period_ms = draw.lognormal(np.log(6 * _HOUR_MS), 1.0, count)
    period_ms = np.clip(period_ms, _SHORTEST_PERIOD_MS, _LONGEST_PERIOD_MS)
    # Pipelines come and go: they begin one after the other over as long as a usual one lives.
    usual_life_ms = float(np.median(models / lanes * period_ms))
    start_ms = parameters.start_ms + draw.integers(0, max(int(3 * usual_life_ms), 1), count)
    return Pipelines(
        models, lanes, window.astype(np.int64), has, caches, shares_code, push_rate, scale,
        period_ms, start_ms.astype(np.int64),
    )  # fmt: skip


def _some(draw: np.random.Generator, count: int, share: float) -> BoolArray:
    """True for exactly that share of them (rounded), which ones is drawn."""
    chosen = np.zeros(count, bool)
    chosen[draw.permutation(count)[: round(share * count)]] = True
    return chosen


def _sizes(weight: FloatArray, total: int) -> IntArray:
    """Whole numbers of at least 1, in proportion to the weights, with the given sum."""
    left = total - len(weight)
    share = weight / weight.sum() * left
    sizes = np.floor(share).astype(np.int64)
    missing = left - int(sizes.sum())
    sizes[np.argsort(-(share - sizes), kind="stable")[:missing]] += 1
    return sizes + 1
