"""What artifacts and executions hold, as numbers that can be compared: spans and code.

One column each over the whole trace, so that neither a row nor a corpus has to
look at a text twice.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from tfx_graphlets.adjacency import Adjacency
from tfx_graphlets.graphlet import Graphlets
from tfx_graphlets.trace import NO_STRING, FloatArray, IntArray, Properties
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
        code, texts = _fingerprints(graphlets, outputs)
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
        size = np.array([_size(text) for text in texts] or [np.nan])
        return cls(identity, number, np.where(code >= 0, size[np.maximum(code, 0)], np.nan))


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


def _fingerprints(graphlets: Graphlets, outputs: Adjacency) -> tuple[IntArray, list[str]]:
    """Fingerprint of each artifact: its own, else its producer's, where older TFX kept it.

    Returns: int64 [num_artifacts], code into the texts, -1 where none; and the texts.
    """
    trace = graphlets.trace
    artifacts, executions = trace.artifacts, trace.executions
    own = text_codes(artifacts.properties, PropertyName.INPUT_FINGERPRINT, len(artifacts))
    texts: list[str] = []
    code_of: dict[str, int] = {}

    def recoded(codes: IntArray, strings: Properties) -> IntArray:
        distinct, place = np.unique(codes, return_inverse=True)
        new = np.full(len(distinct), -1, np.int64)
        for at, code in enumerate(distinct.tolist()):
            text = strings.strings[code] if code >= 0 else ""
            if text:
                new[at] = code_of.setdefault(text, len(code_of))
                if new[at] == len(texts):
                    texts.append(text)
        return new[place.reshape(-1)]

    result = recoded(own, artifacts.properties)
    of_execution = text_codes(
        executions.properties, PropertyName.INPUT_FINGERPRINT, len(executions)
    )
    sources = np.flatnonzero((graphlets.role == Role.EXAMPLE_GEN) & (of_execution >= 0))
    if len(sources):
        index, artifact = outputs.expand(sources)
        is_examples = trace.artifacts_of_types([ArtifactType.EXAMPLES])[artifact]
        of_source = recoded(of_execution[sources], executions.properties)
        theirs = np.full(len(artifacts), -1, np.int64)
        kept = is_examples & (of_source[index] >= 0)
        # The earliest producer counts: it is assigned last.
        theirs[artifact[kept][::-1]] = of_source[index[kept]][::-1]
        result = np.where(result >= 0, result, theirs)
    return result, texts


def _ordinal(column: IntArray | FloatArray) -> IntArray:
    """Small numbers that are equal where the values are; NaN equals NaN."""
    _, place = np.unique(column, return_inverse=True)
    return place.reshape(-1).astype(np.int64)


def _size(fingerprint: str) -> float:
    sizes = _FINGERPRINT_BYTES.findall(fingerprint)
    return float(sum(map(int, sizes))) if sizes else np.nan
