"""Group ``evaluation`` in columns; see ``features.evaluation``.

Without payloads no metric is known: what comes from metrics is missing.
"""

from __future__ import annotations

import numpy as np

from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.windows import at, ratio
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Outcome, Stage


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by feature name, float64 [rows], NaN where missing."""
    window = rows.window
    values: dict[str, FloatArray] = {
        f"blessed_{n}": at(window.blessed, window.nth(n)) for n in (1, 2, 3)
    }
    spoken, good = ~np.isnan(window.blessed), window.blessed == 1.0
    recent = window.in_last_flagged(spoken, 5)
    values["blessed_rate_5"] = ratio(window.count(good & recent), window.count(recent))
    not_pushed = good & (window.outcome == Outcome.UNPUSHED)
    values["blessed_not_pushed_1"] = at(not_pushed, window.last(spoken))
    recent = window.in_last_flagged(good, 5)
    values["blessed_not_pushed_5"] = 1.0 - ratio(
        window.count(window.pushed & recent), window.count(recent)
    )
    last = window.last_blessed
    values["runs_since_blessed"] = np.where(last >= 0, window.start[1:] - 1 - last, np.nan)
    margin, passes, known = window.clone
    values["clone_margin"] = np.where(known, margin, np.nan)
    values["clone_passes"] = np.where(known, passes, np.nan)
    if rows.reaches(Stage.VALIDATION):
        values["blessed"] = rows.own.blessed
        said = rows.entries.verdicts
        values["infra_blessed"] = said.of_infra(rows.own_row, rows.own_entry, len(rows))
    return {f"evaluation.{name}": value for name, value in values.items()}
