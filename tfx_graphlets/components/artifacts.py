"""Artifact types of the gate, and the keys of what is written on them.

Kubeflow imports a custom artifact type by its TYPE_NAME, so each class is also
reachable as ``tfx_graphlets.<class name>``; and it carries no PROPERTIES there,
so everything on these artifacts is a custom property.
"""

from __future__ import annotations

from tfx import v1 as tfx


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
