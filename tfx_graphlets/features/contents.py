"""What artifacts and executions hold, as numbers that can be compared: spans and code.

One column each over the whole trace, so that neither a row nor a corpus has to
look at a text twice.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.timeline import Timeline
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.rehearsal.record import RUN
from tfx_graphlets.trace.adjacency import Adjacency
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import NO_STRING, FloatArray, IntArray, Properties, Trace
from tfx_graphlets.vocabulary import RUN_CONTEXTS, ArtifactType, PropertyName, Role

# TFX packs a user's module into a wheel whose version holds a hash of its content.
_CODE_HASH = re.compile(r"\+([0-9a-f]{32,64})\b")
_FINGERPRINT_BYTES = re.compile(r"total_bytes:(\d+)")
# Roles whose code the user writes, by their names in PropertyName.CODE_KNOWN.
CODE_ROLES = {"transform": Role.TRANSFORM, "tuner": Role.TUNER, "trainer": Role.TRAINER}


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


@dataclasses.dataclass(frozen=True, eq=False)
class GraphletCodes:
    """The user's code of graphlets: what a compiled pipeline holds before anything runs.

    Numbers, equal for equal code, -1 where it is not known. What the executions
    recorded counts (MLMD ``module_path``); where they recorded nothing, what the
    GraphletGen of the run did (``PropertyName.CODE_KNOWN``). Of a Trainer that is
    pending, what was said of it.

    Attributes:
      by_role: by name of the role, int64 [n], code into ``hashes``:
        ``transform``, of the Transforms that had ended when the Trainer was created,
        of those of its run where there are some; ``tuner``, of the Tuners of its run;
        ``trainer``.
      hashes: the hashes.
    """

    by_role: Mapping[str, IntArray]
    hashes: tuple[str, ...]

    @classmethod
    def of(cls, graphlets: Graphlets, timeline: Timeline) -> GraphletCodes:
        """Of all graphlets of the timeline."""
        executed, hashes = code_hashes(graphlets)
        number_of = {text: number for number, text in enumerate(hashes)}
        found = {
            "transform": _code_before(graphlets, timeline, Role.TRANSFORM, executed, number_of),
            "tuner": _code_before(graphlets, timeline, Role.TUNER, executed, number_of),
            "trainer": executed[graphlets.trainer],
        }
        for graphlet, known, pending in _codes_told(graphlets):
            for name, text in known.items():
                if pending or found[name][graphlet] < 0:
                    found[name][graphlet] = number_of.setdefault(text, len(number_of))
        return cls(found, tuple(number_of))

    @property
    def transform(self) -> IntArray:
        """Code of the Transforms, int64 [n]."""
        return self.by_role["transform"]

    @functools.cached_property
    def trainer(self) -> IntArray:
        """Code of the Trainer and of its run's Tuners, int64 [n]; no code into ``hashes``."""
        trainer, tuner = self.by_role["trainer"], self.by_role["tuner"]
        return np.where(trainer < 0, -1, (tuner + 1) * len(self.hashes) + trainer)

    def known(self, graphlet: int) -> dict[str, str]:
        """Hashes of one graphlet by name of the role; what is not known is left out."""
        numbers = {name: int(code[graphlet]) for name, code in self.by_role.items()}
        return {name: self.hashes[number] for name, number in numbers.items() if number >= 0}


def joined_hash(hashes: Iterable[str]) -> str:
    """One text for the code of several nodes of one role, whatever their order."""
    return "+".join(sorted(set(hashes)))


def code_hash(module_path: str) -> str:
    """The content hash that TFX has put into a ``module_path``; "" where there is none."""
    found = _CODE_HASH.search(module_path)
    return found.group(1) if found else ""


def _code_before(
    graphlets: Graphlets,
    timeline: Timeline,
    role: Role,
    executed: IntArray,
    number_of: dict[str, int],
) -> IntArray:
    """Code of the executions of a role that had ended before each Trainer, int64 [n].

    Of a Tuner those of the Trainer's run alone: hyperparameters that an earlier
    run has found are data. Several hashes are one number, by ``joined_hash``.
    """
    index, trainer = graphlets.executions.index, graphlets.trainer
    rows = np.flatnonzero((graphlets.part == Part.UPSTREAM) & (graphlets.role[index] == role))
    row_of = graphlets.executions.rows()[rows] if len(rows) else rows
    created = graphlets.trace.executions.create_ms[trainer[row_of]]
    kept = (timeline.known_ms[rows] <= created) & (executed[index[rows]] >= 0)
    rows, row_of = rows[kept], row_of[kept]
    in_run = timeline.in_run[rows]
    has_own = np.zeros(len(trainer), bool)
    has_own[row_of[in_run]] = True
    if role is Role.TUNER:
        has_own[:] = True
    chosen = in_run | ~has_own[row_of]
    width, hashes = max(len(number_of), 1), list(number_of)
    pairs = np.unique(row_of[chosen] * width + executed[index[rows[chosen]]])
    owner, code = pairs // width, pairs % width
    result = np.full(len(trainer), -1, np.int64)
    result[owner] = code
    for graphlet in np.unique(owner[1:][np.diff(owner) == 0]).tolist():
        several = joined_hash(hashes[one] for one in code[owner == graphlet].tolist())
        result[graphlet] = number_of.setdefault(several, len(number_of))
    return result


def _codes_told(graphlets: Graphlets) -> Iterator[tuple[int, Mapping[str, str], bool]]:
    """Graphlet, hashes by name of the role, and whether its Trainer is pending."""
    trace, trainer = graphlets.trace, graphlets.trainer
    executions, artifacts = trace.executions, trace.artifacts
    own = text_codes(executions.properties, PropertyName.CODE_KNOWN, len(executions))
    for graphlet in np.flatnonzero(own[trainer] >= 0).tolist():
        text = executions.properties.strings[int(own[trainer[graphlet]])]
        yield graphlet, _hashes_of(parsed_json(text)), True
    recorded = text_codes(artifacts.properties, PropertyName.CODE_KNOWN, len(artifacts))
    rows = np.flatnonzero(recorded >= 0)
    if not len(rows):
        return
    read = {
        code: found
        for code in np.unique(recorded[rows]).tolist()
        if isinstance(found := parsed_json(artifacts.properties.strings[code]), dict)
    }
    of_run: dict[str, list[int]] = {}
    for row, run in run_of_artifacts(trace, rows).items():
        of_run.setdefault(run, []).append(row)
    run_of, node_of = trace.run_of_execution, trace.node_of_execution
    for graphlet, execution in enumerate(trainer.tolist()):
        rows_of_run = of_run.get(trace.context_name(int(run_of[execution])) or "", ())
        before = [
            row
            for row in rows_of_run
            if artifacts.create_ms[row] <= executions.create_ms[execution]
        ]
        node = trace.context_name(int(node_of[execution])) or ""
        for row in before[-1:]:
            for name, known in read.get(int(recorded[row]), {}).items():
                if name in ("", node) or node.endswith(f".{name}"):
                    yield graphlet, _hashes_of(known), False


def _hashes_of(document: object) -> dict[str, str]:
    """Hashes by name of the role; what is none is left out."""
    if not isinstance(document, dict):
        return {}
    return {name: text for name in CODE_ROLES if isinstance(text := document.get(name), str)}


def run_of_artifacts(trace: Trace, rows: IntArray) -> dict[int, str]:
    """Name of the run of some artifacts of this project's own, which no edge leads to.

    It is what their property ``run`` says, else the run context that they are
    attributed to; an artifact with neither is left out.
    """
    contexts, artifacts = trace.contexts, trace.artifacts
    chosen = contexts.of_types(RUN_CONTEXTS)[contexts.attribution_context]
    of_artifact = zip(
        contexts.attribution_artifact[chosen].tolist(),
        contexts.attribution_context[chosen].tolist(),
    )
    attributed = {artifact: contexts.name[context] for artifact, context in of_artifact}
    said = artifacts.properties.texts(RUN, len(artifacts))
    found = {row: said[row] or attributed.get(row) for row in rows.tolist()}
    return {row: run for row, run in found.items() if run}


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
        found = code_hash(executions.properties.strings[text])
        if found:
            number[text] = number_of.setdefault(found, len(number_of))
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
