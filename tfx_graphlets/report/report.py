"""A report as an object: its document, a few lines, a page, and a notebook's view of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx_graphlets import notebook
from tfx_graphlets.files import replaced_file
from tfx_graphlets.report import words
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.vocabulary import HOUR_MS


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """Where the compute of some stores went.

    In a notebook it shows its first screen; ``save`` writes the page.

    Attributes:
      view: the document of ``view_of``.
      sources: what was read of the stores, for the page's graphs. The stores may be closed once
        ``view_of`` has returned; it reads payloads, so that it needs them open.
    """

    view: Mapping[str, Any]
    sources: Sequence[ReportSource] = dataclasses.field(default=(), repr=False)

    def __str__(self) -> str:
        return summary(self.view)

    def _repr_html_(self) -> str:
        """What was spent and wasted, on what and why, and what gates saved or would save."""
        first, currency = self.view["first"], self.view["settings"]["currency"]

        def cost(of: Mapping[str, Any], name: str) -> str:
            amount = of["money" if name in ("cost", "saved") else f"{name}_money"]
            money = "" if amount is None else f" ({words.money(amount)} {currency})"
            return words.hours(of[f"{name}_ms"]) + money

        counts = ", ".join(f"{n:,} {name}" for name, n in first["outcomes"].items() if n)
        rows = [
            ("Trainings", f"{first['graphlets']:,} of {first['pipelines']:,} pipelines: {counts}"),
            ("Cost", cost(first, "cost")),
            ("Wasted", f"{cost(first, 'wasted')}, {words.percent(first['wasted_share'])}"),
        ]
        for key, title in (("did_save", "Gates saved"), ("would_save", "A gate would have saved")):
            if first[key] is not None:
                said = f"{words.percent(first[key]['waste_removed'])} of the waste"
                if first[key].get("graphlets", first["graphlets"]) < first["graphlets"]:
                    said += f" of {first[key]['graphlets']:,} trainings"
                rows.append((title, f"{cost(first[key], 'saved')}, {said}"))
        worst = [
            (
                one["pipeline"] or "(no pipeline)",
                cost(one, "wasted"),
                one["operator"],
                "" if one["cause"] is None else one["cause"],
                one["advice"],
            )
            for one in first["worst"]
        ]
        header = "Pipeline", "Wasted", "Most on", "Why", "What to do"
        return notebook.table("Where the compute goes", (), rows) + notebook.table(
            "What wastes most", header, worst, " ".join(self.view["notes"])
        )

    def save(self, path: str | Path) -> None:
        """Writes the page, see ``page_of``; the file appears whole or not at all.

        Raises:
          MissingDependencyError: the extra ``report`` is not installed.
          OSError: the file cannot be written.
        """
        from tfx_graphlets.report.page import page_of

        with replaced_file(Path(path)) as draft:
            draft.write_text(page_of(self.view, self.sources), encoding="utf-8")


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
    hours = f"{cost_ms / HOUR_MS:,.2f} h"
    return hours if money is None or currency is None else f"{hours} ({money:,.2f} {currency})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
