"""The child: does a task, answers, and ends without ceremony, or waits a little for the next.

The answer on its standard output: the length of the rest as a line; a line of
JSON (``contents`` with names and lengths, ``error``, ``log``); the contents.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import logging
import math
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final

from tfx_graphlets.errors import Fault, GraphletsError, fault_of, in_one_line

_TASKS: Final = "tfx_graphlets.supervision.tasks"
_MOST_RECORDS: Final = 200
_GRACE_SECONDS: Final = 2  # until it ends by itself if its parent does not end it
_BEFORE_SECONDS: Final = 0.25  # the time limit: it writes what it is doing


class _Records(logging.Handler):
    """Keeps what is logged, for the parent to log."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the first of the records."""
        if len(self.kept) < _MOST_RECORDS:
            self.kept.append((record.levelno, record.name, self.format(record)))


def main() -> None:
    """Reads a job, does it, writes the answer; ends the process, or waits for another job."""
    answer = os.dup(1)
    os.dup2(2, 1)  # native code that prints does not print into the answer
    records = _Records()
    logging.getLogger().addHandler(records)
    while line := sys.stdin.buffer.readline():
        job = json.loads(line)
        _limit(job["deadline"] - time.monotonic())
        records.kept.clear()
        logging.getLogger().setLevel(job["level"])
        error: dict[str, str] | None = None
        contents: dict[str, bytes] = {}
        try:
            tasks = importlib.import_module(_TASKS)
            contents = getattr(tasks, job["task"])(job["arguments"])
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the parent tells it
            error = plain_error(raised)
        _write(answer, contents, error, records.kept)
        if error or not job["idle_seconds"]:
            break
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(math.ceil(job["idle_seconds"]) + _GRACE_SECONDS)
        with contextlib.suppress(BaseException):  # the next job says what is wrong
            tasks.make_ready()
    os._exit(0)  # native threads and destructors could hang or abort


def plain_error(raised: BaseException) -> dict[str, str]:
    """An error as plain values: ``text``, ``fault``, ``kind``, ``traceback``."""
    unforeseen = not isinstance(raised, GraphletsError)
    shown = ""
    if unforeseen and fault_of(raised) is Fault.BUG:
        with contextlib.suppress(Exception):
            shown = "".join(traceback.format_exception(type(raised), raised, raised.__traceback__))
    return {
        "text": in_one_line(raised),
        "fault": str(fault_of(raised)),
        "kind": type(raised).__name__,
        "traceback": shown[-10_000:],
    }


def _limit(seconds: float) -> None:
    """Last resorts, where the parent does not live to end this process."""
    seconds = max(seconds, _BEFORE_SECONDS)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)
    faulthandler.dump_traceback_later(max(seconds - _BEFORE_SECONDS, seconds / 2), file=sys.stderr)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # a machine without memory ends this process first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _write(
    answer: int,
    contents: dict[str, bytes],
    error: dict[str, str] | None,
    log: list[tuple[int, str, str]],
) -> None:
    header: dict[str, Any] = {
        "contents": [(name, len(content)) for name, content in contents.items()],
        "error": error,
        "log": log,
    }
    rest = b"".join([json.dumps(header).encode(), b"\n", *contents.values()])
    with os.fdopen(os.dup(answer), "wb") as sink:
        sink.write(f"{len(rest)}\n".encode())
        sink.write(rest)
