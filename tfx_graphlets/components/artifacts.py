"""Artifact types of the gate, and the keys of what is written on them.

Kubeflow imports a custom artifact type by its TYPE_NAME, so each class is also
reachable as ``tfx_graphlets.<class name>``; and it carries no PROPERTIES there,
so everything on these artifacts is a custom property.
"""

from __future__ import annotations

import builtins
import json

from tfx import v1 as tfx

from tfx_graphlets import notebook
from tfx_graphlets.gate import keys


class Graphlets(tfx.dsl.Artifact):
    """The current graphlet's features and the labelled graphlets before it."""

    TYPE_NAME = "tfx_graphlets.Graphlets"


class WasteModel(tfx.dsl.Artifact):
    """A directory that ``tfx_graphlets.waste_model.WasteModel.load`` reads."""

    TYPE_NAME = "tfx_graphlets.WasteModel"


class Archive(tfx.dsl.Artifact):
    """Where the archive of a metadata store is, and what was added to it."""

    TYPE_NAME = "tfx_graphlets.Archive"


class GateDecision(tfx.dsl.Artifact):
    """Whether to train, and why; of a skipped run the only trace."""

    TYPE_NAME = "tfx_graphlets.GateDecision"


class Rehearsal(tfx.dsl.Artifact):
    """What small models said before the Trainer ran; see ``tfx_graphlets.rehearsal``."""

    TYPE_NAME = "tfx_graphlets.Rehearsal"


class GateVerdict(tfx.dsl.Artifact):
    """Yes or no, and nothing else: the same artifact whenever a gate says yes.

    TFX's cache key takes in the artifact that a condition asks. A GateDecision
    is another one in every run; this one is put out again, so that what the gate
    lets through is found in the cache as it would be without a gate.
    """

    TYPE_NAME = "tfx_graphlets.GateVerdict"


# What is told first of an artifact; whatever else stands on it follows.
_FIRST = (keys.PROCEED, keys.REASON, keys.PROBABILITY, keys.THRESHOLD, keys.STAGE, keys.USABLE)
_LISTS = {  # properties that hold a list as JSON, with the titles of what each entry holds
    keys.TOP_FEATURES: ("Feature", "Value", "Effect"),
    keys.SIMILAR_GRAPHLETS: ("Similar graphlet", "Pushed", "Similarity"),
}


def html_of(artifact: tfx.dsl.Artifact) -> str:
    """An artifact of this project as HTML, for a notebook.

    Everything that stands on it; of a decision what spoke for and against it, of graphlets the
    features of the current one. What cannot be read is left as it stands.
    """
    said = {
        name: getattr(value, str(value.WhichOneof("value")))
        for name, value in artifact.mlmd_artifact.custom_properties.items()
        if value.WhichOneof("value")
    }
    first = {name: place for place, name in enumerate(_FIRST)}
    plain = sorted(
        said.keys() - _LISTS.keys(), key=lambda name: (first.get(name, len(first)), name)
    )
    parts = [notebook.table(artifact.type_name, (), [(name, said[name]) for name in plain])]
    for name, header in _LISTS.items():
        if name in said:
            try:
                parts.append(
                    notebook.table("", header, [list(one) for one in json.loads(said[name])])
                )
            except (ValueError, TypeError, RecursionError):
                parts.append(notebook.table(name, (), [(said[name],)]))
    if artifact.type_name == Graphlets.TYPE_NAME and artifact.uri:
        parts.append(_current(artifact.uri))
    return "".join(parts)


def _current(uri: str) -> str:
    """Features of the current graphlet of each Trainer node, as a table."""
    from tfx_graphlets.components.artifact_files import read_files
    from tfx_graphlets.gate.graphlets_file import FILES, GraphletsFormatError, from_files

    try:
        history = from_files(read_files(uri, FILES))
    except (GraphletsFormatError, OSError) as error:
        return notebook.table(str(error), (), ())
    if history.current is None:
        return notebook.table(str(history), (), ())
    rows = []
    for feature in history.current.features:
        values = history.current.columns[feature.name]
        if any(value is not None and value == value for value in values):  # noqa: PLR0124 - NaN
            rows.append((feature.name, *values, feature.unit))
    header = "Feature", *([node or "Value" for node in history.nodes] or ["Value"]), "Unit"
    missing = len(history.current.features) - len(rows)
    return notebook.table(str(history), header, rows, f"{missing} features are missing.")


def register_visualizations() -> None:
    """Has InteractiveContext's ``show`` show the artifacts of this project."""
    from IPython.display import HTML, display
    from tfx.orchestration.experimental.interactive import visualizations

    def show(_: object, artifact: tfx.dsl.Artifact) -> None:
        display(HTML(html_of(artifact)))

    for kind in (Graphlets, WasteModel, Archive, GateDecision, Rehearsal, GateVerdict):
        members = {"ARTIFACT_TYPE": kind, "display": show}
        shown = type(
            f"{kind.__name__}Visualization", (visualizations.ArtifactVisualization,), members
        )
        visualizations.get_registry().register(shown)


if getattr(builtins, "__IPYTHON__", None):  # how TFX itself tells a notebook
    register_visualizations()
