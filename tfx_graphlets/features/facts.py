"""What a trace and its payloads say of single executions and artifacts.

Look-ups that several groups of features share, each made once per trace:
identities of spans, statistics of a span, code hashes, decoded payloads. None
of them knows a moment unless it is given one.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np

from tfx_graphlets.features.contents import GraphletCodes, SpanContents
from tfx_graphlets.features.rehearsals import Rehearsals
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.series import Lanes
from tfx_graphlets.graphlets.timeline import NEVER, Edges, Timeline
from tfx_graphlets.graphlets.verdicts import Verdicts
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.trace.adjacency import Adjacency
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role

_SOURCES = (Role.EXAMPLE_GEN, Role.IMPORTER)


@dataclasses.dataclass(frozen=True)
class Member:
    """An execution of a graphlet.

    Attributes:
      entry: its row in the executions of the graphlets.
      execution: its position in the trace.
      role, part: what it does, and which step brought it in.
      known_ms, own_known_ms, joined_ms, in_run: see ``Timeline``.
    """

    entry: int
    execution: int
    role: Role
    part: Part
    known_ms: int
    own_known_ms: int
    joined_ms: int
    in_run: bool

    @property
    def is_source(self) -> bool:
        """True for what brings the graphlet's data in from outside."""
        return self.part is Part.UPSTREAM and self.role in _SOURCES


@dataclasses.dataclass(frozen=True)
class Span:
    """A span of input data: an Examples artifact that came from outside.

    Attributes:
      identity: equal for artifacts of equal content, see ``SpanContents``.
      number: MLMD property ``span``; NaN where none.
      bytes: size of its input files by ``input_fingerprint``; NaN where none.
    """

    identity: int
    number: float
    bytes: float


class Facts:
    """Look-ups over one trace. Positions in and out are those of the trace."""

    def __init__(self, graphlets: Graphlets, payloads: Payloads | None = None) -> None:
        self.graphlets = graphlets
        self.trace = graphlets.trace
        self.decoded = DecodedPayloads(self.trace.artifacts.uri, payloads or NoPayloads())
        self.edges = Edges.of(graphlets)
        self.timeline = Timeline.of(graphlets, self.edges)
        self.lanes = Lanes.of(graphlets)
        self._members: dict[int, tuple[Member, ...]] = {}
        self._analysis: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self._execution_text: dict[str, list[str | None]] = {}
        self._artifact_text: dict[str, list[str | None]] = {}
        self._artifact_number: dict[str, FloatArray] = {}

    @functools.cached_property
    def rehearsals(self) -> Rehearsals:
        """The rehearsals of the trace."""
        return Rehearsals(self.graphlets)

    # -- graphlets ---------------------------------------------------------------

    def members(self, graphlet: int) -> tuple[Member, ...]:
        """All executions of a graphlet, whenever they became known."""
        if graphlet not in self._members:
            start, end = self.graphlets.executions.start[graphlet : graphlet + 2]
            rows, times = slice(start, end), self.timeline
            index = self.graphlets.executions.index[rows]
            self._members[graphlet] = tuple(
                Member(entry, execution, Role(role), Part(part), *rest)
                for entry, execution, role, part, *rest in zip(
                    range(start, end),
                    index.tolist(),
                    self.graphlets.role[index].tolist(),
                    self.graphlets.part[rows].tolist(),
                    times.known_ms[rows].tolist(),
                    times.own_known_ms[rows].tolist(),
                    times.joined_ms[rows].tolist(),
                    times.in_run[rows].tolist(),
                )
            )
        return self._members[graphlet]

    @functools.cached_property
    def _verdicts(self) -> Verdicts:
        return Verdicts.of(self.graphlets)

    def verdict(self, members: Sequence[Member], role: Role) -> float:
        """What the validators of a role said, as far as some members of one graphlet tell.

        Args:
          members: the executions that were known.
          role: MODEL_VALIDATOR or INFRA_VALIDATOR.

        Returns: 1 or 0, see ``Verdicts``; NaN where nothing is said.
        """
        said = self._verdicts
        decide = said.of_model if role is Role.MODEL_VALIDATOR else said.of_infra
        return float(decide(*_one_query(members), 1)[0])

    def validators(self, members: Sequence[Member]) -> list[Member]:
        """Model validators among some members, the latest first; before them those that count."""
        counts = self._verdicts.counting(*_one_query(members)).tolist()
        found = [
            (counting, member.known_ms, member.execution, member)
            for counting, member in zip(counts, members)
            if member.part is Part.DOWNSTREAM and member.role is Role.MODEL_VALIDATOR
        ]
        return [member for *_, member in sorted(found, key=lambda one: one[:3], reverse=True)]

    # -- edges and properties ------------------------------------------------------

    def inputs(self, execution: int, base_type: str | None = None) -> list[int]:
        """Artifacts that an execution took in, of one type if given."""
        return self._adjacent(self.edges.inputs, execution, base_type)

    def outputs(self, execution: int, base_type: str | None = None) -> list[int]:
        """Artifacts that an execution put out, of one type if given."""
        return self._adjacent(self.edges.outputs, execution, base_type)

    def _adjacent(self, adjacency: Adjacency, node: int, base_type: str | None) -> list[int]:
        start, end = adjacency.start[node : node + 2]
        found: list[int] = adjacency.target[start:end].tolist()
        if base_type is None:
            return found
        names, types = self.trace.artifact_base_types, self.trace.artifacts.type
        return [artifact for artifact in found if names[types[artifact]] == base_type]

    def execution_text(self, name: str, execution: int) -> str | None:
        """A text property of an execution."""
        return self._texts(name)[execution]

    def artifact_number(self, name: str, artifact: int) -> float:
        """A numeric property of an artifact; NaN where it has none."""
        return float(self._artifact_numbers(name)[artifact])

    def retried_ms(self, graphlet: int) -> int:
        """When the next attempt at a graphlet's training was created; NEVER if there is none."""
        following = int(self.graphlets.retry[graphlet])
        if following < 0:
            return NEVER
        return int(self.trace.executions.create_ms[self.graphlets.trainer[following]])

    def _texts(self, name: str) -> list[str | None]:
        if name not in self._execution_text:
            executions = self.trace.executions
            self._execution_text[name] = executions.properties.texts(name, len(executions))
        return self._execution_text[name]

    def _artifact_numbers(self, name: str) -> FloatArray:
        if name not in self._artifact_number:
            artifacts = self.trace.artifacts
            self._artifact_number[name] = artifacts.properties.numbers(name, len(artifacts))
        return self._artifact_number[name]

    def _artifact_texts(self, name: str) -> list[str | None]:
        if name not in self._artifact_text:
            artifacts = self.trace.artifacts
            self._artifact_text[name] = artifacts.properties.texts(name, len(artifacts))
        return self._artifact_text[name]

    # -- spans -----------------------------------------------------------------------

    @functools.cached_property
    def contents(self) -> SpanContents:
        """What each artifact would be as a span."""
        return SpanContents.of(self.graphlets, self.edges.outputs)

    def span(self, artifact: int) -> Span:
        """The span that an Examples artifact holds."""
        contents = self.contents
        return Span(
            identity=int(contents.identity[artifact]),
            number=float(contents.number[artifact]),
            bytes=float(contents.bytes[artifact]),
        )

    def spans(self, members: Iterable[Member]) -> dict[int, Span]:
        """Spans that the sources among some members brought in, by identity."""
        result = {}
        for member in members:
            if member.is_source:
                for artifact in self.outputs(member.execution, ArtifactType.EXAMPLES):
                    span = self.span(artifact)
                    result[span.identity] = span
        return result

    @functools.cached_property
    def _artifacts_of_identity(self) -> dict[int, list[int]]:
        result: dict[int, list[int]] = {}
        for artifact in np.flatnonzero(
            self.trace.artifacts_of_types([ArtifactType.EXAMPLES])
        ).tolist():
            result.setdefault(int(self.contents.identity[artifact]), []).append(artifact)
        return result

    # -- data analysis -----------------------------------------------------------------

    def statistics_artifact(self, identity: int, moment_ms: int) -> int | None:
        """ExampleStatistics of a span that were there at a moment, the latest ones."""
        return _latest(self._statistics_of(identity), moment_ms)

    def anomaly_artifact(self, identity: int, moment_ms: int) -> int | None:
        """ExampleAnomalies of a span that were there at a moment, the latest ones."""
        key = (ArtifactType.EXAMPLE_ANOMALIES, identity)
        if key not in self._analysis:
            self._analysis[key] = self._analysed(
                self._statistics_of(identity), Role.DATA_VALIDATOR, ArtifactType.EXAMPLE_ANOMALIES
            )
        return _latest(self._analysis[key], moment_ms)

    def _statistics_of(self, identity: int) -> list[tuple[int, int]]:
        key = (ArtifactType.EXAMPLE_STATISTICS, identity)
        if key not in self._analysis:
            examples = [(0, artifact) for artifact in self._artifacts_of_identity.get(identity, ())]
            self._analysis[key] = self._analysed(
                examples, Role.STATISTICS_GEN, ArtifactType.EXAMPLE_STATISTICS
            )
        return self._analysis[key]

    def _analysed(
        self, artifacts: Sequence[tuple[int, int]], role: Role, base_type: str
    ) -> list[tuple[int, int]]:
        """When each output of the consumers of one role was known, and which it is, ascending.

        Args:
          artifacts: when each artifact that is consumed was known, and which it is.
        """
        finished = self.timeline.finished_ms
        found = {
            (max(known_ms, int(finished[consumer])), output)
            for known_ms, artifact in artifacts
            for consumer in self._adjacent(self.edges.consumers, artifact, None)
            if self.graphlets.role[consumer] == role
            for output in self.outputs(consumer, base_type)
        }
        return sorted(found)

    def anomalous_splits(self, artifact: int) -> float:
        """Number of splits that ExampleValidator did not bless; NaN if not recorded."""
        blessed = self._artifact_texts(PropertyName.BLESSED)[artifact]
        splits = parsed_json(blessed)
        if not isinstance(splits, dict):
            return math.nan
        return float(sum(1 for value in splits.values() if value == 0))

    # -- code and configuration ------------------------------------------------------

    @functools.cached_property
    def codes(self) -> GraphletCodes:
        """The user's code of the graphlets."""
        return GraphletCodes.of(self.graphlets, self.timeline)

    def text_hash(self, name: str, execution: int) -> str | None:
        """SHA-256 of a text property, for comparison; None where there is none."""
        text = self.execution_text(name, execution)
        return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _one_query(members: Sequence[Member]) -> tuple[IntArray, IntArray]:
    entry = np.array([member.entry for member in members], np.int64)
    return np.zeros(len(entry), np.int64), entry


def _latest(found: list[tuple[int, int]], moment_ms: int) -> int | None:
    """The artifact that was known last, at the moment or before it."""
    count = bisect.bisect_right(found, (moment_ms, NEVER))
    return found[count - 1][1] if count else None
