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
from tfx_graphlets.gate.run import decision_properties, run_gate
from tfx_graphlets.gate.snapshot import collect
from tfx_graphlets.policy.decide import GateDecision, GatePolicy
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage

pytest.importorskip("ydf")

GATES = {"left": "Gate.left", "right": "Gate.right"}
ONE_GATE = "Gate"


@dataclasses.dataclass
class GatedRuns:
    """Runs with two Trainers, a gate before each or before both; what they record is a trace.

    The right Trainer starts from the left one's Model, where that was trained.
    """

    settings: GateSettings
    shared: bool = False
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
        proceeds = self.shared and self.decide(run, tuple(GATES), wired, force=force)
        for node, letter in zip(GATES, letters):
            if proceeds if self.shared else self.decide(run, (node,), wired, force=force):
                wired["base_model"] = self.train(run, node, wired, pushed=letter in "Pw")

    def artifact(self, kind: str, uri: str, **properties: int | str) -> Wired:
        return Wired(self.build.artifact(kind, uri=uri, **properties), uri, kind)

    def decide(
        self, run: str, nodes: tuple[str, ...], wired: dict[str, Wired], *, force: bool
    ) -> bool:
        """The gate of some nodes: whether it lets them run."""
        moment = self.build.clock_ms
        for node in nodes:
            self.moments[run, node] = moment
            self.inputs[run, node] = {key: [one.id] for key, one in wired.items()}
        request = Request(
            Stage.PRE, "pipeline", run, {key: (one,) for key, one in wired.items()},
            trainers=tuple(TrainerWanted(node, "Trainer") for node in nodes),
        )  # fmt: skip
        history = collect(FixedStore(self.build.trace()), request, moment)
        settings = dataclasses.replace(
            self.settings,
            gate=GATES[nodes[0]] if len(nodes) == 1 else ONE_GATE,
            trainers=nodes,
            force_run=force,
        )
        decision = run_gate(history, waste_models.by_size, settings)
        self.record(run, decision, settings)
        return decision.proceed

    def train(self, run: str, node: str, wired: dict[str, Wired], *, pushed: bool) -> Wired:
        """A Trainer, Evaluator and Pusher; the Model."""
        model = self.artifact("Model", f"{run}/{node}")
        inputs = {key: [one.id] for key, one in wired.items()}
        self.build.execution(
            "Trainer", inputs=inputs, outputs={"model": [model.id]}, run=run,
            node=f"pipeline.{node}",
        )  # fmt: skip
        self.push(run, node, model, pushed=pushed)
        return model

    def record(self, run: str, decision: GateDecision, settings: GateSettings) -> None:
        written = decision_properties(
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
@pytest.mark.parametrize(("shadow", "shared"), [(False, False), (True, False), (False, True)])
def test_a_replay_takes_the_recorded_decisions(shadow: bool, shared: bool) -> None:
    """Of two nodes with a past, a threshold and an account of their own, skipped runs too.

    A gate before both lets both run, or none, and what each would have come to alone counts.
    """
    limits = {"freshness": 0.93, "exploration": 0.3, "max_consecutive_skips": 2, "min_labelled": 3}
    settings = GateSettings(Stage.PRE, shadow=shadow, exploration_seed=4, **limits)  # type: ignore[arg-type]
    runs = GatedRuns(settings, shared)
    for number, letters in enumerate(HISTORY):
        runs.launch(number, letters, force=number == FORCED)
    trace = runs.build.trace()
    gates = dict.fromkeys(GATES, ONE_GATE) if shared else GATES
    live = recorded_decisions(trace, Stage.PRE, gates)
    again = replayed(
        as_rows(trace, runs.moments, Stage.PRE, inputs=runs.inputs),
        waste_models.by_size(),
        GatePolicy(shadow=shadow, **limits),  # type: ignore[arg-type]
        seed=4,
        forced=[(f"run-{FORCED:02d}", node) for node in GATES],
        shared=shared,
    )
    assert differences(live, again) == []
    assert any("in a row" in one.reason for one in live.values())
    for node in GATES:
        mine = [one for (_, of), one in live.items() if of == node]
        assert len(mine) == len(HISTORY)
        assert {one.proceed for one in mine} == {True, shadow}
        assert any(one.explored for one in mine) != shadow
        assert len({one.threshold for one in mine}) > 1
    # In shadow mode nothing is spent: a threshold comes with the pushes, and stays.
    assert len({one.threshold for one in live.values()}) > (1 if shadow else 2)
    if shared:
        reasons = {one.reason.partition(".")[0] for one in live.values()}
        assert reasons >= {"For left and right alike"}
        assert any(one.risk == 0 for one in live.values() if one.threshold is not None)
