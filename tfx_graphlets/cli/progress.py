"""What a command is doing, and for how long: one line on standard error, where that is a terminal.

Every command has it, from its fourth second on: a store of years takes minutes to read, and
nobody should have to guess whether anything goes on. It says the step, and how much of the step
is done where that is known.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar

from tfx_graphlets.errors import shown

if TYPE_CHECKING:
    from typing_extensions import Self

_AFTER_S: Final = 3.0
_EVERY_S: Final = 0.5
_CLEAR: Final = "\r\x1b[K"
_T = TypeVar("_T")


class Progress:
    """The line of one command; it says nothing before ``with``, and where nobody looks on."""

    def __init__(self) -> None:
        self._step, self._done, self._total = "opening", 0, 0
        self._thread: threading.Thread | None = None
        self._is_over = threading.Event()
        self._start = time.monotonic()

    def step(self, text: str) -> None:
        """A next step, of unknown length."""
        self._step, self._done, self._total = text, 0, 0

    def report(self, done: int, total: int, part: str = "", /) -> None:
        """How much of a step is done, and which part is being worked on."""
        self._step, self._done, self._total = part or self._step, done, total

    def over(self, items: Iterable[_T], total: int) -> Iterator[_T]:
        """The items, reporting how many are done."""
        for done, item in enumerate(items):
            self.report(done, total)
            yield item

    def __enter__(self) -> Self:
        if sys.stderr is not None and sys.stderr.isatty():
            self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def __str__(self) -> str:
        seconds = int(time.monotonic() - self._start)
        time_taken = f"{seconds // 60}:{seconds % 60:02d}"
        count = f" {self._done:,} of {self._total:,}" if self._total else ""
        return f"{time_taken} {shown(self._step)}{count}"

    def _tell(self) -> None:
        # Not through sys.stderr: a fork must not find its lock held.
        with contextlib.suppress(OSError, ValueError):
            where = sys.stderr.fileno()
            if self._is_over.wait(_AFTER_S):
                return
            while True:
                line = str(self)[: shutil.get_terminal_size().columns - 1]
                # The next one to write begins at the left, over this line.
                os.write(where, f"{_CLEAR}{line}\r".encode("utf-8", "replace"))
                if self._is_over.wait(_EVERY_S):
                    os.write(where, _CLEAR.encode())
                    return
