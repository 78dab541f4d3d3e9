"""Group ``rehearsal`` in columns; see ``features.rehearsal``.

Margins stand on the artifacts. Without payloads no real margin is known, and so
no pair: chances are missing.
"""

from __future__ import annotations

import numpy as np

from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.rehearsals import Rehearsals
from tfx_graphlets.rehearsal.record import MARGINS
from tfx_graphlets.trace.trace import FloatArray


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by feature name, float64 [rows], NaN where missing."""
    entries = rows.entries
    rehearsals = entries.once("rehearsals", "", lambda: Rehearsals(entries.graphlets))
    if not rehearsals:
        return {}
    values = {f"rehearsal.{name}": np.full(len(rows), np.nan) for name in MARGINS}
    for row, (graphlet, moment_ms) in enumerate(zip(rows.graphlet, rows.moment_ms)):
        found = rehearsals.of(int(graphlet), rows.stage, int(moment_ms))
        for name, margin in found.margins.items() if found else ():
            values[f"rehearsal.{name}"][row] = margin
    return values
