"""What artifacts and executions hold, as numbers that can be compared: spans and code.

One column each over the whole trace, so that neither a row nor a corpus has to
look at a text twice.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.trace.adjacency import Adjacency
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import NO_STRING, FloatArray, IntArray, Properties
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role

# TFX packs a user's module into a wheel whose version holds a hash of its content.
_CODE_HASH = re.compile(r"\+([0-9a-f]{32,64})\b")
_FINGERPRINT_BYTES = re.compile(r"total_bytes:(\d+)")


@dataclasses.dataclass(frozen=True, eq=False)
class SpanContents:
    """What each artifact of a trace would be as a span of data.

    Attributes:
      identity: int64 [num_artifacts], the first artifact with the same content.
        Equal for artifacts with the same ``input_fingerprint`` (number, bytes
        and times of the input files), span and version. An artifact without a
        fingerprint is like no other.
      number: float64 [num_artifacts], MLMD property ``span``; NaN where none.
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


def text_codes(properties: Properties, name: str, num_owners: int) -> IntArray:
    """Code into ``properties.strings`` of a text property per owner.

    Returns: int64 [num_owners]; -1 where the owner has no such text. A custom
      property counts where both kinds are set.
    """
    result = np.full(num_owners, -1, np.int64)
    rows = properties.rows(name)
    rows = rows[properties.string_code[rows] != NO_STRING]
    # Rows come declared before custom; of repeated owners the last is kept.
    result[properties.owner[rows]] = properties.string_code[rows]
    return result


def code_hashes(graphlets: Graphlets) -> tuple[IntArray, tuple[str, ...]]:
    """Content hash of each execution's user code (MLMD ``module_path``).

    Returns: int64 [num_executions], code into the hashes, -1 where TFX recorded
      none, or only a path, which does not change with the code; and the hashes.
    """
    executions = graphlets.trace.executions
    code = text_codes(executions.properties, PropertyName.MODULE_PATH, len(executions))
    number_of: dict[str, int] = {}
    number = np.full(len(executions.properties.strings) + 1, -1, np.int64)
    for text in np.unique(code[code >= 0]).tolist():
        found = _CODE_HASH.search(executions.properties.strings[text])
        if found:
            number[text] = number_of.setdefault(found.group(1), len(number_of))
    return number[code], tuple(number_of)


def _fingerprints(graphlets: Graphlets, outputs: Adjacency) -> tuple[IntArray, FloatArray]:
    """Fingerprint of each artifact: its own, else its producer's, where older TFX kept it.

    Returns: int64 [num_artifacts], its number, -1 where there is none; and the
      size of the input files by number, float64, NaN where none is said.
    """
    trace = graphlets.trace
    artifacts, properties = trace.artifacts, trace.executions.properties
    own = text_codes(artifacts.properties, PropertyName.INPUT_FINGERPRINT, len(artifacts))
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
    code = text_codes(executions.properties, PropertyName.INPUT_FINGERPRINT, len(executions))
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
