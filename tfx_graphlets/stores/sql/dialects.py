"""What the backends of ML Metadata write in SQL in different ways."""

from __future__ import annotations

import dataclasses
from typing import Final

from tfx_graphlets.trace.odd_rows import ODD


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How one backend writes what the others write in another way.

    Attributes:
      integer, real, text: an expression of that type of ``{column}``, ``{null}``,
        0 or empty for NULL, and ODD for what is no number (see ``trace.odd_rows``).
      is_real: whether ``{column}`` is a number.
      flag: 1 where ``{column}`` is true, else 0, and ODD for what is neither.
      unindexed: stands before a column that no index is to be used for.
      in_row_order: stands behind a table's name to read it row by row, not
        along an index.
      order_of_rows: what orders rows as they were written, at the end.
      escapes: characters that a string literal has to double.
    """

    integer: str
    real: str
    text: str
    is_real: str = "TRUE"
    flag: str = "CASE WHEN {column} THEN 1 ELSE 0 END"
    unindexed: str = ""
    in_row_order: str = ""
    order_of_rows: str = ""
    escapes: str = "'"

    def literal(self, text: str) -> str:
        """The string in quotes."""
        for character in self.escapes:
            text = text.replace(character, 2 * character)
        return f"'{text}'"


SQLITE: Final = Dialect(
    # A text or a blob is larger than any number.
    integer=(
        f"CAST(CASE WHEN {{column}} BETWEEN {-(2**63)} AND {2**63 - 1} THEN {{column}} "
        f"WHEN {{column}} IS NULL THEN {{null}} ELSE {ODD} END AS INTEGER)"
    ),
    real="CAST(coalesce({column}, 0.0) AS REAL)",
    text="CAST(coalesce({column}, '') AS TEXT)",
    is_real="typeof({column}) IN ('real', 'integer')",
    flag=(
        "CASE WHEN {column} BETWEEN 0 AND 1 THEN CAST({column} AS INTEGER) "
        f"WHEN {{column}} IS NULL THEN 0 ELSE {ODD} END"
    ),
    unindexed="+",
    in_row_order=" NOT INDEXED",
    order_of_rows=" ORDER BY EventPath.rowid",
)
MYSQL: Final = Dialect(
    integer="CAST(coalesce({column}, {null}) AS SIGNED)",
    real="coalesce({column}, 0e0)",
    text="coalesce({column}, '')",
    escapes="\\'",
)
POSTGRESQL: Final = Dialect(
    integer="CAST(coalesce({column}, {null}) AS BIGINT)",
    real="coalesce({column}, CAST(0 AS DOUBLE PRECISION))",
    text="coalesce({column}, '')",
    order_of_rows=" ORDER BY EventPath.ctid",
)
