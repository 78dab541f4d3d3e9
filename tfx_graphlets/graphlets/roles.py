"""Roles of executions, after docs/graphlets.md, Roles.

A role belongs to an execution *type*: it is decided by the last dotted part of
the type's name; for a custom class by the types of the artifacts that the
executions of that type put out and took in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import BoolArray, CodeArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, Role


@dataclasses.dataclass(frozen=True)
class Declared:
    """What the user says of a pipeline's classes: two that say the same are equal.

    Attributes:
      role_of_type: role by the full name of an execution type or its last dotted part.
      pushers: nodes and types of the pushers that count, sorted; None for all.
    """

    role_of_type: Mapping[str, Role] = dataclasses.field(default_factory=dict)
    pushers: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, role_of_type: Mapping[str, Role] | None, pushers: Collection[str] | None
    ) -> Declared:
        """From the arguments of ``segment``."""
        return cls(dict(role_of_type or {}), None if pushers is None else tuple(sorted(pushers)))

    @classmethod
    def of_all(cls, parts: Iterable[Declared]) -> Declared:
        """What several stores' graphlets were cut with; nothing where there is none.

        Raises:
          InvalidArgumentError: they contradict each other.
        """
        roles: dict[str, Role] = {}
        distinct: list[Declared] = []
        for one in parts:
            if one not in distinct:
                distinct.append(one)
        for one in distinct:
            same = all(roles.get(name, role) == role for name, role in one.role_of_type.items())
            if not same or one.pushers != distinct[0].pushers:
                raise InvalidArgumentError(
                    "datasets",
                    "; ".join(map(str, distinct)),
                    "must be cut with the same roles and pushers",
                )
            roles.update(one.role_of_type)
        return cls(roles, distinct[0].pushers if distinct else None)

    def __bool__(self) -> bool:
        return bool(self.role_of_type) or self.pushers is not None

    def __str__(self) -> str:
        roles = ", ".join(
            f"{name}={role.name.lower()}" for name, role in sorted(self.role_of_type.items())
        )
        pushers = "all" if self.pushers is None else ", ".join(self.pushers)
        return f"roles: {roles or 'none'}, pushers: {pushers}"

    def to_dict(self) -> dict[str, object]:
        """As JSON; see ``from_dict``."""
        return {
            "role_of_type": {name: role.name.lower() for name, role in self.role_of_type.items()},
            "pushers": None if self.pushers is None else list(self.pushers),
        }

    @classmethod
    def from_dict(
        cls, role_of_type: Mapping[str, str] | None, pushers: Collection[str] | None
    ) -> Declared:
        """From names of roles in lower case.

        Raises:
          ValueError: a name is that of no role.
        """
        try:
            roles = {str(t): Role[str(role).upper()] for t, role in (role_of_type or {}).items()}
        except KeyError as error:
            raise ValueError(f"role_of_type: {error} is no role") from None
        return cls.of(roles, None if pushers is None else list(map(str, pushers)))


def roles_of_types(trace: Trace, overrides: Mapping[str, Role] | None = None) -> SmallArray:
    """Role of every execution type of a trace.

    Args:
      trace: the trace; its events decide the roles of custom classes.
      overrides: role by the type's full name or its last dotted part; the
        full name counts first.

    Returns:
      int8 [len(trace.executions.type_names)], vocabulary.Role.

    Raises:
      InvalidArgumentError: an override names a type that is not in the trace.
    """
    names = trace.executions.type_names
    chosen = dict(overrides or {})
    known = set(names) | {vocabulary.base_name(name) for name in names}
    for name in chosen:
        if name not in known:
            raise InvalidArgumentError(
                "role_of_type", name, f"no execution has this type; there are {', '.join(names)}"
            )
    roles = np.zeros(len(names), np.int8)
    custom = []
    for code, name in enumerate(names):
        base = vocabulary.base_name(name)
        if name in chosen:
            roles[code] = chosen[name]
        elif base in chosen:
            roles[code] = chosen[base]
        elif (role := vocabulary.role_of_class(base)) is not None:
            roles[code] = role
        else:
            custom.append(code)
    if custom:
        puts_out = _types_at(trace, vocabulary.OUTPUT_EVENTS)
        takes_in = _types_at(trace, vocabulary.INPUT_EVENTS)
        for code in custom:
            roles[code] = role_of_custom_class(puts_out[code], takes_in[code])
    return roles


def present(trace: Trace, overrides: Mapping[str, Role] | None) -> dict[str, Role]:
    """Those of the overrides whose type is in the trace.

    ``roles_of_types`` takes an unknown name for a slip of the pen; a part of a store, or a store
    before the first run, may lack a type that is meant.
    """
    names = trace.executions.type_names
    known = set(names) | {vocabulary.base_name(name) for name in names}
    return {name: role for name, role in (overrides or {}).items() if name in known}


def no_trainer_hint(trace: Trace, role: SmallArray) -> str | None:
    """What to do about a store that holds Models and no Trainer; None where it has a Trainer.

    Args:
      trace: the trace.
      role: role of every execution, int8 [num_executions].

    Returns:
      Which classes put out Models and the option that makes one a Trainer; None also where no
      class does.
    """
    trains = role[~own_executions(trace)] == Role.TRAINER
    if trains.any():
        return None
    events = trace.events
    is_model = trace.artifacts_of_types([ArtifactType.MODEL])
    makes = is_output_edge(trace, role) & is_model[events.artifact]
    types = np.unique(trace.executions.type[events.execution[makes]])
    names = [trace.executions.type_names[code] for code in types.tolist()]
    # A Tuner is known to be none, and a type that is not there has no name.
    known = {"", *vocabulary.ROLE_OF_CLASS}
    names = [one for one in names if vocabulary.base_name(one) not in known]
    if not names:
        return None
    bases = [vocabulary.base_name(name) for name in names]
    unique = [base if bases.count(base) == 1 else name for base, name in zip(bases, names)]
    return (
        f"no execution is a Trainer; Models are put out by {', '.join(names)}: if one of them "
        f"trains, say so by {' or '.join(f'--role {name}=trainer' for name in unique)}"
    )


def role_of_custom_class(puts_out: frozenset[str], takes_in: frozenset[str]) -> Role:
    """Role of a class that TFX does not know; the first rule that fits counts.

    Args:
      puts_out, takes_in: last dotted parts of artifact types.
    """
    trains_from = {
        ArtifactType.EXAMPLES,
        ArtifactType.TRANSFORM_GRAPH,
        ArtifactType.SCHEMA,
        ArtifactType.HYPER_PARAMETERS,
    }
    rules = (
        (ArtifactType.PUSHED_MODEL in puts_out, Role.PUSHER),
        (
            bool(puts_out & {ArtifactType.MODEL_BLESSING, ArtifactType.MODEL_EVALUATION}),
            Role.MODEL_VALIDATOR,
        ),
        (ArtifactType.INFRA_BLESSING in puts_out, Role.INFRA_VALIDATOR),
        (ArtifactType.MODEL in puts_out and bool(takes_in & trains_from), Role.TRAINER),
        (ArtifactType.TRANSFORM_GRAPH in puts_out, Role.TRANSFORM),
        (ArtifactType.HYPER_PARAMETERS in puts_out, Role.TUNER),
        (ArtifactType.EXAMPLE_STATISTICS in puts_out, Role.STATISTICS_GEN),
        (ArtifactType.EXAMPLE_ANOMALIES in puts_out, Role.DATA_VALIDATOR),
        (ArtifactType.SCHEMA in puts_out, Role.SCHEMA_GEN),
        (ArtifactType.EXAMPLES in puts_out and not takes_in, Role.EXAMPLE_GEN),
    )
    return next((role for fits, role in rules if fits), Role.CUSTOM)


def roles_of_executions(trace: Trace, overrides: Mapping[str, Role] | None = None) -> SmallArray:
    """Role of every execution: int8 [num_executions]; see ``roles_of_types``."""
    if not len(trace.executions):
        return np.zeros(0, np.int8)
    return roles_of_types(trace, overrides)[trace.executions.type]


def is_input_edge(trace: Trace, role: SmallArray) -> BoolArray:
    """True for events that are input edges, bool [num_events].

    Args:
      role: role of every execution; events of a RESOLVER are no edges, nor are those of
        this project's own executions and artifacts (``own_executions``).
    """
    return _is_edge(trace, role, vocabulary.INPUT_EVENTS)


def is_output_edge(trace: Trace, role: SmallArray) -> BoolArray:
    """True for events that are output edges, bool [num_events]."""
    return _is_edge(trace, role, vocabulary.OUTPUT_EVENTS)


def _is_edge(trace: Trace, role: SmallArray, kinds: tuple[vocabulary.EventType, ...]) -> BoolArray:
    events = trace.events
    edge = among(events.type, kinds) & (role[events.execution] != Role.RESOLVER)
    for own, rows in (
        (own_executions(trace), events.execution),
        (own_artifacts(trace), events.artifact),
    ):
        if own.any():
            edge &= ~own[rows]
    return edge


def own_executions(trace: Trace) -> BoolArray:
    """Executions of this project's own nodes (gates, rehearsals), bool [num_executions].

    Their types' names start with ``tfx_graphlets.``; they belong to no graphlet.
    """
    return _of_own_types(trace.executions.type_names, trace.executions.type)


def own_artifacts(trace: Trace) -> BoolArray:
    """What this project's own nodes read and decide, bool [num_artifacts]."""
    return _of_own_types(trace.artifacts.type_names, trace.artifacts.type)


def _of_own_types(names: tuple[str, ...], types: CodeArray) -> BoolArray:
    if not names:
        return np.zeros(len(types), bool)
    own: BoolArray = np.array([name.startswith(vocabulary.OWN_PREFIX) for name in names])[types]
    return own


def among(values: SmallArray, wanted: Iterable[int]) -> BoolArray:
    """``np.isin`` for a few wanted small integers, one comparison each: bool [n]."""
    found = np.zeros(len(values), bool)
    for value in wanted:
        found |= values == value
    return found


def _types_at(trace: Trace, kinds: tuple[vocabulary.EventType, ...]) -> list[frozenset[str]]:
    """Base types of artifacts at the given events, per execution type."""
    events = trace.events
    chosen = np.isin(events.type, kinds)
    pairs = np.stack(
        [
            trace.executions.type[events.execution[chosen]],
            trace.artifacts.type[events.artifact[chosen]],
        ],
        axis=1,
    )
    found: list[set[str]] = [set() for _ in trace.executions.type_names]
    for execution_type, artifact_type in np.unique(pairs, axis=0).tolist():
        found[execution_type].add(trace.artifact_base_types[artifact_type])
    return [frozenset(names) for names in found]
