"""Spans of input data: what Examples artifacts hold, and what graphlets are trained on.

Spans are compared by their content, one column over all artifacts of a trace, so that
neither a row nor a corpus has to look at a fingerprint twice.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.trace.ragged import Adjacency, Ragged, of_distinct
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role

UNSEEN = -1  # no such thing was known

_FINGERPRINT_BYTES = re.compile(r"total_bytes:(\d+)")


@dataclasses.dataclass(frozen=True, eq=False)
class SpanContents:
    """What each artifact of a trace would be as a span of data.

    Attributes:
      identity: int64 [num_artifacts], the first artifact with the same content.
        Equal for artifacts with the same ``input_fingerprint`` (number, bytes
        and times of the input files), span and version. An artifact without a
        fingerprint is like no other.
      number: float64 [num_artifacts], MLMD property ``span``; NaN where none, or
        no finite one.
      bytes: float64 [num_artifacts], size of the input files by
        ``input_fingerprint``; NaN where none.
    """

    identity: IntArray
    number: FloatArray
    bytes: FloatArray

    @classmethod
    def of(cls, graphlets: Graphlets, outputs: Adjacency) -> SpanContents:
        """Of all artifacts of the graphlets' trace.

        Args:
          graphlets: the graphlets.
          outputs: execution to the artifacts that it put out.
        """
        trace = graphlets.trace
        properties, num_artifacts = trace.artifacts.properties, len(trace.artifacts)
        number = properties.numbers(PropertyName.SPAN, num_artifacts)
        number[np.isinf(number)] = np.nan
        version = properties.numbers(PropertyName.VERSION, num_artifacts)
        code, sizes = _fingerprints(graphlets, outputs)
        identity = np.arange(num_artifacts, dtype=np.int64)
        marked = np.flatnonzero(code >= 0)
        content = [_ordinal(column[marked]) for column in (code, number, version)]
        order = np.lexsort((marked, *content))
        ordered = np.stack(content)[:, order]
        is_first = np.ones(len(marked), bool)
        if len(marked):
            is_first[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
        first = np.maximum.accumulate(np.where(is_first, np.arange(len(marked)), 0))
        identity[marked[order]] = marked[order][first]
        size = np.full(num_artifacts, np.nan)
        size[marked] = sizes[code[marked]]
        return cls(identity, number, size)

    def in_order(self, row: IntArray, identity: IntArray) -> IntArray:
        """Spans of ascending rows, within each by number, those without one first; int64 [m]."""
        number = self.number[identity]
        order = np.lexsort((identity, np.where(np.isnan(number), -1.0, number), row))
        return identity[order]


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """Spans that each of some queries was trained on.

    Attributes:
      ragged: their identities by query, ascending.
      digest: uint64 [q], equal for equal sets of identities (a hash of 64 bits;
        0 for the empty set).
      newest: int64 [q], identity of the span with the highest number, the
        latest artifact where several have it; UNSEEN where there is none.
      bytes: float64 [q], of all; NaN where there are none or one has no size.
      contents: of the trace.
    """

    ragged: Ragged
    digest: NDArray[np.uint64]
    newest: IntArray
    bytes: FloatArray
    contents: SpanContents

    @classmethod
    def of(
        cls, query: IntArray, identity: IntArray, num_queries: int, contents: SpanContents
    ) -> Spans:
        """From distinct pairs in ascending order, each int64 [m]."""
        ragged = Ragged.from_sorted(query, identity, num_queries)
        digest = np.zeros(num_queries, np.uint64)
        np.add.at(digest, query, _mixed(identity))
        newest = np.full(num_queries, UNSEEN, np.int64)
        newest[query] = contents.in_order(query, identity)  # of each query's the last stays
        size = np.bincount(query, contents.bytes[identity], num_queries).astype(float)
        size[ragged.counts() == 0] = np.nan
        return cls(ragged, digest, newest, size, contents)

    def take(self, queries: IntArray) -> Spans:
        """Those of some queries, repeats allowed."""
        return Spans(
            self.ragged.take(queries),
            self.digest[queries],
            self.newest[queries],
            self.bytes[queries],
            self.contents,
        )

    @classmethod
    def none(cls, contents: SpanContents) -> Spans:
        """One query without spans."""
        nothing = np.zeros(0, np.int64)
        return cls.of(nothing, nothing, 1, contents)

    @classmethod
    def joined(cls, parts: Sequence[Spans]) -> Spans:
        """Queries of all parts, one after another; all of one trace, at least one."""
        counts = np.concatenate([part.counts for part in parts])
        value = np.concatenate([part.ragged.index for part in parts])
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(
            Ragged(start, value),
            np.concatenate([part.digest for part in parts]),
            np.concatenate([part.newest for part in parts]),
            np.concatenate([part.bytes for part in parts]),
            parts[0].contents,
        )

    @property
    def counts(self) -> IntArray:
        """Number of spans, int64 [q]."""
        return self.ragged.counts()

    @property
    def newest_number(self) -> FloatArray:
        """Number of the newest span, float64 [q]; NaN where none."""
        return self._of_newest(self.contents.number)

    @property
    def newest_bytes(self) -> FloatArray:
        """Size of the newest span, float64 [q]; NaN where none."""
        return self._of_newest(self.contents.bytes)

    def _of_newest(self, column: FloatArray) -> FloatArray:
        result = np.full(len(self.newest), np.nan)
        some = self.newest >= 0
        result[some] = column[self.newest[some]]
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class Checks:
    """What data analysis made of each span, in ascending order of span, then time.

    Attributes:
      identity: int64 [k], identity of the span.
      known_ms: int64 [k], when it was known.
      artifact: int64 [k], what was made.
    """

    identity: IntArray
    known_ms: IntArray
    artifact: IntArray

    @classmethod
    def of(
        cls, graphlets: Graphlets, contents: SpanContents, finished_ms: IntArray, base_type: str
    ) -> Checks:
        """All ExampleStatistics of spans, or all ExampleAnomalies of these.

        Args:
          graphlets: the graphlets.
          contents: of their trace.
          finished_ms: see ``Timeline``.
          base_type: of what is looked for.
        """
        trace, edges = graphlets.trace, graphlets.edges
        artifact = np.flatnonzero(trace.artifacts_of_types([ArtifactType.EXAMPLES]))
        identity, known = contents.identity[artifact], np.zeros(len(artifact), np.int64)
        for role, made in (
            (Role.STATISTICS_GEN, ArtifactType.EXAMPLE_STATISTICS),
            (Role.DATA_VALIDATOR, ArtifactType.EXAMPLE_ANOMALIES),
        ):
            index, consumer = edges.consumers.expand(artifact)
            chosen = graphlets.role[consumer] == role
            index, consumer = index[chosen], consumer[chosen]
            at, artifact = edges.outputs.expand(consumer)
            chosen = trace.artifacts_of_types([made])[artifact]
            at, artifact = at[chosen], artifact[chosen]
            known = np.maximum(known[index[at]], finished_ms[consumer[at]])
            identity = identity[index[at]]
            if made == base_type:
                break
        order = np.lexsort((artifact, known, identity))
        return cls(identity[order], known[order], artifact[order])

    def latest(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """The latest of spans at moments, pairwise, int64 [q]; UNSEEN where there is none."""
        result = np.full(len(identity), UNSEEN, np.int64)
        if not len(self.identity):
            return result
        times, keys = self._keys
        width = len(times) + 1
        wanted = identity * width + np.searchsorted(times, moment_ms, "right") - 1
        place = np.searchsorted(keys, wanted, "right") - 1
        found = np.flatnonzero((place >= 0) & (identity >= 0))
        found = found[self.identity[place[found]] == identity[found]]
        result[found] = self.artifact[place[found]]
        return result

    @functools.cached_property
    def _keys(self) -> tuple[IntArray, IntArray]:
        """Distinct times, ascending; and span and time of each as one number."""
        times, rank = np.unique(self.known_ms, return_inverse=True)
        return times, self.identity * (len(times) + 1) + rank.reshape(-1)


class SpanStatistics:
    """Statistics of the spans that graphlets are trained on.

    The spans of a graphlet, or one alone, have a number: of their ExampleStatistics, the
    oldest first.
    """

    def __init__(
        self, checks: Checks, decoded: DecodedPayloads, uris: Sequence[str], readable: BoolArray
    ) -> None:
        """Has looked at none yet.

        Args:
          checks: the ExampleStatistics of each span.
          decoded: their files.
          uris: of all artifacts of the trace.
          readable: bool [num_artifacts + 1], false where no file can be read; the last is that
            of no artifact, -1.
        """
        self._checks, self._decoded = checks, decoded
        self._uri, self._readable = uris, readable
        self._uris: list[tuple[str, ...]] = []
        self._number: dict[tuple[str, ...], int] = {}

    def of_spans(self, spans: Spans, moment_ms: IntArray) -> IntArray:
        """Numbers of some spans as of moments, pairwise.

        Returns: int64 [q], UNSEEN where there are no spans, or the statistics of
          one cannot be read.
        """
        row, start = spans.ragged.rows(), spans.ragged.start
        identity = spans.contents.in_order(row, spans.ragged.index)
        artifact = self._read(identity, moment_ms[row])
        whole = np.bincount(row[artifact != UNSEEN], minlength=len(spans.counts)) == spans.counts
        result = np.full(len(spans.counts), UNSEEN, np.int64)
        for one in np.flatnonzero(whole & (spans.counts > 0)).tolist():
            result[one] = self._of(artifact[start[one] : start[one + 1]].tolist())
        return result

    def alone(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """Numbers of one span each as of moments, pairwise; UNSEEN as in ``of_spans``."""
        artifact = self._read(identity, moment_ms)
        distinct, at = np.unique(artifact, return_inverse=True)
        numbers = [UNSEEN if one == UNSEEN else self._of([one]) for one in distinct.tolist()]
        return np.array(numbers, np.int64)[at.reshape(-1)]

    def values(self, function: Callable[..., float], *numbers: IntArray) -> FloatArray:
        """Values of a function of the URIs of ExampleStatistics, as ``of_distinct``."""
        return of_distinct(lambda *key: function(*(self._uris[one] for one in key)), *numbers)

    def _read(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """The latest ExampleStatistics of spans, UNSEEN where none can be read."""
        artifact = self._checks.latest(identity, moment_ms)
        artifact = np.where(self._readable[artifact], artifact, UNSEEN)
        has = of_distinct(lambda one: self._decoded.has_statistics(self._uri[one]), artifact)
        return np.where(has == 1.0, artifact, UNSEEN)

    def _of(self, artifacts: Sequence[int]) -> int:
        uris = tuple(self._uri[one] for one in artifacts)
        if uris not in self._number:
            self._number[uris] = len(self._uris)
            self._uris.append(uris)
        return self._number[uris]


def _fingerprints(graphlets: Graphlets, outputs: Adjacency) -> tuple[IntArray, FloatArray]:
    """Fingerprint of each artifact: its own, else its producer's, where older TFX kept it.

    Returns: int64 [num_artifacts], its number, -1 where there is none; and the
      size of the input files by number, float64, NaN where none is said.
    """
    trace = graphlets.trace
    artifacts, properties = trace.artifacts, trace.executions.properties
    own = artifacts.properties.text_codes(PropertyName.INPUT_FINGERPRINT, len(artifacts))
    theirs = _of_producers(graphlets, outputs, own)
    numbers, code = np.unique(own, return_inverse=True)
    texts = _strings(artifacts.properties.strings, numbers)
    code = code.reshape(-1).astype(np.int64)
    if theirs is not None:
        more, other = np.unique(theirs, return_inverse=True)
        number_of = {text: number for number, text in enumerate(texts)}
        new = [number_of.setdefault(t, len(number_of)) for t in _strings(properties.strings, more)]
        texts = list(number_of)
        code = np.where(own >= 0, code, np.array(new, np.int64)[other.reshape(-1)])
    nothing = np.array([not text for text in texts], bool)
    sizes = np.array([_size(text) for text in texts], np.float64)
    return np.where(nothing[code], -1, code) if texts else own, sizes


def _of_producers(graphlets: Graphlets, outputs: Adjacency, own: IntArray) -> IntArray | None:
    """Code of the text of the ExampleGen that put out Examples without one; None if none has.

    Returns: int64 [num_artifacts], code into the executions' strings, -1 where
      there is none.
    """
    trace = graphlets.trace
    examples = trace.artifacts_of_types([ArtifactType.EXAMPLES])
    if not (examples & (own < 0)).any():
        return None
    executions = trace.executions
    code = executions.properties.text_codes(PropertyName.INPUT_FINGERPRINT, len(executions))
    sources = np.flatnonzero((graphlets.role == Role.EXAMPLE_GEN) & (code >= 0))
    index, artifact = outputs.expand(sources)
    kept = examples[artifact] & (own[artifact] < 0)
    if not kept.any():
        return None
    result = np.full(len(own), -1, np.int64)
    # The earliest producer counts: it is assigned last.
    result[artifact[kept][::-1]] = code[sources[index[kept]]][::-1]
    return result


def _strings(strings: Sequence[str], codes: IntArray) -> list[str]:
    """The string of each code, the empty one for -1."""
    known = codes >= 0
    if isinstance(strings, Texts):
        found = iter(strings.take(codes[known]))
    else:
        found = iter([strings[code] for code in codes[known].tolist()])
    return [next(found) if one else "" for one in known.tolist()]


def _ordinal(column: IntArray | FloatArray) -> IntArray:
    """Small numbers that are equal where the values are; NaN equals NaN."""
    _, place = np.unique(column, return_inverse=True)
    return place.reshape(-1).astype(np.int64)


def _size(fingerprint: str) -> float:
    sizes = _FINGERPRINT_BYTES.findall(fingerprint)
    return float(sum(map(int, sizes))) if sizes else np.nan


def _mixed(identity: IntArray) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al., OOPSLA 2014): numbers that add up to a hash."""
    z = identity.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
