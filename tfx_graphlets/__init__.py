"""tfx_graphlets: see which trainings never reach serving, and skip the next one.

    store --read--> Trace --segment--> Graphlets --describe--> FeatureTable
          --predict--> P(push) --decide--> RUN | SKIP

The names below are in that order. Importing this package loads numpy at most:
a name is imported when it is first used, so that reading a store needs neither
TFX nor TensorFlow, and those of the last group need TFX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.version import __version__
from tfx_graphlets.vocabulary import Outcome, Role, Stage

if TYPE_CHECKING:
    from tfx_graphlets.analysis.corpus import describe_store
    from tfx_graphlets.components.archiver import Archiver
    from tfx_graphlets.components.artifacts import (
        Archive,
        GateDecision,
        GateVerdict,
        Graphlets,
        Rehearsal,
        WasteModel,
    )
    from tfx_graphlets.components.conditions import check_gated, proceed
    from tfx_graphlets.components.graphlet_gen import GraphletGen
    from tfx_graphlets.components.kubeflow import compile_for_kubeflow
    from tfx_graphlets.components.placement import gate_downstream, gate_pipeline
    from tfx_graphlets.components.waste_gate import WasteGate
    from tfx_graphlets.components.waste_model_trainer import WasteModelTrainer
    from tfx_graphlets.features import describe
    from tfx_graphlets.features.table import FeatureTable
    from tfx_graphlets.graphlets.segmentation import segment
    from tfx_graphlets.policy.decide import GatePolicy, GateState, decide
    from tfx_graphlets.stores.store import open_store
    from tfx_graphlets.trace.trace import Trace
    from tfx_graphlets.waste_model import load_waste_model, train_waste_model

_HOME: Final = {
    # Read a store into a trace, cut it, describe the pieces.
    "open_store": "stores.store",
    "Trace": "trace.trace",
    "segment": "graphlets.segmentation",
    "describe": "features",
    "describe_store": "analysis.corpus",
    "FeatureTable": "features.table",
    # Learn and decide; backtest.backtest replays the decisions over the past.
    "train_waste_model": "waste_model",
    "load_waste_model": "waste_model",
    "GatePolicy": "policy.decide",
    "GateState": "policy.decide",
    "decide": "policy.decide",
    # In a TFX pipeline. The artifact types have their home here because
    # Kubeflow imports an artifact type by the path that its TYPE_NAME states;
    # the values they hold are graphlets.graphlet.Graphlets, waste_model.model.WasteModel,
    # policy.decide.GateDecision and rehearsal.Rehearsed. The component Rehearsal is
    # components.rehearsal.Rehearsal.
    "GraphletGen": "components.graphlet_gen",
    "WasteModelTrainer": "components.waste_model_trainer",
    "WasteGate": "components.waste_gate",
    "proceed": "components.conditions",
    "check_gated": "components.conditions",
    "gate_pipeline": "components.placement",
    "gate_downstream": "components.placement",
    "compile_for_kubeflow": "components.kubeflow",
    "Graphlets": "components.artifacts",
    "WasteModel": "components.artifacts",
    "GateDecision": "components.artifacts",
    "GateVerdict": "components.artifacts",
    "Rehearsal": "components.artifacts",
    "Archiver": "components.archiver",
    "Archive": "components.artifacts",
}

__all__ = [
    "Archive",
    "Archiver",
    "FeatureTable",
    "GateDecision",
    "GatePolicy",
    "GateState",
    "GateVerdict",
    "GraphletGen",
    "Graphlets",
    "GraphletsError",
    "Outcome",
    "Rehearsal",
    "Role",
    "Stage",
    "Trace",
    "WasteGate",
    "WasteModel",
    "WasteModelTrainer",
    "__version__",
    "check_gated",
    "compile_for_kubeflow",
    "decide",
    "describe",
    "describe_store",
    "gate_downstream",
    "gate_pipeline",
    "load_waste_model",
    "open_store",
    "proceed",
    "segment",
    "train_waste_model",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
