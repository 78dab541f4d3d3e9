"""Builders: decisions with outcomes, and traces of pipelines whose gate is live."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from tfx_graphlets.monitor.observed import Observation
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Outcome

HOUR_MS = 3_600_000
GATE = "tfx_graphlets.components.waste_gate.WasteGate"
GEN_MS, TRAINER_MS, PUSHER_MS = 100, 1000, 50
OUTCOME_OF = {"P": Outcome.PUSHED, "U": Outcome.UNPUSHED, "F": Outcome.FAILED, "-": None}


def seen(
    outcome: str, *, proceed: bool = True, would_skip: bool = False, **more: object
) -> Observation:
    """A decision and its outcome: P pushed, U unpushed, F failed, - not known."""
    values: dict[str, object] = {
        "time_ms": 0, "stage": "pre", "gate": "WasteGate", "run": "r", "shadow": False,
        "pipeline": "taxi", "exploration": 0.1, "probability": 0.5, "threshold": 0.2,
    }  # fmt: skip
    decision = PastDecision(
        proceed=proceed, would_skip=would_skip or not proceed,
        **{**values, **more},  # type: ignore[arg-type]
    )  # fmt: skip
    return Observation(decision, OUTCOME_OF[outcome])


def numbered(observations: Iterable[Observation]) -> list[Observation]:
    """The observations, each of a run and at a moment of its own."""
    return [
        dataclasses.replace(
            one, decision=dataclasses.replace(one.decision, run=f"r{at}", time_ms=at)
        )
        for at, one in enumerate(observations)
    ]


def simulated(
    runs: int, exploration: float, miss_rate: float, seed: int
) -> tuple[list[Observation], int]:
    """A live gate that skips half of the runs, a share of which would have been pushed.

    Returns:
      What can be seen, and the number of pushes that were truly missed.
    """
    draw = np.random.default_rng(seed)
    ran = {letter: seen(letter, exploration=exploration) for letter in "PU"}
    explored = {
        letter: seen(letter, would_skip=True, explored=True, exploration=exploration)
        for letter in "PU"
    }
    skip = seen("-", proceed=False, exploration=exploration)
    observations, missed = [], 0
    for predicted_skip, pushes, tries in draw.random((runs, 3)).tolist():
        if predicted_skip >= 0.5:
            observations.append(ran["P" if pushes < 0.6 else "U"])
        elif tries < exploration:
            observations.append(explored["P" if pushes < miss_rate else "U"])
        else:
            missed += pushes < miss_rate
            observations.append(skip)
    return observations, missed


@dataclasses.dataclass
class LivePipeline:
    """A pipeline whose runs are decided about, an hour apart.

    Attributes:
      build: what the runs are written to.
      pipeline: its name.
    """

    build: TraceBuilder = dataclasses.field(default_factory=lambda: TraceBuilder(clock_ms=HOUR_MS))
    pipeline: str = "taxi"

    def run(
        self, letter: str, *, stage: str = "pre", gate: str = "WasteGate", **decision: object
    ) -> None:
        """One run: P pushed, U unpushed, S skipped, X explored and pushed, Y explored and not.

        Args:
          letter: what the gate decides, and what becomes of the run.
          stage, gate: which gate; at stage trainer it stands behind the Trainer.
          decision: custom properties in place of the usual ones.
        """
        build, began = self.build, self.build.clock_ms
        run = f"{self.pipeline}-{began // HOUR_MS}"
        examples = self._execution("CsvExampleGen", run, "Examples", {}, GEN_MS)
        predicted_skip = letter in "SXY"
        values: dict[str, object] = {
            "proceed": int(letter != "S"), "would_skip": int(predicted_skip), "shadow": 0,
            "explored": int(letter in "XY"), "exploration": 0.1, "failed_open": 0,
            "probability": 0.1 if predicted_skip else 0.6, "threshold": 0.2, "freshness": 0.9,
            "risk": 0.05, "stage": stage, "gate": gate,
        }  # fmt: skip
        values.update(decision)
        model = 0
        if stage == "trainer":
            model = self._execution("Trainer", run, "Model", {"examples": examples}, TRAINER_MS)
        made = build.artifact("tfx_graphlets.GateDecision", **values)  # type: ignore[arg-type]
        build.execution(
            GATE, outputs={"decision": [made]}, run=run, pipeline=self.pipeline, duration_ms=0
        )
        build.clock_ms += 1  # the Trainer begins after the decision
        if letter != "S":
            inputs = {"examples": examples}
            model = model or self._execution("Trainer", run, "Model", inputs, TRAINER_MS)
            pushed = build.artifact("PushedModel", pushed=int(letter in "PX"))
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]},
                run=run, pipeline=self.pipeline, duration_ms=PUSHER_MS,
            )  # fmt: skip
        build.clock_ms = began + HOUR_MS

    def _execution(
        self, type_name: str, run: str, puts_out: str, inputs: dict[str, int], duration_ms: int
    ) -> int:
        artifact = self.build.artifact(puts_out)
        self.build.execution(
            type_name, inputs={key: [one] for key, one in inputs.items()},
            outputs={puts_out.lower(): [artifact]}, run=run, pipeline=self.pipeline,
            node=type_name, duration_ms=duration_ms,
        )  # fmt: skip
        return artifact

    def runs(self, letters: str, **decision: object) -> LivePipeline:
        """A run for each letter; returns itself."""
        for letter in letters:
            self.run(letter, **decision)  # type: ignore[arg-type]
        return self
