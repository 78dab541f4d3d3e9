"""What a child can be asked to do: arguments are plain values, results contents by name."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import importlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tfx_graphlets.errors import Fault, GraphletsError, InvalidArgumentError
from tfx_graphlets.gate import graphlets_file, keys
from tfx_graphlets.gate.rehearsals import with_rehearsal
from tfx_graphlets.gate.request import GateSettings, Request, TrainerWanted, check_stage
from tfx_graphlets.gate.run import check_declared, decision_properties, run_gate
from tfx_graphlets.gate.snapshot import NO_PAYLOADS, collect
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.vocabulary import Role
from tfx_graphlets.waste_model import load_waste_model

DECISION_FILE: Final = "decision.json"
MODEL_FILE: Final = "model.json"
_RUNNERS_STORE: Final = "the runner's metadata store"


@dataclasses.dataclass
class Wired:
    """An artifact that is wired to GraphletGen; see ``gate.request.InputArtifact``."""

    id: int
    uri: str
    type_name: str
    known_properties: Sequence[tuple[str, bool, int, int | float | str]] = ()


def collect_graphlets(arguments: Mapping[str, Any]) -> dict[str, bytes]:
    """What GraphletGen does: reads a store, describes its graphlets.

    Args:
      arguments: ``store`` (a URI) or ``connection`` (of the runner: ``kind``, ``config``,
        ``file`` where it is a SQLite file), ``exec_properties``, ``inputs`` (by key, fields of
        Wired), ``pipeline``, ``run``, ``now_ms``, ``live`` (see ``_live``).

    Returns: the files of a Graphlets artifact.

    Raises:
      GraphletsError: as ``gate.snapshot.collect``.
    """
    request = Request.of(
        arguments["exec_properties"],
        {key: [Wired(*one) for one in found] for key, found in arguments["inputs"].items()},
        pipeline=arguments["pipeline"],
        run=arguments["run"],
    )
    with _opened(arguments) as store:
        found = collect(store, request, arguments["now_ms"], _live(arguments.get("live")))
    return graphlets_file.to_files(found)


@contextlib.contextmanager
def _opened(arguments: Mapping[str, Any]) -> Iterator[Store]:
    connection = arguments.get("connection")
    if connection is None:
        opened = open_store(arguments["store"])
    elif connection["file"]:
        from tfx_graphlets.stores.sql.sqlite_file import SqliteStore

        opened = SqliteStore(connection["file"], name=_RUNNERS_STORE, payload_root=os.curdir)
    else:
        from tfx_graphlets.stores.mlmd.store import MlmdStore

        config = base64.b64decode(connection["config"])
        opened = MlmdStore.from_config(
            connection["kind"], config, _RUNNERS_STORE, payload_root=os.curdir
        )
    with opened as store:
        yield store


def _live(remote: str | None) -> Payloads:
    """Reads what the present run has written; "" where all of that is on this machine."""
    if remote is None:
        return NO_PAYLOADS
    if not remote:
        return FilePayloads(os.curdir)
    module, _, name = remote.partition(":")
    return FilePayloads(os.curdir, remote=getattr(importlib.import_module(module), name)())


def decide(arguments: Mapping[str, Any]) -> dict[str, bytes]:
    """What WasteGate does: decides by a Graphlets artifact and a waste model.

    Args:
      arguments: ``graphlets`` and ``model`` (local directories), ``exec_properties``, ``gate``
        (node id), ``margins`` (what a rehearsal has measured, by name; None without one).

    Returns: the custom properties of the decision as DECISION_FILE.

    Raises:
      GraphletsError: as ``gate.run.run_gate``.
    """
    settings = GateSettings.of(arguments["exec_properties"], arguments["gate"])
    found = _graphlets(arguments["graphlets"])
    if arguments["margins"] is not None and found.current is not None:
        current = with_rehearsal(found.current, arguments["margins"], found.rehearsals)
        found = dataclasses.replace(found, current=current)
    decision = run_gate(found, lambda: load_waste_model(arguments["model"]), settings)
    properties = decision_properties(
        decision, gate=settings.gate, shadow=settings.shadow, failed_open=False, seconds=0.0
    )
    return {DECISION_FILE: json.dumps(properties).encode()}


def make_ready() -> None:
    """Imports what a decision asks for, before it is asked for."""
    importlib.import_module("ydf")


def train(arguments: Mapping[str, Any]) -> dict[str, bytes]:
    """What WasteModelTrainer does: a waste model from a Graphlets artifact.

    Args:
      arguments: ``graphlets`` and ``output`` (local directories), ``exec_properties``.

    Returns: ``fingerprint`` and ``text`` of the model as MODEL_FILE.

    Raises:
      GraphletsError: there is no history, or too little of it.
    """
    found, options = _graphlets(arguments["graphlets"]), arguments["exec_properties"]
    if found.past is None:
        raise GraphletsError(found.problem).with_fault(Fault(found.fault or Fault.BUG))
    from tfx_graphlets.waste_model import train_waste_model  # a gate needs none of it

    model = train_waste_model(
        found.past,
        check_stage(str(options[keys.STAGE])),
        float(options[keys.FRESHNESS]),
        int(options[keys.SEED]),
    )
    model.save(arguments["output"])
    return {MODEL_FILE: json.dumps({"fingerprint": model.fingerprint, "text": str(model)}).encode()}


def _graphlets(folder: str) -> graphlets_file.PipelineHistory:
    files = {}
    for name in graphlets_file.FILES:
        place = Path(folder, name)
        if os.path.lexists(place):
            files[name] = place.read_bytes()
    return graphlets_file.from_files(files)


def decide_before_launch(arguments: Mapping[str, Any]) -> dict[str, bytes]:
    """What ``tfx-graphlets gate`` does: reads a store and decides about a run to be.

    Args:
      arguments: ``store`` (a URI), ``model`` (a directory), ``pipeline``, ``run``, ``nodes``,
        ``role_of_type``, ``pushers`` (or None), ``code_known`` (hashes by role), ``now_ms``,
        ``settings`` (fields of GateSettings by name).

    Returns: the fields of the GateDecision, and ``text``, as DECISION_FILE.

    Raises:
      GraphletsError: there is no decision.
    """
    model = load_waste_model(arguments["model"])
    roles = {name: Role(role) for name, role in arguments["role_of_type"].items()}
    given = Declared.of(roles, arguments["pushers"])
    if given:
        check_declared(model.declared, given)
    request = Request(
        model.stage,
        arguments["pipeline"],
        arguments["run"],
        {},
        role_of_type=model.declared.role_of_type,
        trainers=tuple(TrainerWanted(node) for node in arguments["nodes"]),
        pushers=model.declared.pushers,
        code_known=arguments["code_known"],
    )
    with open_store(arguments["store"]) as store:
        found = collect(store, request, arguments["now_ms"])
    past_nodes = set() if found.past is None else set(found.past.node)
    for node in arguments["nodes"]:  # its id, or the name of its context
        names = {node, node.removeprefix(f"{arguments['pipeline']}.")}
        if not names & past_nodes:
            known = ", ".join(map(repr, sorted(past_nodes))) or "none"
            raise InvalidArgumentError(
                "node",
                node,
                f"no Trainer of {arguments['pipeline']} is this node; there are {known}",
            )
    settings = GateSettings(model.stage, **arguments["settings"])
    decision = run_gate(found, lambda: model, settings)
    document = {**dataclasses.asdict(decision), "text": str(decision)}
    return {DECISION_FILE: json.dumps(document).encode()}
