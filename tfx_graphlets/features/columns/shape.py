"""Group ``shape`` in columns; see ``features.shape``."""

from __future__ import annotations

import numpy as np

from tfx_graphlets.features import shape
from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.windows import ratio
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Role, Stage


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by feature name, float64 [rows], NaN where missing."""
    entries, row, execution = rows.entries, rows.own_row, rows.own_execution
    part, role = entries.part[rows.own_entry], entries.role[rows.own_entry]
    num_in = np.diff(entries.edges.inputs.start)
    num_out = np.diff(entries.edges.outputs.start)
    values: dict[str, FloatArray] = {}
    before = (part != Part.TRAINER) & (part != Part.DOWNSTREAM)
    groups = [
        (before, False, (*shape.AT_INPUT, *(shape.BEFORE if rows.reaches(Stage.PRE) else ())))
    ]
    if rows.reaches(Stage.VALIDATION):
        groups.append((part == Part.DOWNSTREAM, True, shape.AFTER))
    for chosen, is_after, wanted in groups:
        cell = row[chosen] * len(Role) + role[chosen]
        num_cells = len(rows) * len(Role)
        count = np.bincount(cell, minlength=num_cells).reshape(len(rows), -1)
        taken = np.bincount(cell, num_in[execution[chosen]], num_cells).reshape(len(rows), -1)
        put = np.bincount(cell, num_out[execution[chosen]], num_cells).reshape(len(rows), -1)
        for one in wanted:
            name = shape.name_of(one, is_after)
            values[f"{name}_executions"] = count[:, one].astype(float)
            values[f"{name}_in"] = ratio(taken[:, one], count[:, one])
            values[f"{name}_out"] = ratio(put[:, one], count[:, one])
    if rows.reaches(Stage.TRAINER):
        values["shape.trainer_in"] = num_in[rows.trainer].astype(float)
        values["shape.trainer_out"] = num_out[rows.trainer].astype(float)
    return values
