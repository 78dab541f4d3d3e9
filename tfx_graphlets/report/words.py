"""Values of the report as a person reads them: costs, shares, moments, names.

The page and the drawings write every value by one of these, so that a test can
hold each number of a page to the document that it was made from.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

UNKNOWN: Final = "\N{EN DASH}"
LONGEST = 200  # characters of a name that a page shows
_MOST = 2_000  # characters of any text that a page holds


def clean(text: str) -> str:
    """The text as a page may hold it: controls and lone surrogates become U+FFFD.

    Of one of more than 2,000 characters (a name in a hostile store may have millions) the middle
    is left out.

    >>> clean("a" + chr(27) + "[31m")
    'a\N{REPLACEMENT CHARACTER}[31m'
    """
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]}\u2026{text[1 - _MOST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in text)


def clipped(text: str, characters: int = LONGEST) -> str:
    """At most so many characters; what is left out is shown by an ellipsis."""
    text = clean(text)
    return text if len(text) <= characters else text[: max(characters - 1, 0)] + "\u2026"


def hours(cost_ms: float | None) -> str:
    """A cost in the largest unit that leaves a number above one.

    >>> hours(1500.0), hours(90_000.0), hours(9_000_000.0)
    ('1.5 s', '1.5 min', '2.5 h')
    """
    if cost_ms is None or math.isnan(cost_ms):
        return UNKNOWN
    for unit, size in (("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if cost_ms >= size or unit == "s":
            return f"{figure(cost_ms / size)} {unit}"
    return UNKNOWN


def figure(value: float | str | None) -> str:
    """A number with three digits that count, thousands set apart.

    >>> figure(12345.6), figure(12.345), figure(0.012345), figure(7)
    ('12,346', '12.3', '0.0123', '7')
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return clipped(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(share: float | None) -> str:
    """A share, 0..1, in percent.

    >>> percent(0.432), percent(0.0042), percent(None) == UNKNOWN
    ('43%', '0.4%', True)
    """
    if share is None or math.isnan(share):
        return UNKNOWN
    return f"{share:.1%}" if 0 < abs(share) < 0.1 else f"{share:.0%}"


def money(amount: float | None) -> str:
    """An amount, without its currency.

    >>> money(1234.5), money(0.0123)
    ('1,234.50', '0.012')
    """
    if amount is None or math.isnan(amount):
        return UNKNOWN
    return f"{amount:,.3f}" if 0 < abs(amount) < 0.1 else f"{amount:,.2f}"


def moment(time_ms: float | None) -> str:
    """A time, milliseconds since the epoch, in UTC; a dash where it is no date.

    >>> moment(0.0)
    '1970-01-01 00:00'
    """
    if time_ms is None:
        return UNKNOWN
    try:
        return dt.datetime.fromtimestamp(time_ms / 1000, dt.timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return UNKNOWN


# How a value of each unit (``Column.unit`` of the tables) is written.
FORMS: Final[Mapping[str, Callable[[Any], str]]] = {
    "ms": hours,
    "share": percent,
    "money": money,
    "moment": moment,
}


def written(value: object, unit: str) -> str:
    """A value of the document in its unit; text as it is, cut where it is very long."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and unit in FORMS:
        return FORMS[unit](value)
    return figure(value if isinstance(value, (int, float, str)) or value is None else str(value))
