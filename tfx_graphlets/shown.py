"""Text of others where it goes on: bounded, in one line, without what a terminal obeys.

Names and values of a store, and what a driver or a server says, are anybody's:
a name may hold escape sequences, half of a character, or five megabytes.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 2_000  # characters of a reason or of a line of the log
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
# Controls, lone surrogates, separators of lines, and what turns the direction of writing.
_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def shown(text: object, longest: int = LONGEST) -> str:
    r"""The text as one line that can be written anywhere in UTF-8.

    Args:
      text: anything; what is no str is converted.
      longest: number of characters at most; the middle of a longer text is left
        out, so that its end is still told.

    >>> print(shown("a\nb\x1b[31m"), shown("half \ud800"), shown("x" * 30, 11))
    a\nb\x1b[31m half \ud800 xxxxx…xxxxx
    """
    said = str(text)
    if len(said) > longest:
        half = (longest - 1) // 2
        said = f"{said[: longest - 1 - half]}{_ELLIPSIS}{said[len(said) - half :]}"
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], said)
