"""A first gate and a Rehearsal for Trainers whose pipeline is gated in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel

from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.rehearsal.component import Rehearsal
from tfx_graphlets.components.trainers import Wiring
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.rehearsal import Mode
from tfx_graphlets.vocabulary import Role, Stage

_CODE: Final = ("module_path", "module_file", "run_fn", "train_args", "eval_args", "custom_config")


def halved(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of each of two gates in a row that together keep what one would.

    Each may miss half of the pushes that the freshness lets miss, or cause half of the delay.

    Raises:
      InvalidArgumentError: neither freshness nor threshold is a number, so that
        they cannot be shared.
    """
    if isinstance(gate.get("threshold"), (int, float)):
        return dict(gate)
    freshness, delay = gate.get("freshness"), gate.get("delay")
    if isinstance(delay, (int, float)):
        return {**gate, "delay": float(delay) / 2.0}
    if not isinstance(freshness, (int, float)):
        raise InvalidArgumentError(
            "freshness",
            freshness,
            "must be a number with a rehearsal, because two gates share the pushes it lets miss",
        )
    return {**gate, "freshness": 1.0 - (1.0 - float(freshness)) / 2.0}


def rehearsal_problems(wiring: Wiring, group: Sequence[str], stage: Stage) -> list[str]:
    """Why some Trainers cannot be rehearsed; empty where they can."""
    if stage not in (Stage.INPUT, Stage.PRE):
        return [f"A rehearsal stands before the Trainer, at input or pre, not at {stage.value}."]
    if len(group) > 1:
        return [f"{' and '.join(group)} share one gate, and a rehearsal is of one Trainer."]
    if _evaluator(wiring, group[0], stage) is None:
        return [
            (
                f"No Evaluator with an eval_config, and examples made before the gate, judges "
                f"{group[0]}: a rehearsal has nothing to measure by."
            )
        ]
    return []


def rehearsal_nodes(
    wiring: Wiring,
    trainer: str,
    stage: Stage,
    generator: GraphletGen,
    mode: Mode,
    gate: Mapping[str, Any],
    of: str,
) -> tuple[WasteGate, Rehearsal]:
    """The first gate and the Rehearsal behind it.

    Args:
      wiring: of the pipeline.
      trainer: node id of the Trainer, one of which ``rehearsal_problems`` says nothing.
      stage: input or pre.
      generator: whose snapshot both read.
      mode: of the rehearsal.
      gate: arguments of the first gate.
      of: what the nodes' ids end with.
    """
    evaluator = _evaluator(wiring, trainer, stage)
    if evaluator is None:
        raise AssertionError
    first = WasteGate(graphlets=generator.outputs[keys.GRAPHLETS], stage=stage, **gate).with_id(
        f"FirstWasteGate{of}"
    )
    node, gated = wiring.nodes[trainer], wiring.gated_at(trainer, stage)
    wired = {
        key: channel
        for key, channel in node.inputs.items()
        if key in keys.TRAINER_INPUTS[1:] and not wiring.sources(channel) & gated
    }
    model = evaluator.inputs.get("baseline_model")
    if model is not None and not wiring.sources(model) & gated:
        wired[keys.MODEL] = model
    splits = json.loads(str(evaluator.exec_properties.get("example_splits") or "null"))
    rehearsal = Rehearsal(
        graphlets=generator.outputs[keys.GRAPHLETS],
        decision=first.outputs[keys.DECISION],
        examples=evaluator.inputs["examples"],
        eval_config=str(evaluator.exec_properties["eval_config"]),
        mode=mode,
        stage=stage,
        train_splits=_train_splits(node),
        example_splits=splits or ("eval",),
        trainer=trainer,
        code=_code_of(node),
        **wired,
    ).with_id(f"Rehearsal{of}")
    return first, rehearsal


def _evaluator(wiring: Wiring, trainer: str, stage: Stage) -> BaseNode | None:
    """What judges a Trainer's model, by an eval_config on examples that are there in time.

    Of several the one that a Pusher listens to.
    """
    gated = wiring.gated_at(trainer, stage)
    listened_to = _listened_to(wiring)
    judges = wiring.of_role(Role.MODEL_VALIDATOR)
    for name in sorted(judges, key=lambda one: one not in listened_to):
        node = wiring.nodes[name]
        examples: BaseChannel | None = node.inputs.get("examples")
        if (
            name in wiring.descendants([trainer])
            and isinstance(node.exec_properties.get("eval_config"), str)
            and examples is not None
            and examples.type is standard_artifacts.Examples
            and not wiring.sources(examples) & gated
        ):
            return node
    return None


def _listened_to(wiring: Wiring) -> set[str]:
    """Ids of the nodes whose ModelBlessing some Pusher takes in."""
    return {
        source
        for pusher in wiring.of_role(Role.PUSHER)
        for channel in wiring.nodes[pusher].inputs.values()
        if channel.type is standard_artifacts.ModelBlessing
        for source in wiring.sources(channel)
    }


def _train_splits(trainer: BaseNode) -> Sequence[str]:
    given = trainer.exec_properties.get("train_args")
    splits = json.loads(given).get("splits") if isinstance(given, str) else None
    return splits or ("train",)


def _code_of(trainer: BaseNode) -> dict[str, str] | None:
    """The Trainer's execution properties, if they name code and arguments as plain text."""
    found = {
        name: str(value)
        for name in _CODE
        if isinstance(value := trainer.exec_properties.get(name), str) and value
    }
    has_code = {"module_path", "module_file", "run_fn"} & found.keys()
    return found if has_code and "train_args" in found else None
