"""The user's code of graphlets, by content hashes.

TFX names the wheel that it packs user code into by a hash of its content
(property ``module_path``). The compiled pipeline holds it before anything runs,
so that the code of the run is known at ``input`` already. Where the code is
given by an import path, GraphletGen records a hash of the package (``gate.code``).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from tfx_graphlets.features.executions import run_of_artifacts
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.timeline import Timeline
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import PropertyName, Role

# Roles whose code the user writes, by their names in PropertyName.CODE_KNOWN.
CODE_ROLES = {"transform": Role.TRANSFORM, "tuner": Role.TUNER, "trainer": Role.TRAINER}
ANY_ROLE: Final = ""  # in place of a role: whatever code there is

# TFX packs a user's module into a wheel whose version holds a hash of its content.
_CODE_HASH = re.compile(r"\+([0-9a-f]{32,64})\b")


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
        for graphlet, known, pending in _codes_recorded(graphlets):
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


def _codes_recorded(graphlets: Graphlets) -> Iterator[tuple[int, Mapping[str, str], bool]]:
    """Graphlet, hashes by name of the role, and whether its Trainer is pending."""
    trace, trainer = graphlets.trace, graphlets.trainer
    executions, artifacts = trace.executions, trace.artifacts
    own = executions.properties.text_codes(PropertyName.CODE_KNOWN, len(executions))
    for graphlet in np.flatnonzero(own[trainer] >= 0).tolist():
        text = executions.properties.strings[int(own[trainer[graphlet]])]
        yield graphlet, _hashes_of(parsed_json(text)), True
    recorded = artifacts.properties.text_codes(PropertyName.CODE_KNOWN, len(artifacts))
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


def code_hashes(graphlets: Graphlets) -> tuple[IntArray, tuple[str, ...]]:
    """Content hash of each execution's user code (MLMD ``module_path``).

    Returns: int64 [num_executions], code into the hashes, -1 where TFX recorded
      none, or only a path, which does not change with the code; and the hashes.
    """
    executions = graphlets.trace.executions
    code = executions.properties.text_codes(PropertyName.MODULE_PATH, len(executions))
    number_of: dict[str, int] = {}
    number = np.full(len(executions.properties.strings) + 1, -1, np.int64)
    for text in np.unique(code[code >= 0]).tolist():
        found = code_hash(executions.properties.strings[text])
        if found:
            number[text] = number_of.setdefault(found, len(number_of))
    return number[code], tuple(number_of)
