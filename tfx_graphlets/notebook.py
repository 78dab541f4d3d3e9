"""Values as small tables of HTML, for notebooks: no script, no style sheet, all text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

LONGEST: Final = 1_000  # characters of a cell
_CELL: Final = "text-align:left;vertical-align:top"


class Things(Protocol):
    """Many of a kind, in order."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, number: int, /) -> object:
        """One of them."""


def table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
) -> str:
    """A table with a sentence above it, and one below.

    >>> print(table("One <run>.", [], [["r&1"]]).replace(f' style="{_CELL}"', ""))
    <p>One &lt;run&gt;.</p><table><tbody><tr><td>r&amp;1</td></tr></tbody></table>

    Args:
      caption: stands above; "" for none.
      header: titles of the columns; none for a table without a head.
      rows: cells; None is an empty one.
      note: stands below; "" for none.

    Returns: HTML that can be written as UTF-8, whatever the texts hold.
    """
    head = _row("th", header)
    body = "".join(_row("td", row) for row in rows)
    parts = [
        f"<p>{escaped(caption)}</p>" if caption else "",
        f"<table>{f'<thead>{head}</thead>' if header else ''}<tbody>{body}</tbody></table>",
        f"<p>{escaped(note)}</p>" if note else "",
    ]
    return "".join(parts)


def latest(caption: str, things: Things, names: Sequence[str], most: int = 20) -> str:
    """The last of many things, the latest first, by some of their attributes.

    >>> latest("Two.", ["a", "b"], ["__len__"], most=1).endswith("<p>1 earlier is not shown.</p>")
    True

    Args:
      caption: see ``table``.
      things: in the order of time.
      names: of attributes, a column each.
      most: how many are shown.
    """
    shown = [things[at] for at in range(len(things))[-most:]]
    rows = [[getattr(one, name) for name in names] for one in reversed(shown)]
    left = len(things) - len(shown)
    note = f"{left:,} earlier {'is' if left == 1 else 'are'} not shown." if left else ""
    return table(caption, names, rows, note)


def escaped(value: object) -> str:
    """A value as text that no browser takes for markup, cut where it is very long."""
    text = "" if value is None else str(value)
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    plain = (c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return html.escape("".join(plain))


def _row(tag: str, cells: Sequence[object]) -> str:
    inner = "".join(f'<{tag} style="{_CELL}">{escaped(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"
