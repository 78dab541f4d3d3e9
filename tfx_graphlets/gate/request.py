"""Request: which graphlets a GraphletGen, or the command, asks for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from tfx_graphlets.gate import keys
from tfx_graphlets.gate.checks import check_stage, pushers_of_text, roles_of_text
from tfx_graphlets.gate.latest_runs import DEFAULT_RUNS
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.vocabulary import Role, Stage


class InputArtifact(Protocol):
    """What is asked of a TFX artifact."""

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
        ``code.ANY_ROLE`` for each that the pipeline has), as far as it is known.
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
