"""WasteGate: decides whether the training that is about to start is worth its cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Union

from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import component_spec

from tfx_graphlets.components import artifacts, executors
from tfx_graphlets.components.drivers import WasteGateDriver
from tfx_graphlets.components.trainers import node_ids, trainers_behind
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import (
    GateSettings,
    check_stage,
    given,
    roles_of_text,
    roles_to_text,
)
from tfx_graphlets.supervision.parent import limits_given
from tfx_graphlets.vocabulary import Role, Stage

# What a gate need not be set to, by type.
_SETTINGS = {
    "freshness": float,
    "promise": str,
    "delay": float,
    "threshold": float,
    "min_labelled": int,
    "min_pushes": int,
    "max_consecutive_skips": int,
    "max_staleness_hours": float,
    "max_hours_without_attempt": float,
    "exploration": float,
    "exploration_seed": int,
}
_OPTIONAL = _SETTINGS | {
    keys.MODEL_DIRECTORY: str,
    keys.ROLE_OF_TYPE: str,
    keys.TRAINERS: str,
    keys.TIME_LIMIT: float,
    keys.MEMORY_LIMIT: int,
    keys.ON_ERROR: str,
}


class WasteGateSpec(component_spec.ComponentSpec):
    """Interface of WasteGate."""

    PARAMETERS: ClassVar[Mapping[str, component_spec.ExecutionParameter]] = {
        keys.STAGE: component_spec.ExecutionParameter(type=str),
        keys.FORCE_RUN: component_spec.ExecutionParameter(type=int),
        keys.SHADOW: component_spec.ExecutionParameter(type=int),
        **{
            name: component_spec.ExecutionParameter(type=kind, optional=True)
            for name, kind in _OPTIONAL.items()
        },
    }
    INPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.GRAPHLETS: component_spec.ChannelParameter(type=artifacts.Graphlets),
        keys.MODEL: component_spec.ChannelParameter(type=artifacts.WasteModel, optional=True),
        keys.OUTER: component_spec.ChannelParameter(type=artifacts.GateDecision, optional=True),
        keys.REHEARSAL: component_spec.ChannelParameter(type=artifacts.Rehearsal, optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.DECISION: component_spec.ChannelParameter(type=artifacts.GateDecision),
        keys.VERDICT: component_spec.ChannelParameter(type=artifacts.GateVerdict),
    }


class WasteGate(tfx.types.BaseComponent):
    """Decides whether to train; its output is what ``tfx.dsl.Cond`` asks.

    With a waste model that ``tfx-graphlets train`` has written::

        gate = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="model")
        with tfx.dsl.Cond(proceed(gate)):
            trainer = tfx.components.Trainer(...)

    >>> from tfx import v1 as tfx
    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> from tfx_graphlets import GraphletGen
    >>> graphlet_gen = GraphletGen(examples=gen.outputs["examples"])
    >>> gate = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="model")
    >>> sorted(gate.outputs)
    ['decision', 'verdict']

    It never fails and is never cached. If anything goes wrong (no model, a
    model of another stage, a damaged artifact, an error of its own, a limit of
    time or memory) it proceeds, unless ``on_error`` says otherwise, and says so
    in ``reason`` and, as a code, in ``fault``.

    Output ``decision``: a GateDecision with the custom properties ``proceed``,
    ``would_skip``, ``shadow``, ``explored``, ``failed_open`` (1 or 0), ``fault``,
    ``exploration`` and ``risk`` (0..1), ``probability``, ``threshold`` and the
    promised ``freshness`` (0..1, absent where there is none), ``reason`` (a
    sentence), ``stage``, ``gate`` (node id), ``model_fingerprint``,
    ``top_features`` (JSON list of [feature, value, effect]),
    ``similar_graphlets`` (JSON list of [run, pushed, similarity 0..1]),
    ``nodes`` (JSON list: what was found about each Trainer that stands behind
    the gate) and ``seconds``; its directory holds the same as ``decision.json``.
    A gate before several Trainers proceeds if it would for any of them.

    Output ``verdict``: a GateVerdict, which ``proceed`` asks: yes or no, and in
    every run that proceeds the same artifact, so that TFX's cache finds what is
    behind the gate as it would without one. On Kubeflow it is a new one in every
    run: there the nodes behind a gate are never found in the cache.
    """

    SPEC_CLASS = WasteGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executors.WasteGateExecutor)
    DRIVER_CLASS = WasteGateDriver

    def __init__(
        self,
        graphlets: tfx.types.BaseChannel,
        model: tfx.types.BaseChannel | None = None,
        model_directory: Union[str, RuntimeParameter, None] = None,
        *,
        outer: tfx.types.BaseChannel | None = None,
        rehearsal: tfx.types.BaseChannel | None = None,
        stage: Stage | str = Stage.PRE,
        freshness: Union[float, RuntimeParameter, None] = None,
        promise: str | None = None,
        delay: float | None = None,
        threshold: Union[float, RuntimeParameter, None] = None,
        min_labelled: int | None = None,
        min_pushes: int | None = None,
        max_consecutive_skips: int | None = None,
        max_staleness_hours: float | None = None,
        max_hours_without_attempt: float | None = None,
        exploration: Union[float, RuntimeParameter, None] = None,
        exploration_seed: int = 0,
        force_run: Union[bool, RuntimeParameter] = False,
        shadow: Union[bool, RuntimeParameter] = False,
        role_of_type: Mapping[str, Role | str] | None = None,
        time_limit_s: float | None = None,
        memory_limit_mb: int | None = None,
        on_error: str | None = None,
    ) -> None:
        """Makes the node.

        Args:
          graphlets: output of a GraphletGen of the same stage.
          model: a WasteModel, from a WasteModelTrainer or a resolver; while
            there is none yet, the gate proceeds.
          model_directory: in its place, the directory of a saved waste model.
          outer: decision of a gate at an earlier stage of the same pipeline. If
            that one skipped the run, this one does. Gates are not nested: each
            stands outside every condition (see ``check_gated``).
          rehearsal: of a Rehearsal between the outer gate and this one; what it
            measured is among the features of the current graphlet.
          stage: where the gate stands; the waste model's stage.
          freshness: share of pushes to keep, 0..1; the model's by default.
          promise: "kept", that share (the default), or "delay".
          delay: with ``promise="delay"``, runs that a push may wait on average for
            the next one, 0 or more: at 0.2 a pipeline that pushes in every run may
            lose a fifth of its pushes, and one that pushes every tenth a fiftieth.
          threshold: skip where the probability of a push is below it, 0..1, in
            place of the one that follows from the freshness.
          min_labelled: with fewer labelled graphlets of this pipeline the gate
            proceeds; GatePolicy's default.
          min_pushes: with fewer pushes of this pipeline it proceeds; likewise.
          max_consecutive_skips: after so many skips in a row it proceeds;
            likewise.
          max_staleness_hours: if the last push is so long ago it proceeds; no
            limit by default.
          max_hours_without_attempt: if the last run that went on to its Trainer
            is so long ago it proceeds; no limit by default.
          exploration: share of predicted skips that run anyway, 0..1;
            GatePolicy's default. Without any, nobody notices missed pushes.
          exploration_seed: with the names of pipeline, run and stage, what the
            draw for it is made from.
          force_run: proceed whatever the model says; as a RuntimeParameter
            (ptype=int, default=0) it can be set per run.
          shadow: decide and record, never skip.
          role_of_type: roles of custom components, as GraphletGen's: they tell
            which nodes behind the gate are Trainers.
          time_limit_s: seconds, above 0; 60 by default. Past it the run
            proceeds, with the fault ``timeout``.
          memory_limit_mb: the most that what loads the model and predicts may
            hold, in MB of 2**20 bytes; 4096 by default.
          on_error: what a gate does that cannot decide: "run" (the default),
            "skip", or "fail", which stops the pipeline. In shadow mode and
            where it is forced it runs. Where nothing ever works, "skip" skips
            every run: no guard rail can count then.

        Raises:
          InvalidArgumentError: a value is outside its range, or not exactly
            one of ``model`` and ``model_directory`` is given. Values of
            RuntimeParameters are known only in the run: there, the gate
            proceeds with the reason.
        """
        if (model is None) == (not model_directory):
            raise InvalidArgumentError(
                "model_directory",
                model_directory,
                "give exactly one of model (a channel) and model_directory (a path)",
            )
        options = {
            "freshness": freshness,
            "promise": promise,
            "delay": delay,
            "threshold": threshold,
            "min_labelled": min_labelled,
            "min_pushes": min_pushes,
            "max_consecutive_skips": max_consecutive_skips,
            "max_staleness_hours": max_staleness_hours,
            "max_hours_without_attempt": max_hours_without_attempt,
            "exploration": exploration,
            "exploration_seed": exploration_seed or None,
        }
        for name, value in options.items():
            if _SETTINGS[name] is float and type(value) is int:
                options[name] = float(value)
        if on_error not in (None, executors.RUN, executors.SKIP, executors.FAIL):
            raise InvalidArgumentError("on_error", on_error, "must be run, skip or fail")
        known = {
            name: value for name, value in options.items() if isinstance(value, (int, float, str))
        }
        GateSettings(stage=check_stage(stage), **known).policy()  # type: ignore[arg-type]
        spec = WasteGateSpec(
            graphlets=graphlets,
            decision=tfx.dsl.Channel(type=artifacts.GateDecision),
            verdict=tfx.dsl.Channel(type=artifacts.GateVerdict),
            stage=str(check_stage(stage)),
            force_run=_flag("force_run", force_run),
            shadow=_flag("shadow", shadow),
            **given(
                model=model,
                outer=outer,
                rehearsal=rehearsal,
                model_directory=model_directory or None,
                role_of_type=roles_to_text(role_of_type),
                on_error=on_error,
                **limits_given(time_limit_s, memory_limit_mb),
                **options,
            ),
        )
        super().__init__(spec=spec)

    @property
    def exec_properties(self) -> dict[str, object]:
        """The node's own, and the Trainers behind the gate as soon as its pipeline is made."""
        found: dict[str, object] = dict(super().exec_properties)
        if Stage(str(found[keys.STAGE])).order < Stage.TRAINER.order:
            behind = trainers_behind(self, roles_of_text(found.get(keys.ROLE_OF_TYPE)))
            if behind:
                found[keys.TRAINERS] = node_ids(behind)
        return found


def _flag(name: str, value: Union[bool, RuntimeParameter]) -> Union[int, RuntimeParameter]:
    """1 or 0, or the runtime parameter, which must be of type int.

    Raises:
      InvalidArgumentError: it is neither a truth value nor such a parameter.
    """
    if isinstance(value, RuntimeParameter):
        if value.ptype is not int:
            raise InvalidArgumentError(
                name, value.ptype, "a RuntimeParameter of a flag must have ptype=int (0 or 1)"
            )
        return value
    if value not in (0, 1):
        raise InvalidArgumentError(name, value, "must be True or False")
    return int(value)
