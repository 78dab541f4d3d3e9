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
from tfx_graphlets.report.summary import summary


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """Where the compute of some stores went.

    In a notebook it shows its first screen; ``save`` writes the page.

    Attributes:
      view: the document of ``view_of``.
      sources: the stores that it was made from, for the page's graphs; they may be closed.
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
