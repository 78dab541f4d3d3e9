"""What adding the gate changes, as a diff that ignores indentation.

python -m pipelines.penguin.difference
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

CONTEXT = 1  # unchanged lines shown around a change


def difference() -> str:
    """The diff from pipeline.py to gated.py; unchanged lines are shown as gated.py has them."""
    here = Path(__file__).parent
    plain = (here / "pipeline.py").read_text(encoding="utf-8").splitlines()
    gated = (here / "gated.py").read_text(encoding="utf-8").splitlines()
    matcher = difflib.SequenceMatcher(
        None, [line.strip() for line in plain], [line.strip() for line in gated], autojunk=False
    )
    return "\n".join(_lines(matcher, plain, gated)) + "\n"


def _lines(
    matcher: difflib.SequenceMatcher[str], plain: list[str], gated: list[str]
) -> Iterator[str]:
    yield "--- pipelines/penguin/pipeline.py"
    yield "+++ pipelines/penguin/gated.py"
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number:
            yield " ..."
        for tag, old, old_end, new, new_end in group:
            if tag == "equal":
                yield from (f" {line}".rstrip() for line in gated[new:new_end])
            else:
                yield from (f"-{line}" for line in plain[old:old_end])
                yield from (f"+{line}" for line in gated[new:new_end])


if __name__ == "__main__":
    sys.stdout.write(difference())
