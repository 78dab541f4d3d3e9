"""Rehearsal: what small models say of the model that is about to be trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Union

from google.protobuf import json_format
from google.protobuf.message import Message
from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec
from tfx.types import component_spec

from tfx_graphlets.components import artifacts
from tfx_graphlets.components.drivers import FreshDriver
from tfx_graphlets.components.rehearsal.executor import RehearsalExecutor
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import check_stage, given
from tfx_graphlets.rehearsal import Mode
from tfx_graphlets.vocabulary import Stage

_standard = tfx.types.standard_artifacts
DEFAULT_STEPS_SHARE = 0.1


class RehearsalSpec(component_spec.ComponentSpec):
    """Interface of Rehearsal."""

    PARAMETERS: ClassVar[Mapping[str, component_spec.ExecutionParameter]] = {
        keys.STAGE: component_spec.ExecutionParameter(type=str),
        keys.MODE: component_spec.ExecutionParameter(type=str),
        keys.EVAL_CONFIG: component_spec.ExecutionParameter(type=str),
        keys.TRAIN_SPLITS: component_spec.ExecutionParameter(type=str),
        keys.EXAMPLE_SPLITS: component_spec.ExecutionParameter(type=str),
        keys.TRAINER: component_spec.ExecutionParameter(type=str, optional=True),
        keys.SEED: component_spec.ExecutionParameter(type=int),
        keys.STEPS_SHARE: component_spec.ExecutionParameter(type=float),
        keys.CODE: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.GRAPHLETS: component_spec.ChannelParameter(type=artifacts.Graphlets),
        keys.DECISION: component_spec.ChannelParameter(type=artifacts.GateDecision, optional=True),
        "examples": component_spec.ChannelParameter(type=_standard.Examples),
        "transform_graph": component_spec.ChannelParameter(
            type=_standard.TransformGraph, optional=True
        ),
        "schema": component_spec.ChannelParameter(type=_standard.Schema, optional=True),
        "hyperparameters": component_spec.ChannelParameter(
            type=_standard.HyperParameters, optional=True
        ),
        "base_model": component_spec.ChannelParameter(type=_standard.Model, optional=True),
        keys.MODEL: component_spec.ChannelParameter(type=_standard.Model, optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.REHEARSAL: component_spec.ChannelParameter(type=artifacts.Rehearsal)
    }


class Rehearsal(tfx.types.BaseComponent):
    """Tries, on the Evaluator's own split and thresholds, what a training may bring.

    It stands between a first gate and a second one, and in no condition::

        first = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="model")
        rehearsal = Rehearsal(
            graphlets=graphlet_gen.outputs["graphlets"],
            decision=first.outputs["decision"],
            examples=example_gen.outputs["examples"],
            model=latest_blessed.outputs["model"],
            eval_config=eval_config,
        )
        gate = WasteGate(
            graphlets=graphlet_gen.outputs["graphlets"], model_directory="rehearsed_model",
            outer=first.outputs["decision"], rehearsal=rehearsal.outputs["rehearsal"],
        )
        with tfx.dsl.Cond(proceed(gate)):
            trainer = tfx.components.Trainer(...)

    It measures the serving model by inference alone, a scout (logistic or ridge
    regression) that it trains on the window, the scout of the last blessed
    model, and with ``mode="full"`` the user's own ``run_fn`` with a share of its
    steps. It never fails and is never cached. Where the first gate skipped the
    run, where a rehearsal does not pay, or where nothing of the ``eval_config``
    is covered, it does nothing and says so; a part that fails is left out.

    Output ``rehearsal``: custom properties ``rehearsed`` (1 or 0), ``mode``,
    ``reason`` (why it rehearsed or did not), ``left_out`` (what is not covered),
    ``stage``, ``run``, ``trainer``, ``seconds``, ``metric`` and the numbers of
    ``tfx_graphlets.rehearsal.Rehearsed`` that are known; its directory holds the
    scout.
    """

    SPEC_CLASS = RehearsalSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(RehearsalExecutor)
    DRIVER_CLASS = FreshDriver

    def __init__(
        self,
        graphlets: tfx.types.BaseChannel,
        examples: tfx.types.BaseChannel,
        eval_config: Union[Message, str],
        decision: tfx.types.BaseChannel | None = None,
        model: tfx.types.BaseChannel | None = None,
        *,
        transform_graph: tfx.types.BaseChannel | None = None,
        schema: tfx.types.BaseChannel | None = None,
        hyperparameters: tfx.types.BaseChannel | None = None,
        base_model: tfx.types.BaseChannel | None = None,
        mode: Union[Mode, str] = Mode.AUTO,
        stage: Stage | str = Stage.PRE,
        train_splits: Sequence[str] = ("train",),
        example_splits: Sequence[str] = ("eval",),
        trainer: str | None = None,
        module_file: str | None = None,
        run_fn: str | None = None,
        train_args: Message | None = None,
        eval_args: Message | None = None,
        custom_config: Mapping[str, Any] | None = None,
        code: Mapping[str, str] | None = None,
        steps_share: float = DEFAULT_STEPS_SHARE,
        seed: int = 0,
    ) -> None:
        """Makes the node.

        Args:
          graphlets: output of the GraphletGen of the first gate: it names the
            scout of the last blessed model and what trainings cost here.
          examples: the window that the Trainer will take in.
          eval_config: the Evaluator's: label, metrics, thresholds; a message or
            its JSON.
          decision: of the first gate; without one every run is rehearsed that
            pays for itself.
          model: the latest blessed model (of a Resolver).
          transform_graph: of this run's Transform, ``stage="pre"``: scouts then
            see transformed features, else raw ones.
          schema, hyperparameters, base_model: what the Trainer takes in beside
            them; for its code in short.
          mode: "auto" (what pays), "off", "scout" or "full".
          stage: where the second gate stands, input or pre.
          train_splits: splits that the Trainer is trained on.
          example_splits: splits that the Evaluator judges on; its own default.
          trainer: node id of the Trainer that it stands for; without one, of
            every Trainer of the run.
          module_file, run_fn: the user's training code, as for the Trainer.
          train_args, eval_args, custom_config: the Trainer's.
          code: in place of these five, the execution properties of a Trainer.
          steps_share: share of the Trainer's steps, above 0 to 1.
          seed: of the draw of rows from a large window.

        Raises:
          InvalidArgumentError: ``mode`` or ``stage`` is none, ``steps_share``
            is outside its range, or ``mode="full"`` has no code.
        """
        if check_stage(stage) not in (Stage.INPUT, Stage.PRE):
            raise InvalidArgumentError(
                "stage", str(stage), "a rehearsal stands before the Trainer: input or pre"
            )
        if not 0.0 < steps_share <= 1.0:
            raise InvalidArgumentError("steps_share", steps_share, "must be above 0, at most 1")
        if module_file and run_fn:
            raise InvalidArgumentError("run_fn", run_fn, "give module_file or run_fn, not both")
        chosen = check_mode(mode)
        text = json.dumps(dict(code)) if code else None
        if module_file or run_fn:
            text = _code(module_file, run_fn, train_args, eval_args, custom_config)
        elif chosen is Mode.FULL and not text:
            raise InvalidArgumentError(
                "mode", chosen.value, "needs the Trainer's code: give module_file or run_fn"
            )
        channels = {
            keys.DECISION: decision,
            keys.MODEL: model,
            "transform_graph": transform_graph,
            "schema": schema,
            "hyperparameters": hyperparameters,
            "base_model": base_model,
        }
        spec = RehearsalSpec(
            graphlets=graphlets,
            examples=examples,
            rehearsal=tfx.dsl.Channel(type=artifacts.Rehearsal),
            stage=str(check_stage(stage)),
            mode=chosen.value,
            eval_config=eval_config if isinstance(eval_config, str) else _message(eval_config),
            train_splits=json.dumps(list(train_splits)),
            example_splits=json.dumps(list(example_splits)),
            seed=seed,
            steps_share=float(steps_share),
            **given(trainer=trainer or None, code=text, **channels),
        )
        super().__init__(spec=spec)


def check_mode(mode: Union[Mode, str]) -> Mode:
    """The mode of that name.

    Raises:
      InvalidArgumentError: there is none.
    """
    try:
        return Mode(mode)
    except ValueError:
        names = ", ".join(one.value for one in Mode)
        raise InvalidArgumentError("mode", mode, f"must be one of {names}") from None


def _code(
    module_file: str | None,
    run_fn: str | None,
    train_args: Message | None,
    eval_args: Message | None,
    custom_config: Mapping[str, Any] | None,
) -> str:
    """The Trainer's execution properties as JSON."""
    properties = given(
        module_file=module_file,
        run_fn=run_fn,
        train_args=_message(train_args if train_args is not None else tfx.proto.TrainArgs()),
        eval_args=_message(eval_args if eval_args is not None else tfx.proto.EvalArgs()),
        custom_config=json.dumps(dict(custom_config or {})),
    )
    return json.dumps(properties)


def _message(message: Message) -> str:
    return str(json_format.MessageToJson(message, preserving_proto_field_name=True))
