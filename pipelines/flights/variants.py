"""The variants of the flights pipeline: what differs between them, and nothing else."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Union

from pipelines.flights import holds
from pipelines.flights.tasks import ARRIVAL, CANCELLATION, MINUTES, RAIN, Task

Setting = Union[int, float, bool, str]


@dataclass(frozen=True)
class VariantConfig:
    """One variant of the pipeline.

    airports: origin airports whose flights it learns from.
    model: "linear", "dnn" or "wide_deep" (their sum); hidden_units: layer widths of the deep part,
      empty for linear.
    window: spans (days) that one model is trained on.
    train_steps: upper bound on training steps of a run.
    minimum_auc: value threshold of a binary task; a model below it is not blessed.
    maximum_loss: value threshold on the task's loss, nats or minutes.
    minimum_gain: change threshold; by how much (nats or minutes) the task's loss must fall below
      that of the latest blessed model on the same evaluation examples; None: no change threshold,
      what is good enough by itself is pushed.
    warm_start: the Trainer starts from the latest blessed model.
    push_interval: runs that must pass after a push before the next one; 0 is no throttle.
    cache: everything before the Trainer may be answered from the cache.
    first_day, number_of_runs, seed: what the recorder replays.
    task: what is predicted. carriers: learn from the flights of these alone; empty for all.
    rule: what else holds a push back, by the schedule's clock.
    trigger_hours: hours of the day at which a run may start; empty: the schedule has no clock, and
      the store keeps the time of the recording.
    trouble: factor on the chances of all that can happen to a run (schedule).
    broken_deployment: number of the first and of the last run in which nothing can be pushed to
      serving.
    settings: what the first commit sets in the settings block of the user's module.
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
    task: Task = ARRIVAL
    carriers: tuple[str, ...] = ()
    rule: holds.Rule | None = None
    trigger_hours: tuple[int, ...] = ()
    trouble: float = 1.0
    broken_deployment: tuple[int, int] | None = None
    settings: tuple[tuple[str, Setting], ...] = ()

    @property
    def throttled(self) -> bool:
        """Whether a good model may be held back."""
        return bool(self.push_interval) or self.rule is not None

    def __post_init__(self) -> None:
        if self.model not in ("linear", "dnn", "wide_deep"):
            raise ValueError(f"model={self.model!r}: must be 'linear', 'dnn' or 'wide_deep'")
        if (self.model == "linear") == bool(self.hidden_units):
            raise ValueError(
                f"hidden_units={self.hidden_units!r}: a deep model needs some, a linear model has "
                "none"
            )
        if self.rule is not None and not self.trigger_hours:
            raise ValueError(
                f"rule={self.rule!r}: needs a clock; name the hours at which runs start "
                "(trigger_hours)"
            )
        if self.window < 1:
            raise ValueError(f"window={self.window!r}: must be at least 1 span")


ALL = ("EWR", "JFK", "LGA")

# Batches larger than the window: every step is dear, and few of them learn no noise.
_SLOWEST = (("BATCH_SIZE", 16384), ("LEARNING_RATE", 0.0004), ("REGULARIZATION", 3e-3))

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
        # Recorded later: more tasks, a clock of the schedule's own, throttles that go by it.
        VariantConfig(
            "flights-ua-linear-w3-hours",
            ALL,
            "linear",
            3,
            dt.date(2013, 3, 11),
            901,
            carriers=("UA",),
            minimum_gain=0.004,
            trigger_hours=(1, 6, 11, 17),
            trouble=0.8,
            rule=holds.HoursBetween(60),
            number_of_runs=30,
        ),
        VariantConfig(
            "minutes-lga-linear-w2-canary",
            ("LGA",),
            "linear",
            2,
            dt.date(2013, 5, 6),
            902,
            task=MINUTES,
            maximum_loss=40.0,
            minimum_gain=0.25,
            trigger_hours=(2, 8, 14, 20),
            rule=holds.Canary(20.0, 70.0, 0.2, 72.0),
            number_of_runs=30,
        ),
        VariantConfig(
            "cancelled-all-linear-w5-weekdays",
            ALL,
            "linear",
            5,
            dt.date(2013, 1, 28),
            903,
            task=CANCELLATION,
            minimum_auc=0.55,
            minimum_gain=0.004,
            trigger_hours=(3, 5),
            rule=holds.WorkingTime((1, 2, 4)),
            number_of_runs=30,
        ),
        VariantConfig(
            "flights-ev-dnn-w1-always",
            ALL,
            "dnn",
            1,
            dt.date(2013, 9, 9),
            905,
            (16,),
            train_steps=100,
            carriers=("EV",),
            minimum_auc=0.3,
            maximum_loss=1.2,
            minimum_gain=None,
            trigger_hours=(4,),
            trouble=0.4,
            number_of_runs=28,
        ),
        VariantConfig(
            "rain-all-wide-w4-experiment",
            ALL,
            "wide_deep",
            4,
            dt.date(2013, 4, 22),
            904,
            (16,),
            train_steps=200,
            task=RAIN,
            minimum_auc=0.55,
            minimum_gain=0.005,
            trigger_hours=(7, 13),
            rule=holds.Experiment((2, 22)),
            number_of_runs=28,
        ),
        # The dear ones: the Trainer takes most of the time, 30 seconds and more.
        VariantConfig(
            "flights-all-deep-w3-dear-seldom",
            ALL,
            "dnn",
            3,
            dt.date(2013, 2, 18),
            921,
            (256, 128),
            train_steps=660,
            minimum_gain=0.12,
            trigger_hours=(1, 4),
            number_of_runs=30,
            settings=_SLOWEST,
        ),
        VariantConfig(
            "cancelled-all-wide-w3-dear-approval",
            ALL,
            "wide_deep",
            3,
            dt.date(2013, 6, 17),
            922,
            (256, 128),
            train_steps=660,
            task=CANCELLATION,
            minimum_auc=0.55,
            minimum_gain=0.002,
            trigger_hours=(3, 9, 12, 15),
            number_of_runs=30,
            rule=holds.Approval(0.7, holds.WorkingTime(from_hour=8, to_hour=18)),
            settings=_SLOWEST,
        ),
        VariantConfig(
            "minutes-b6-deep-w3-dear-business",
            ALL,
            "dnn",
            3,
            dt.date(2013, 6, 3),
            923,
            (256, 128),
            train_steps=660,
            carriers=("B6",),
            task=MINUTES,
            maximum_loss=60.0,
            minimum_gain=0.1,
            trigger_hours=(5, 9, 11, 15, 19),
            rule=holds.WorkingTime(from_hour=9, to_hour=17),
            number_of_runs=30,
            settings=_SLOWEST,
        ),
        VariantConfig(
            "flights-ua-wide-w2-dear-broken",
            ALL,
            "wide_deep",
            2,
            dt.date(2013, 11, 4),
            924,
            (256, 128),
            train_steps=660,
            carriers=("UA", "DL"),
            minimum_gain=0.0,
            trigger_hours=(2, 22),
            broken_deployment=(5, 12),
            number_of_runs=30,
            settings=_SLOWEST,
        ),
        # The ends of a fleet: thresholds seldom met, met nearly always, and another experiment.
        VariantConfig(
            "flights-lga-linear-w2-seldom",
            ("LGA",),
            "linear",
            2,
            dt.date(2013, 9, 3),
            931,
            minimum_auc=0.52,
            maximum_loss=1.0,
            minimum_gain=0.3,
            trigger_hours=(2, 5),
            number_of_runs=60,
        ),
        VariantConfig(
            "flights-jfk-linear-w1-always",
            ("JFK",),
            "linear",
            1,
            dt.date(2013, 3, 25),
            932,
            minimum_auc=0.4,
            maximum_loss=1.5,
            minimum_gain=None,
            trigger_hours=(4, 16),
            trouble=0.35,
            number_of_runs=60,
        ),
        VariantConfig(
            "minutes-ewr-linear-w1-experiment",
            ("EWR",),
            "linear",
            1,
            dt.date(2013, 10, 7),
            933,
            task=MINUTES,
            maximum_loss=60.0,
            minimum_gain=None,
            trigger_hours=(3, 9),
            rule=holds.Experiment((3, 33)),
            number_of_runs=60,
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
