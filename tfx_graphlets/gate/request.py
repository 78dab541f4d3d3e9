"""What a gate's nodes are asked for and set to, checked when the pipeline is written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.latest_runs import DEFAULT_RUNS
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.policy.freshness import ThresholdChoice
from tfx_graphlets.stores.uris import PASSWORD_VARIABLE, may_hold_password, redacted
from tfx_graphlets.vocabulary import Role, Stage


def check_stage(stage: Stage | str) -> Stage:
    """The stage of that name.

    Raises:
      InvalidArgumentError: there is none.
    """
    try:
        return Stage(stage)
    except ValueError:
        names = ", ".join(map(str, Stage))
        raise InvalidArgumentError("stage", stage, f"must be one of {names}") from None


def given(**arguments: object) -> dict[str, object]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def roles_to_text(role_of_type: Mapping[str, Role | str] | None) -> str | None:
    """Roles of custom classes as an execution property, JSON; None where there are none.

    Raises:
      InvalidArgumentError: a value is no role.
    """
    if not role_of_type:
        return None
    return json.dumps({name: _role(role).name.lower() for name, role in role_of_type.items()})


def roles_of_text(text: object) -> dict[str, Role]:
    """The roles that ``roles_to_text`` wrote; empty for None or ""."""
    found = json.loads(str(text)) if text else {}
    return {str(name): _role(str(role)) for name, role in found.items()}


def _role(role: Role | str) -> Role:
    if isinstance(role, Role):
        return role
    try:
        return Role[role.upper()]
    except KeyError:
        names = ", ".join(one.name.lower() for one in Role)
        raise InvalidArgumentError("role_of_type", role, f"roles are {names}") from None


def pushers_to_text(pushers: Collection[str] | None) -> str | None:
    """Pushers that count as an execution property, JSON; None where all do.

    Raises:
      InvalidArgumentError: it is a text, or empty.
    """
    if pushers is None:
        return None
    if isinstance(pushers, str) or not pushers:
        raise InvalidArgumentError(
            "pushers", pushers, "must be a list of node ids or type names, or None for all"
        )
    return json.dumps(sorted(pushers))


def pushers_of_text(text: object) -> tuple[str, ...] | None:
    """The pushers that ``pushers_to_text`` wrote; None for None or ""."""
    return tuple(map(str, json.loads(str(text)))) if text else None


def check_store(store: str | None) -> str | None:
    """The store's URI, which must hold no password: TFX writes it into the store.

    Raises:
      InvalidArgumentError: it holds one. The message does not repeat it.
    """
    if store is None:
        return None
    if not store:
        raise InvalidArgumentError("store", store, "must be a URI or a path, or None")
    if may_hold_password(store):
        raise InvalidArgumentError(
            "store",
            redacted(store),
            "must hold no password, because TFX records execution properties in the metadata "
            f"store: put it into the environment variable {PASSWORD_VARIABLE}",
        )
    return store


class InputArtifact(Protocol):
    """What is asked of a TFX artifact that is wired to GraphletGen.

    It also brings its properties (see ``unrecorded.properties_of``), if it wraps an MLMD
    message as ``mlmd_artifact`` or has them as plain ``known_properties``.
    """

    id: int
    uri: str
    type_name: str


@dataclasses.dataclass(frozen=True)
class TrainerWanted:
    """A Trainer node whose graphlet is asked for.

    Attributes:
      node: its id, or the name of its context.
      type: full name of its execution type; "" where it is not known.
      code: place of its code, with a hash of it; likewise.
      code_known: hash of the code by role (``transform``, ``tuner``, ``trainer``;
        ``user_code.ANY_ROLE`` for each that the pipeline has), as far as it is known.
      inputs: by the Trainer's key the key that is wired for it; empty for all
        that is wired.
    """

    node: str
    type: str = ""
    code: str = ""
    code_known: Mapping[str, str] = dataclasses.field(default_factory=dict)
    inputs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def takes(
        self, wired: Mapping[str, tuple[int, ...]] | None
    ) -> Mapping[str, tuple[int, ...]] | None:
        """What the Trainer takes in of what is wired, by its own keys; None: nothing is wired."""
        if not wired or not self.inputs:
            return wired
        return {key: wired[own] for key, own in self.inputs.items() if own in wired}

    @classmethod
    def of_text(cls, text: object) -> tuple[TrainerWanted, ...]:
        """The Trainers of the execution property ``trainers``; none for None or ""."""
        return tuple(cls(**one) for one in json.loads(str(text))) if text else ()


@dataclasses.dataclass(frozen=True)
class Request:
    """Which graphlet is asked for.

    Attributes:
      stage: where the gate stands.
      pipeline: name of the pipeline; "" where it is not known.
      run: name of the current run; "" where it is not known or has not begun.
      inputs: artifacts that are wired to GraphletGen, by key.
      runs: how many runs before the current one are read; 0 for all.
      trainers: the Trainer nodes that the gate stands before; empty where they
        are not known: then all of the pipeline's latest runs.
      code_known: of Trainers that do not say it themselves; see TrainerWanted.
      role_of_type, pushers: as for ``segment``; names that the store does not
        know are left out.
    """

    stage: Stage
    pipeline: str
    run: str
    inputs: Mapping[str, tuple[InputArtifact, ...]]
    runs: int = DEFAULT_RUNS
    trainers: tuple[TrainerWanted, ...] = ()
    role_of_type: Mapping[str, Role] = dataclasses.field(default_factory=dict)
    pushers: tuple[str, ...] | None = None
    code_known: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def code_record(self) -> str:
        """What is known of the code of each Trainer, as ``PropertyName.CODE_KNOWN``; "" if nothing.

        A JSON object: by node id, hash by role.
        """
        found = {one.node: dict(one.code_known) for one in self.trainers if one.code_known}
        return json.dumps(found, sort_keys=True) if found else ""

    @property
    def declared(self) -> Declared:
        """The roles and pushers that the user gave."""
        return Declared.of(self.role_of_type, self.pushers)

    @classmethod
    def of(
        cls,
        exec_properties: Mapping[str, object],
        input_dict: Mapping[str, Sequence[InputArtifact]],
        *,
        pipeline: str,
        run: str,
    ) -> Request:
        """The request of a GraphletGen node.

        Args:
          exec_properties, input_dict: the node's.
          pipeline: what the runner says; the execution property counts first.
          run: the current run's name.
        """
        given = exec_properties.get(keys.RUNS)
        return cls(
            stage=check_stage(str(exec_properties.get(keys.STAGE))),
            pipeline=str(exec_properties.get(keys.PIPELINE_NAME) or pipeline),
            run=run,
            inputs={key: tuple(artifacts) for key, artifacts in input_dict.items()},
            runs=DEFAULT_RUNS if given is None else int(str(given)),
            trainers=TrainerWanted.of_text(exec_properties.get(keys.TRAINERS)),
            role_of_type=roles_of_text(exec_properties.get(keys.ROLE_OF_TYPE)),
            pushers=pushers_of_text(exec_properties.get(keys.PUSHERS)),
        )


@dataclasses.dataclass(frozen=True)
class GateSettings:
    """What a WasteGate was configured with; None: as the model or GatePolicy has it.

    Attributes:
      stage: where the gate stands.
      gate: its node id; "" where it is not known.
      freshness: share of pushes to keep, 0..1; the model's by default.
      threshold: in place of the one that the model's freshness gives, 0..1.
      promise, delay, min_labelled, min_pushes, max_consecutive_skips, max_staleness_hours,
        max_hours_without_attempt, exploration, shadow, force_run: see
        GatePolicy.
      exploration_seed: of the draw that decides which skips are explored.
      trainers: ids of the Trainer nodes that the gate stands before; empty where
        they are not known: then all that the history describes.
      caching: whether TFX's cache is in use in the gate's pipeline.
    """

    stage: Stage
    gate: str = ""
    freshness: float | None = None
    promise: str | None = None
    delay: float | None = None
    threshold: float | None = None
    min_labelled: int | None = None
    min_pushes: int | None = None
    max_consecutive_skips: int | None = None
    max_staleness_hours: float | None = None
    max_hours_without_attempt: float | None = None
    exploration: float | None = None
    exploration_seed: int = 0
    shadow: bool = False
    force_run: bool = False
    trainers: tuple[str, ...] = ()
    caching: bool = False

    @classmethod
    def of(cls, exec_properties: Mapping[str, object], gate: str = "") -> GateSettings:
        """The settings that stand in a WasteGate's execution properties.

        Raises:
          InvalidArgumentError: ``stage`` is none.
        """
        taken = {
            field.name: exec_properties[field.name]
            for field in dataclasses.fields(cls)
            if exec_properties.get(field.name) is not None
        }
        taken.update(
            stage=check_stage(str(exec_properties.get(keys.STAGE))),
            gate=gate,
            shadow=bool(exec_properties.get(keys.SHADOW)),
            force_run=bool(exec_properties.get(keys.FORCE_RUN)),
            trainers=tuple(json.loads(str(exec_properties.get(keys.TRAINERS) or "[]"))),
            caching=bool(exec_properties.get(keys.CACHING)),
        )
        return cls(**taken)  # type: ignore[arg-type]

    def policy(self, choice: ThresholdChoice | None = None) -> GatePolicy:
        """The policy.

        Args:
          choice: the waste model's, which counts where no threshold is set.

        Raises:
          InvalidArgumentError: a setting is outside its range.
        """
        names = (field.name for field in dataclasses.fields(GatePolicy))
        chosen = {name: value for name in names if (value := getattr(self, name)) is not None}
        if choice is not None and self.threshold is None:
            chosen.update(freshness=choice.freshness, threshold=choice.threshold)
        return GatePolicy(**chosen)
