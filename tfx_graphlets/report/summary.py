"""The report in a few lines, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_graphlets.analysis.prices import MS_PER_HOUR


def summary(view: Mapping[str, Any]) -> str:
    """What the first screen of a report says.

    Args:
      view: the document of ``view_of``.
    """
    first, currency = view["first"], view["settings"]["currency"]
    counts = ", ".join(f"{count} {name}" for name, count in first["outcomes"].items() if count)
    cost = _cost(first["cost_ms"], first["money"], currency)
    wasted = _cost(first["wasted_ms"], first["wasted_money"], currency)
    lines = [
        f"{first['graphlets']} graphlets of {first['pipelines']} pipelines ({counts or 'none'})",
        f"cost {cost}, wasted {wasted} ({_percent(first['wasted_share'])})",
    ]
    for one in first["worst"]:
        why = "" if one["cause"] is None else f"; {one['cause']} ({_percent(one['cause_share'])})"
        lines.append(
            f"  {one['pipeline'] or '(no pipeline)'}: "
            f"{_cost(one['wasted_ms'], one['wasted_money'], currency)} wasted, most on "
            f"{one['operator']}{why}. {one['advice'] or ''}".rstrip()
        )
    saved = first["would_save"]
    if saved is not None:
        interval = (
            ""
            if saved["low"] is None
            else f" [{_percent(saved['low'])}, {_percent(saved['high'])}]"
        )
        of = "the waste" if saved["graphlets"] == first["graphlets"] else "the waste replayed"
        lines.append(
            f"a gate at stage {saved['stage']} that keeps {saved['freshness']:g} of the pushes "
            f"would have saved {_percent(saved['waste_removed'])}{interval} of {of}, "
            f"{_cost(saved['saved_ms'], saved['money'], currency)}; "
            f"{saved['pushes_missed']} of {saved['pushes']} pushes missed"
        )
    did = first["did_save"]
    if did is not None:
        lines.append(
            f"gates saved about {_cost(did['saved_ms'], did['money'], currency)} by "
            f"{did['skips']} skips in {did['decisions']} decisions"
        )
    return "\n".join([*lines, *view["notes"]])


def _cost(cost_ms: float, money: float | None, currency: str | None) -> str:
    hours = f"{cost_ms / MS_PER_HOUR:,.2f} h"
    return hours if money is None or currency is None else f"{hours} ({money:,.2f} {currency})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
