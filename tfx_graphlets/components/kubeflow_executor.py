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
from typing import Final

RUN_DRIVER_FIRST: Final = "--run_driver_first"

_EXECUTOR = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_DRIVER = "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver"
_INVOCATION = "--json_serialized_invocation_args"
_INPUTS_SPEC = "--json_serialized_inputs_spec_args"


def with_types(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a type for every input artifact that has none.

    Args:
      arguments: of the container; ``NAME VALUE`` and ``NAME=VALUE`` are read.

    Returns:
      The same arguments; in the ExecutorInput each input artifact without a
      type, or with an empty one, has that of the component's inputs.
      Unchanged where the inputs are not given, or nothing is missing.
    """
    given = list(arguments)
    invocation, inputs = _value(given, _INVOCATION), _value(given, _INPUTS_SPEC)
    if invocation is None or inputs is None:
        return given
    document = json.loads(given[invocation].partition(f"{_INVOCATION}=")[2] or given[invocation])
    spec = json.loads(given[inputs].partition(f"{_INPUTS_SPEC}=")[2] or given[inputs])
    for key, defined in spec.get("artifacts", {}).items():
        found = document.get("inputs", {}).get("artifacts", {}).get(key, {})
        for artifact in found.get("artifacts", ()):
            if not _has_type(artifact):
                artifact["type"] = defined["artifactType"]
    prefix = f"{_INVOCATION}=" if given[invocation].startswith(f"{_INVOCATION}=") else ""
    given[invocation] = prefix + json.dumps(document)
    return given


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
