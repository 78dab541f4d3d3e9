"""What Evaluators' thresholds say of a model that does as well as the serving one."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.features.contents import text_codes
from tfx_graphlets.payloads.evaluation import clone_margin
from tfx_graphlets.payloads.thresholds import is_config, thresholds_of_config
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, Trace
from tfx_graphlets.vocabulary import PropertyName


@dataclasses.dataclass(frozen=True, eq=False)
class CloneRules:
    """Rules by number; the columns end with one for the number -1, which says nothing.

    Attributes:
      of_execution: int64 [E], number of the rule, -1 where there is no config.
      has_change: bool [rules + 1], a candidate is compared with the serving model.
      margin: float64 [rules + 1], see ``clone_margin``; NaN where not known.
    """

    of_execution: IntArray
    has_change: BoolArray
    margin: FloatArray


def clone_rules(trace: Trace) -> CloneRules:
    """Rules by the ``eval_config`` of every execution, each text read once."""
    properties = trace.executions.properties
    code = text_codes(properties, PropertyName.EVAL_CONFIG, len(trace.executions))
    distinct, place = np.unique(code, return_inverse=True)
    number = np.full(len(distinct), -1, np.int64)
    has_change: list[bool] = []
    margin: list[float] = []
    for at, text_code in enumerate(distinct.tolist()):
        text = properties.strings[text_code] if text_code >= 0 else ""
        thresholds = thresholds_of_config(text) if text else ()
        if not thresholds and not (text and is_config(text)):
            continue
        number[at] = len(margin)
        has_change.append(any(threshold.has_change for threshold in thresholds))
        margin.append(clone_margin({}, thresholds) if has_change[-1] else np.nan)
    return CloneRules(
        number[place.reshape(-1)], np.array([*has_change, False]), np.array([*margin, np.nan])
    )
