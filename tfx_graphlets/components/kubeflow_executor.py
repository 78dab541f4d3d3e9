"""The command of a container on open-source Kubeflow Pipelines: TFX's own, with its inputs mended.

``python -m tfx_graphlets.components.kubeflow_executor`` takes the arguments of
``tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor``, and ends
in it. TFX wrote that one for Vertex AI; open-source KFP differs in two ways,
which make every TFX component fail there that takes an artifact in:

- its driver hands input artifacts on without their type (tensorflow/tfx issue
  7768). The type is taken from the component's own inputs, which stand in the
  argument ``--json_serialized_inputs_spec_args`` (pipeline spec 2.1);
- it runs no hook before the container, where TFX puts the driver of
  file-based ExampleGens. With ``--run_driver_first`` it is run here.

``components.kubeflow.compile_for_kubeflow`` sets both up. Nothing of TFX is
changed, and on Vertex AI this command does what TFX's own does.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

RUN_DRIVER_FIRST: Final = "--run_driver_first"

_EXECUTOR = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_DRIVER = "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver"
_INVOCATION = "--json_serialized_invocation_args"
_INPUTS_SPEC = "--json_serialized_inputs_spec_args"

Document = dict[str, Any]


def with_types(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a type for every input artifact that has none.

    Args:
      arguments: of the container; ``NAME VALUE`` and ``NAME=VALUE`` are read.

    Returns:
      The same arguments; in the ExecutorInput each input artifact without a
      type, or with an empty one, has that of the component's inputs.
      Unchanged where the inputs are not given, or nothing is missing.
    """
    given, spec = _document(arguments, _INVOCATION), _document(arguments, _INPUTS_SPEC)
    if given is None or spec is None:
        return list(arguments)
    for key, defined in spec.get("artifacts", {}).items():
        for artifact in _artifacts(given, "inputs", key):
            if not _has_type(artifact):
                artifact["type"] = defined["artifactType"]
    return _with_invocation(arguments, given)


def with_driver_output(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the metadata that a driver has written for the output artifacts.

    Vertex AI takes over what the driver has left in ``executor_output.json``
    (an ExampleGen's span and fingerprint) before it starts the container.
    """
    given = _document(arguments, _INVOCATION)
    place = Path(given.get("outputs", {}).get("outputFile", "")) if given else Path()
    if given is None or not place.is_file():
        return list(arguments)
    left = json.loads(place.read_text(encoding="utf-8"))
    for key, found in left.get("artifacts", {}).items():
        for artifact, written in zip(_artifacts(given, "outputs", key), found["artifacts"]):
            artifact["metadata"] = {**artifact.get("metadata", {}), **written.get("metadata", {})}
    return _with_invocation(arguments, given)


def _artifacts(document: Document, part: str, key: str) -> list[Document]:
    found: list[Document] = (
        document.get(part, {}).get("artifacts", {}).get(key, {}).get("artifacts", [])
    )
    return found


def _document(arguments: Sequence[str], name: str) -> Document | None:
    """The JSON document that an argument holds; None if it is not given."""
    place = _value(arguments, name)
    if place is None:
        return None
    document: Document = json.loads(arguments[place].removeprefix(f"{name}="))
    return document


def _with_invocation(arguments: Sequence[str], document: Document) -> list[str]:
    changed, place = list(arguments), _value(arguments, _INVOCATION)
    if place is not None:
        prefix = f"{_INVOCATION}=" if changed[place].startswith(f"{_INVOCATION}=") else ""
        changed[place] = prefix + json.dumps(document)
    return changed


def _value(arguments: Sequence[str], name: str) -> int | None:
    """Place of the word that holds the value of an argument; None if it is not given."""
    for place, word in enumerate(arguments):
        if word.startswith(f"{name}="):
            return place
        if word == name and place + 1 < len(arguments):
            return place + 1
    return None


def _has_type(artifact: Mapping[str, object]) -> bool:
    found = artifact.get("type")
    return isinstance(found, Mapping) and any(found.values())


def main(arguments: Sequence[str]) -> None:
    """Runs the driver if asked to, then the executor; ends the process as they do."""
    mended = with_types([word for word in arguments if word != RUN_DRIVER_FIRST])
    if RUN_DRIVER_FIRST in arguments:
        _run(_DRIVER, mended)
        mended = with_driver_output(mended)
    _run(_EXECUTOR, mended)


def _run(module: str, arguments: Sequence[str]) -> None:
    """Runs a module as ``python -m`` does; returns if it ends well."""
    before = sys.argv
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.argv = before


if __name__ == "__main__":
    main(sys.argv[1:])
