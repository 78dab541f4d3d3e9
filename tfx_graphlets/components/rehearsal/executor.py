"""The executor of Rehearsal: reads files, calls the room ``rehearsal``, never raises."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, Union

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types.artifact import Artifact

from tfx_graphlets.components.artifacts import read_files, write_files
from tfx_graphlets.errors import GraphletsError, in_one_line
from tfx_graphlets.gate import graphlets_file, keys
from tfx_graphlets.gate.rehearsals import RehearsalPast
from tfx_graphlets.rehearsal import (
    Demand,
    Mode,
    NotCoveredError,
    Rehearsed,
    Scout,
    Worth,
    demand_of,
    record,
    rehearse,
    without_label,
    worth_of,
)
from tfx_graphlets.supervision.defence import defended, safely, set_properties, warn

SCOUT_FILE = "scout.json"
REHEARSAL_FILE = "rehearsal.json"

Artifacts = Mapping[str, Sequence[Artifact]]
ExecProperties = Mapping[str, object]
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """What is written: the mode, why, what was measured, what was left out."""

    mode: Mode
    reason: str
    found: Rehearsed | None = None
    left_out: tuple[str, ...] = ()


class RehearsalExecutor(base_executor.BaseExecutor):
    """Rehearses where it pays."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        """Writes the Rehearsal artifact."""
        start, artifact = time.monotonic(), output_dict[keys.REHEARSAL][0]
        outcome = defended(lambda: _rehearse(input_dict, exec_properties), _failed)
        properties: dict[str, Union[int, float, str]] = {
            record.REHEARSED: int(outcome.found is not None),
            record.MODE: outcome.mode.value,
            record.REASON: outcome.reason,
            record.STAGE: str(exec_properties.get(keys.STAGE) or ""),
            record.SECONDS: round(time.monotonic() - start, 3),
        }
        texts = {
            record.LEFT_OUT: " ".join(outcome.left_out),
            record.RUN: str(self._context.pipeline_run_id or "") if self._context else "",
            record.TRAINER: str(exec_properties.get(keys.TRAINER) or ""),
        }
        properties |= {name: text for name, text in texts.items() if text}
        if outcome.found is not None:
            properties[record.METRIC] = outcome.found.metric
            properties.update(outcome.found.numbers())
        _write(artifact, properties, outcome.found)
        logging.info("Rehearsal: %s", properties)


def _failed(error: BaseException) -> _Outcome:
    if isinstance(error, NotCoveredError):
        return _Outcome(Mode.OFF, "Nothing is covered.", left_out=error.problems)
    warn("Rehearsal could not rehearse, the gate decides without", error)
    return _Outcome(Mode.OFF, f"Could not rehearse: {in_one_line(error)}.")


def _rehearse(input_dict: Artifacts, exec_properties: ExecProperties) -> _Outcome:
    asked = Mode(str(exec_properties[keys.MODE]))
    if asked is Mode.OFF:
        return _Outcome(Mode.OFF, "Rehearsals are switched off.")
    probability, stopped = _first_gate(input_dict)
    if stopped:
        return _Outcome(Mode.OFF, stopped)
    code = json.loads(str(exec_properties.get(keys.CODE) or "{}"))
    past = _past(input_dict)
    demand = demand_of(str(exec_properties[keys.EVAL_CONFIG]))
    share = float(str(exec_properties[keys.STEPS_SHARE]))
    worth = worth_of(
        asked,
        probability=probability,
        behind_s=past.behind_s,
        trainer_s=past.trainer_s,
        scout_s=past.scout_s,
        full_s=past.full_s,
        steps_share=share,
        can_probe=bool(code),
    )
    if worth.mode is Mode.OFF:
        return _Outcome(worth.mode, worth.reason, left_out=demand.left_out)
    found, left_out = _measure(input_dict, exec_properties, demand, worth, past, code)
    return _Outcome(worth.mode, worth.reason, found, (*demand.left_out, *left_out))


def _measure(
    input_dict: Artifacts,
    exec_properties: ExecProperties,
    demand: Demand,
    worth: Worth,
    past: RehearsalPast,
    code: Mapping[str, object],
) -> tuple[Rehearsed, list[str]]:
    """What was measured, and what of it had to be left out."""
    # TensorFlow takes seconds to import; where nothing is rehearsed it is not needed.
    from tfx_graphlets.components.rehearsal import examples, models

    left_out: list[str] = []

    def attempt(what: str, make: Callable[[], _Found]) -> _Found | None:
        def leave(error: BaseException) -> None:
            warn(f"Rehearsal leaves out {what}", error)
            left_out.append(f"Left out is {what}: {in_one_line(error)}.")

        # The rest is measured all the same; the user's code may call sys.exit.
        return defended(make, leave)

    window = input_dict["examples"]
    train, judged = (
        examples.read_records(window, json.loads(str(exec_properties[key])))
        for key in (keys.TRAIN_SPLITS, keys.EXAMPLE_SPLITS)
    )
    splits = [records.split(demand.label) for records in (train, judged)]
    graphs = input_dict.get("transform_graph") or ()
    if graphs:
        columns = attempt(
            "the Transform graph (scouts see raw features)",
            lambda: [examples.transformed(graphs[0].uri, r.content) for r in (train, judged)],
        )
        if columns is not None:
            splits = [dataclasses.replace(s, columns=c) for s, c in zip(splits, columns)]
    splits[0], dropped = without_label(splits[0], demand.label)
    splits[1] = splits[1].without(dropped)
    serving = probed = previous = None
    served = input_dict.get(keys.MODEL) or ()
    if served:
        serving = attempt(
            "the serving model", lambda: models.predict(served[0].uri, judged.content, demand)
        )
    if worth.mode is Mode.FULL:
        share = float(str(exec_properties[keys.STEPS_SHARE]))
        probed = attempt(
            "the user's code",
            lambda: models.probe(input_dict, code, share, judged.content, demand),
        )
    if past.scout:
        previous = attempt("the last blessed model's scout", lambda: _scout(past.scout))
    seed = int(str(exec_properties.get(keys.SEED) or 0))
    found = rehearse(
        demand, splits[0], splits[1], serving=serving, previous=previous, probe=probed, seed=seed
    )
    return found, left_out


def _first_gate(input_dict: Artifacts) -> tuple[float | None, str]:
    """Probability of a push by the first gate, and why there is nothing to try; "" if there is."""
    for decision in input_dict.get(keys.DECISION) or ():
        if not decision.has_custom_property(keys.PROCEED):
            return None, "The first gate left no decision."
        if decision.get_int_custom_property(keys.PROCEED) == 0:
            return None, "The first gate skipped this run."
        if decision.get_int_custom_property(keys.FAILED_OPEN) == 1:
            return None, "The first gate could not decide, nor will the second."
        if decision.get_int_custom_property(keys.EXPLORED) == 1:
            return None, "The first gate lets this run explore."
        if decision.has_custom_property(keys.PROBABILITY):
            return min(max(decision.get_float_custom_property(keys.PROBABILITY), 0.0), 1.0), ""
    return None, ""


def _past(input_dict: Artifacts) -> RehearsalPast:
    found = graphlets_file.from_files(
        read_files(input_dict[keys.GRAPHLETS][0].uri, graphlets_file.FILES)
    )
    if found.problem:
        raise GraphletsError(found.problem)
    return found.rehearsals


def _scout(uri: str) -> Scout:
    files = read_files(uri, [SCOUT_FILE])
    if SCOUT_FILE not in files:
        raise GraphletsError(f"there is no {SCOUT_FILE} at {uri!r}")
    return Scout.from_bytes(files[SCOUT_FILE])


def _write(
    artifact: Artifact, properties: Mapping[str, Union[int, float, str]], found: Rehearsed | None
) -> None:
    set_properties(artifact, properties)

    def write() -> None:
        files = {}
        if found is not None and found.new_scout is not None:
            files[SCOUT_FILE] = found.new_scout.to_bytes()
        files[REHEARSAL_FILE] = json.dumps(properties, indent=1, sort_keys=True).encode() + b"\n"
        write_files(artifact.uri, files)

    # What matters stands in the custom properties.
    safely(f"cannot write the scout to {artifact.uri}", write)
