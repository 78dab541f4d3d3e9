"""Waste model: learns which graphlets never reach serving.

``dataset`` holds what is learnt from, ``learner`` the forest (the only file
that imports ydf), ``model`` the trained model and its directory, ``training``
the honest scores and the threshold, ``evaluation`` and ``baselines`` what it
is judged by. Importing this package loads none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfx_graphlets.waste_model.dataset import Dataset
    from tfx_graphlets.waste_model.evaluation import WasteModelEvaluation, evaluate_model
    from tfx_graphlets.waste_model.model import WasteModel, load_waste_model
    from tfx_graphlets.waste_model.training import train_waste_model

_HOME: Final = {
    "Dataset": "dataset",
    "train_waste_model": "training",
    "WasteModel": "model",
    "load_waste_model": "model",
    "WasteModelEvaluation": "evaluation",
    "evaluate_model": "evaluation",
}

__all__ = [
    "Dataset",
    "WasteModel",
    "WasteModelEvaluation",
    "evaluate_model",
    "load_waste_model",
    "train_waste_model",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
