"""The replay of a built history comes to the decisions that its gates recorded, one by one."""

from __future__ import annotations

import dataclasses

import pytest

from tests.backtest.recorded import (
    Key,
    as_rows,
    differences,
    recorded_decisions,
    replayed,
)
from tests.components import waste_models
from tests.gate.test_snapshot import GATE, FixedStore, Wired
from tfx_graphlets.gate.request import GateSettings, Request, TrainerWanted
from tfx_graphlets.gate.run import custom_properties, run_gate
from tfx_graphlets.gate.snapshot import collect
from tfx_graphlets.policy.decide import GateDecision, GatePolicy
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage

pytest.importorskip("ydf")

GATES = {"left": "Gate.left", "right": "Gate.right"}


@dataclasses.dataclass
class GatedRuns:
    """Runs with two Trainers, a gate before each; what they record goes into a trace.

    The right Trainer starts from the left one's Model, where that was trained.
    """

    settings: GateSettings
    # Later than all that the model was trained on, which does not count twice.
    build: TraceBuilder = dataclasses.field(default_factory=lambda: TraceBuilder(10**9))
    moments: dict[Key, int] = dataclasses.field(default_factory=dict)
    inputs: dict[Key, dict[str, list[int]]] = dataclasses.field(default_factory=dict)

    def launch(self, number: int, letters: str, *, force: bool = False) -> None:
        """One run; P: pushed if it is trained, on small input; capitals of W: large input."""
        run = f"run-{number:02d}"
        large = waste_models.WASTED_SPAN if "W" in letters else waste_models.PUSHED_SPAN
        size = f"split:s,num_files:1,total_bytes:{1000 + number + large},xor_checksum:{number}"
        examples = self.artifact("Examples", f"{run}/examples", span=number, input_fingerprint=size)
        self.build.execution("LightExampleGen", outputs={"examples": [examples.id]}, run=run)
        graph = self.artifact("TransformGraph", f"{run}/graph")
        self.build.execution(
            "Transform", inputs={"examples": [examples.id]}, outputs={"graph": [graph.id]}, run=run
        )
        wired = {"examples": examples, "transform_graph": graph}
        for node, letter in zip(GATES, letters):
            model = self.decide(run, node, wired, force=force)
            if model is not None:
                self.push(run, node, model, pushed=letter in "Pw")
                wired["base_model"] = model

    def artifact(self, kind: str, uri: str, **properties: int | str) -> Wired:
        return Wired(self.build.artifact(kind, uri=uri, **properties), uri, kind)

    def decide(self, run: str, node: str, wired: dict[str, Wired], *, force: bool) -> Wired | None:
        """The gate of a node; the Model, if it lets the Trainer run."""
        moment = self.build.clock_ms
        self.moments[run, node] = moment
        self.inputs[run, node] = {key: [one.id] for key, one in wired.items()}
        request = Request(
            Stage.PRE, "pipeline", run, {key: (one,) for key, one in wired.items()},
            trainers=(TrainerWanted(node, "Trainer"),),
        )  # fmt: skip
        history = collect(FixedStore(self.build.trace()), request, moment)
        settings = dataclasses.replace(
            self.settings, gate=GATES[node], trainers=(node,), force_run=force
        )
        decision = run_gate(history, waste_models.by_size, settings)
        self.record(run, decision, settings)
        if not decision.proceed:
            return None
        model = self.artifact("Model", f"{run}/{node}")
        self.build.execution(
            "Trainer", inputs=self.inputs[run, node], outputs={"model": [model.id]}, run=run,
            node=f"pipeline.{node}",
        )  # fmt: skip
        return model

    def record(self, run: str, decision: GateDecision, settings: GateSettings) -> None:
        written = custom_properties(
            decision, gate=settings.gate, shadow=settings.shadow, failed_open=False, seconds=0.0
        )
        artifact = self.build.artifact("tfx_graphlets.GateDecision", **written)
        self.build.execution(GATE, outputs={"decision": [artifact]}, run=run, duration_ms=20)

    def push(self, run: str, node: str, model: Wired, *, pushed: bool) -> None:
        """Evaluator and Pusher."""
        blessing = self.build.artifact("ModelBlessing", blessed=int(pushed))
        self.build.execution(
            "Evaluator", inputs={"model": [model.id]}, outputs={"blessing": [blessing]}, run=run,
            node=f"pipeline.Evaluator.{node}",
        )  # fmt: skip
        destination = self.build.artifact("PushedModel", pushed=int(pushed))
        self.build.execution(
            "Pusher", inputs={"model": [model.id], "model_blessing": [blessing]},
            outputs={"pushed_model": [destination]}, run=run, node=f"pipeline.Pusher.{node}",
        )  # fmt: skip


# A letter for the left and one for the right Trainer: what their data say, and what comes out.
FIRST = "PP uP PP WW WW Wu PP wW WW WW uu WW PP uP WW"
THEN = "WW WW pp PP WW wu WW WW uP PP"
HISTORY = [*FIRST.split(" "), *THEN.split(" ")]
FORCED = 8


@pytest.mark.slow
@pytest.mark.parametrize("shadow", [False, True])
def test_a_replay_takes_the_recorded_decisions(shadow: bool) -> None:
    """Of two nodes with a past, a threshold and an account of their own, skipped runs too."""
    limits = {"freshness": 0.6, "exploration": 0.3, "max_consecutive_skips": 2, "min_labelled": 3}
    runs = GatedRuns(
        GateSettings(Stage.PRE, shadow=shadow, exploration_seed=4, **limits)  # type: ignore[arg-type]
    )
    for number, letters in enumerate(HISTORY):
        runs.launch(number, letters, force=number == FORCED)
    trace = runs.build.trace()
    live = recorded_decisions(trace, Stage.PRE, GATES)
    again = replayed(
        as_rows(trace, runs.moments, Stage.PRE, inputs=runs.inputs),
        waste_models.by_size(),
        GatePolicy(shadow=shadow, **limits),  # type: ignore[arg-type]
        seed=4,
        forced=[(f"run-{FORCED:02d}", node) for node in GATES],
    )
    assert differences(live, again) == []
    assert any("in a row" in one.reason for one in live.values())
    for node in GATES:
        mine = [one for (_, of), one in live.items() if of == node]
        assert len(mine) == len(HISTORY)
        assert {one.proceed for one in mine} == {True, shadow}
        assert any(one.explored for one in mine) != shadow
        assert len({one.threshold for one in mine}) > 2
