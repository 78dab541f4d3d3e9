"""Mark: up to where the tables of a store were read whose rows the archive does not number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tfx_graphlets.trace.trace import BoolArray, IntArray

# Servers number rows when they are inserted and show them when they are
# committed: below the highest id, so many ids may still turn up.
LATE_IDS: Final = 10_000


@dataclasses.dataclass(frozen=True)
class TableMark:
    """Which rows of a table were read.

    Attributes:
      highest: the highest id, -1 where there was none.
      missing: ranges (first, last) of ids that were not there, among the last
        LATE_IDS below ``highest``.
    """

    highest: int = -1
    missing: tuple[tuple[int, int], ...] = ()

    @property
    def lowest_late(self) -> int:
        """The lowest id that may still turn up."""
        return self.missing[0][0] if self.missing else self.highest + 1

    def unread(self, ids: IntArray) -> BoolArray:
        """True for ids that were not read, bool [n]."""
        result = ids > self.highest
        for first, last in self.missing:
            result |= (ids >= first) & (ids <= last)
        return result

    @classmethod
    def after(cls, highest: int, recent: IntArray) -> TableMark:
        """The mark of a table that was read as it is.

        Args:
          highest: its highest id, -1 where it is empty.
          recent: all its ids from ``highest - LATE_IDS`` on, ascending.
        """
        if highest < 0:
            return cls()
        edges = np.concatenate(([max(highest - LATE_IDS, 0)], recent[recent > 0]))
        gaps = np.flatnonzero(np.diff(edges) > 1)
        return cls(highest, tuple((int(edges[gap]) + 1, int(edges[gap + 1]) - 1) for gap in gaps))


@dataclasses.dataclass(frozen=True)
class Mark:
    """Up to where a store was read; nodes are found again by their own columns.

    Attributes:
      events, contexts, associations, attributions: the tables of that name.
    """

    events: TableMark
    contexts: TableMark
    associations: TableMark
    attributions: TableMark

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {
            name: {"highest": table.highest, "missing": [list(gap) for gap in table.missing]}
            for name, table in self.tables().items()
        }

    def tables(self) -> Mapping[str, TableMark]:
        """The mark of each table, by name."""
        return {
            "events": self.events,
            "contexts": self.contexts,
            "associations": self.associations,
            "attributions": self.attributions,
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Mark:
        """From the form of ``to_dict``; KeyError, TypeError or ValueError if it is none."""
        return cls(
            **{
                field.name: TableMark(
                    int(content[field.name]["highest"]),
                    tuple((int(a), int(b)) for a, b in content[field.name]["missing"]),
                )
                for field in dataclasses.fields(cls)
            }
        )
