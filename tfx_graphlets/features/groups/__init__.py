"""The groups of features: each is declared, worded and computed in its module."""

from __future__ import annotations

from tfx_graphlets.features.groups import (
    code,
    evaluation,
    history,
    input_data,
    model,
    rehearsal,
    shape,
)
from tfx_graphlets.features.table import FeatureGroup

# Their order is that of the columns.
GROUPS: tuple[FeatureGroup, ...] = (
    input_data.GROUP,
    code.GROUP,
    model.GROUP,
    shape.GROUP,
    history.GROUP,
    evaluation.GROUP,
    rehearsal.GROUP,
)
