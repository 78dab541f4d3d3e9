"""A replay of what a live gate left comes to the live gate's decisions, one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx.dsl.components.base.base_node import BaseNode

from tests.backtest.recorded import as_rows, differences, recorded_decisions, replayed
from tests.components import waste_models
from tests.components.runs import LightPipeline
from tfx_graphlets import open_store
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.vocabulary import Stage

pytestmark = [pytest.mark.tfx, pytest.mark.long]

# W: large input, which the model knows as waste, P: small input; a small letter: not as it says.
RUNS = "PWPWPWwPWWWWWPWWpWPWW"
FORCED = 13


def test_a_replay_takes_the_decisions_of_the_live_gate(tmp_path: Path) -> None:
    """Probability, threshold, risk, skip, exploration and reason, of every run of a real store."""
    pipeline = LightPipeline(tmp_path)
    model = waste_models.by_size()
    directory = waste_models.saved(tmp_path / "model")
    limits = {"exploration": 0.3, "max_consecutive_skips": 3, "min_labelled": 3}

    def gate(force: bool) -> Callable[[GraphletGen], list[BaseNode]]:
        return lambda generator: [
            WasteGate(
                graphlets=generator.outputs["graphlets"], model_directory=directory,
                freshness=0.6, force_run=force, **limits,
            )
        ]  # fmt: skip

    for number, letter in enumerate(RUNS):
        wasted = letter.upper() == "W"
        span = number + (waste_models.WASTED_SPAN if wasted else waste_models.PUSHED_SPAN)
        blessed = int(letter in "Pw")
        pipeline.run(gate(number == FORCED), span=span, blessed=blessed)
    with open_store(str(pipeline.store_file)) as store:
        trace = store.read_trace()
        live = recorded_decisions(trace, Stage.PRE, {"Trainer": "WasteGate"})
        moments = {(history.run, "Trainer"): history.read_ms for history in pipeline.histories()}
        dataset = as_rows(trace, moments, Stage.PRE, store.payloads)
        again = replayed(
            dataset,
            model,
            GatePolicy(freshness=0.6, **limits),
            forced=[list(live)[FORCED]],
        )
    assert differences(live, again) == []
    reasons = [
        "has only", "is not below the threshold", "Skipped because a push is unlikely",
        "the policy forces every run",
    ]  # fmt: skip
    assert [text for text in reasons if not any(text in one.reason for one in live.values())] == []
    # Which runs are explored follows from their names, which tell the time.
    assert any(one.explored or "in a row" in one.reason for one in live.values())
    assert len({one.threshold for one in live.values()}) > 2
