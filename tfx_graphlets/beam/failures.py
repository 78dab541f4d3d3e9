"""What a job says when a part of it fails."""

from __future__ import annotations

import re
from typing import Final

from tfx_graphlets.errors import GraphletsError

_NAMES_SHOWN: Final = 3
# Beam hands on an error of another process as the text of its traceback; in any
# case it says at the end of the message in which step it happened.
_ERROR_LINE: Final = re.compile(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception)): (.+)$")
_STEP: Final = re.compile(r" \[while running '[^']*'\]$")


class PartFailedError(GraphletsError):
    """A group of pipelines could not be worked on; the job fails with it.

    Unlike other errors it is made of its message alone: it has to survive the
    way from a worker to the driver.

    Attributes:
      reason: the message.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    @classmethod
    def of(cls, pipelines: tuple[str, ...], part: str, error: Exception) -> PartFailedError:
        """The failure of some pipelines, on one line."""
        shown = ", ".join(map(repr, pipelines[:_NAMES_SHOWN]))
        if len(pipelines) > _NAMES_SHOWN:
            shown += f" and {len(pipelines) - _NAMES_SHOWN} more"
        which = f"pipelines {shown}" if pipelines else "executions without a pipeline"
        return cls(f"part {part} ({which}): {' '.join(str(error).split())}")


def reason_of(error: BaseException) -> str:
    """The reason why a job failed, on one line.

    Runners hand on an error of a worker as a text; the line that names the
    error is looked for in it, a PartFailedError's first.
    """
    if isinstance(error, GraphletsError):
        return _STEP.sub("", str(error))
    found = [
        (match[1], _STEP.sub("", match[2]))
        for line in str(error).splitlines()
        if (match := _ERROR_LINE.match(line.strip()))
    ]
    for name, message in found:
        if name == PartFailedError.__name__:
            return message
    if found:
        return ": ".join(found[-1])
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
