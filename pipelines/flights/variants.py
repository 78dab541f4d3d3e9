"""The variants of the flights pipeline: what differs between them, and nothing else."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class VariantConfig:
    """One variant of the pipeline.

    airports: origin airports whose flights it learns from.
    model: "linear" or "dnn"; hidden_units: layer widths of the dnn, empty for linear.
    window: spans (days) that one model is trained on.
    train_steps: upper bound on training steps of a run.
    minimum_auc: value threshold; a model below it is not blessed.
    maximum_loss: value threshold on the mean binary cross-entropy, nats.
    minimum_gain: change threshold; by how many nats the mean binary cross-entropy must fall below
      that of the latest blessed model on the same evaluation examples; None: no change threshold,
      what is good enough by itself is pushed.
    warm_start: the Trainer starts from the latest blessed model.
    push_interval: runs that must pass after a push before the next one; 0 is no throttle.
    cache: everything before the Trainer may be answered from the cache.
    first_day, number_of_runs, seed: what the recorder replays.
    """

    name: str
    airports: tuple[str, ...]
    model: str
    window: int
    first_day: dt.date
    seed: int
    hidden_units: tuple[int, ...] = ()
    train_steps: int = 300
    minimum_auc: float = 0.58
    maximum_loss: float = 0.75
    minimum_gain: float | None = 0.02
    warm_start: bool = False
    push_interval: int = 0
    cache: bool = False
    number_of_runs: int = 48

    def __post_init__(self) -> None:
        if self.model not in ("linear", "dnn"):
            raise ValueError(f"model={self.model!r}: must be 'linear' or 'dnn'")
        if (self.model == "dnn") != bool(self.hidden_units):
            raise ValueError(
                f"hidden_units={self.hidden_units!r}: a dnn needs some, a linear model has none"
            )
        if self.window < 1:
            raise ValueError(f"window={self.window!r}: must be at least 1 span")


ALL = ("EWR", "JFK", "LGA")

VARIANTS = {
    variant.name: variant
    for variant in (
        VariantConfig("flights-jfk-linear-w5", ("JFK",), "linear", 5, dt.date(2013, 1, 14), 501),
        VariantConfig(
            "flights-ewr-dnn-w7",
            ("EWR",),
            "dnn",
            7,
            dt.date(2013, 2, 11),
            702,
            (24, 12),
            train_steps=100,
        ),
        VariantConfig(
            "flights-lga-linear-w7-warm",
            ("LGA",),
            "linear",
            7,
            dt.date(2013, 4, 1),
            703,
            minimum_gain=0.01,
            warm_start=True,
        ),
        VariantConfig("flights-all-linear-w3", ALL, "linear", 3, dt.date(2013, 5, 20), 304),
        VariantConfig(
            "flights-all-dnn-w5-throttle",
            ALL,
            "dnn",
            5,
            dt.date(2013, 8, 5),
            505,
            (32, 16),
            train_steps=100,
            minimum_gain=0.008,
            push_interval=2,
        ),
        VariantConfig(
            "flights-jfk-dnn-w5-cached",
            ("JFK",),
            "dnn",
            5,
            dt.date(2013, 9, 30),
            506,
            (24, 12),
            train_steps=100,
            cache=True,
        ),
        VariantConfig(
            "flights-lga-linear-w1-value",
            ("LGA",),
            "linear",
            1,
            dt.date(2013, 2, 4),
            811,
            minimum_auc=0.6,
            minimum_gain=None,
        ),
        VariantConfig(
            "flights-jfk-linear-w1-tie",
            ("JFK",),
            "linear",
            1,
            dt.date(2013, 6, 10),
            812,
            minimum_auc=0.6,
            minimum_gain=0.0,
        ),
        VariantConfig(
            "flights-ewr-linear-w2-tie",
            ("EWR",),
            "linear",
            2,
            dt.date(2013, 7, 8),
            813,
            minimum_auc=0.6,
            minimum_gain=0.0,
        ),
        VariantConfig(
            "flights-all-linear-w4-cached",
            ALL,
            "linear",
            4,
            dt.date(2013, 3, 4),
            814,
            minimum_gain=0.005,
            cache=True,
        ),
        VariantConfig(
            "flights-lga-dnn-w3",
            ("LGA",),
            "dnn",
            3,
            dt.date(2013, 9, 2),
            815,
            (16,),
            train_steps=100,
            minimum_gain=0.005,
        ),
        VariantConfig(
            "flights-ewr-linear-w1-value",
            ("EWR",),
            "linear",
            1,
            dt.date(2013, 10, 21),
            816,
            minimum_auc=0.62,
            minimum_gain=None,
        ),
    )
}


def get_variant(name: str) -> VariantConfig:
    """The variant of that name.

    Raises:
      ValueError: there is none.
    """
    if name not in VARIANTS:
        raise ValueError(f"variant={name!r}: choose one of {sorted(VARIANTS)!r}")
    return VARIANTS[name]
