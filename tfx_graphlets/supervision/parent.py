"""The parent: starts a task in a process of its own, and ends that at its limits.

A fresh process and no fork: a runner has threads of gRPC, TensorFlow and Beam,
whose locks a fork would copy held. It costs the start of a Python and its
imports (docs/reliability.md has the figures), so that a process which has
described graphlets is kept a little for the decision about them (``process``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, TypeVar

from tfx_graphlets.errors import Fault, GraphletsError, InvalidArgumentError
from tfx_graphlets.supervision.process import (
    IDLE_SECONDS,
    SPARE,
    Process,
    end,
    resident_mb,
    start,
)

DEFAULT_SECONDS: Final = 60.0
DEFAULT_MEMORY_MB: Final = 4_096

_PACKAGE: Final = "tfx_graphlets"
_BEFORE_ANOTHER: Final = ("collect_graphlets",)  # tasks that a decision follows
_LOOK_EVERY: Final = 0.05  # seconds, at memory and deadline
_CHUNK: Final = 1 << 16
_MOST_ANSWERED: Final = 1 << 30  # bytes
_TAIL: Final = 8_192  # bytes of standard error that are kept
_FRAME: Final = re.compile(rf'File ".*?{_PACKAGE}/(\S+\.py)", line (\d+) in (\w+)')

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")


class TaskError(GraphletsError):
    """A task ended without an answer, or with an error.

    Attributes:
      fault: the code.
      kind: name of the class of what was raised in the process; "" where the
        process was ended.
      traceback: of what nobody foresaw; "" for other faults.
    """

    def __init__(self, problem: str, fault: Fault, kind: str = "", traceback: str = "") -> None:
        self.fault = fault
        self.kind = kind
        self.traceback = traceback
        super().__init__(problem)


class _EndedError(TaskError):
    """The process ended without an answer."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of one piece of work.

    Attributes:
      seconds: from ``start`` on.
      memory_mb: resident, in MB of 2**20 bytes; watched where /proc is.
      start: moment of ``time.monotonic``.
    """

    seconds: float = DEFAULT_SECONDS
    memory_mb: int = DEFAULT_MEMORY_MB
    start: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds that are left; 0 once they have passed."""
        return max(self.start + self.seconds - time.monotonic(), 0.0)

    def passed(self, where: str = "") -> TaskError:
        """The error of a limit of time that has passed."""
        place = f" ({where})" if where else ""
        return TaskError(f"the time limit of {self.seconds:g} s has passed{place}", Fault.TIMEOUT)

    @classmethod
    def of(cls, seconds: object = None, memory_mb: object = None) -> Limits:
        """Limits that begin now; None for the default.

        Raises:
          InvalidArgumentError: a value is not above 0.
        """
        return cls(
            check_limit("time_limit_s", DEFAULT_SECONDS if seconds is None else seconds),
            int(
                check_limit(
                    "memory_limit_mb", DEFAULT_MEMORY_MB if memory_mb is None else memory_mb
                )
            ),
        )


def check_limit(name: str, value: object) -> float:
    """The value as a number.

    Raises:
      InvalidArgumentError: it is none above 0, or infinite.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < 1e9:
        raise InvalidArgumentError(name, value, "must be a number above 0")
    return number


def limits_given(time_limit_s: float | None, memory_limit_mb: int | None) -> dict[str, float | int]:
    """The limits that are given, by their names, checked.

    Raises:
      InvalidArgumentError: one is not above 0.
    """
    found: dict[str, float | int] = {}
    if time_limit_s is not None:
        found["time_limit_s"] = check_limit("time_limit_s", time_limit_s)
    if memory_limit_mb is not None:
        found["memory_limit_mb"] = int(check_limit("memory_limit_mb", memory_limit_mb))
    return found


def run_task(task: str, arguments: Mapping[str, Any], limits: Limits) -> dict[str, bytes]:
    """Does a task of ``tasks`` in a process of its own.

    Args:
      task: name of a function of ``tasks``.
      arguments: plain values, as JSON knows them.
      limits: of time and memory.

    Returns:
      What the task returns: contents by name.

    Raises:
      TaskError: it raised, ended, or passed a limit.
    """
    job = {
        "task": task,
        "arguments": arguments,
        "deadline": limits.start + limits.seconds,  # the clock is the machine's, not a process's
        "level": logging.getLogger(_PACKAGE).getEffectiveLevel(),
        "idle_seconds": IDLE_SECONDS if task in _BEFORE_ANOTHER else 0,
    }
    words = json.dumps(job).encode() + b"\n"
    kept = SPARE.take()
    if kept is not None:
        try:
            return _asked(kept, task, words, limits)
        except _EndedError:  # it may have ended before it was asked: a fresh one tells
            _LOGGER.info("the process that was kept has ended; another one is started")
    try:
        fresh = start()
    except OSError as error:
        raise TaskError(f"no process can be started: {error}", Fault.ABORTED) from error
    return _asked(fresh, task, words, limits)


def _asked(process: Process, task: str, job: bytes, limits: Limits) -> dict[str, bytes]:
    """What a process answers; it is ended, or kept for the next task."""
    watched = _Watched(process, job, limits)
    is_kept = False
    try:
        watched.converse()
        contents = watched.answer()
        if task in _BEFORE_ANOTHER and resident_mb(process.pid) < limits.memory_mb / 2:
            is_kept = SPARE.keep(process)
    finally:
        # Also where KeyboardInterrupt passes.
        if not is_kept:
            end(process)
    return contents


def in_thread(work: Callable[[], _T], limits: Limits) -> _T:
    """Does work that has to be done in this process, and stops waiting at the time limit.

    A thread cannot be ended: what hangs is left behind, and ends with this
    process. Work that holds Python's lock all the time holds this one too.

    Raises:
      TaskError: the time limit has passed.
      BaseException: whatever the work raised.
    """
    result: list[_T] = []
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            raised.append(error)

    thread = threading.Thread(target=attempt, name=f"{_PACKAGE} {work!r}", daemon=True)
    thread.start()
    thread.join(limits.left)
    if raised:
        raise raised[0]
    if not result:
        raise limits.passed()
    return result[0]


class _Watched:
    """A process that is given a job, read, and watched."""

    def __init__(self, process: Process, job: bytes, limits: Limits) -> None:
        self._process = process
        self._job = memoryview(job)
        self._limits = limits
        self._said = bytearray()
        self._tail = bytearray()

    def converse(self) -> None:
        """Writes the job and reads until the process has answered.

        Raises:
          TaskError: a limit has passed.
        """
        process = self._process
        with selectors.DefaultSelector() as selector:
            for pipe, event in (
                (process.stdin, selectors.EVENT_WRITE),
                (process.stdout, selectors.EVENT_READ),
                (process.stderr, selectors.EVENT_READ),
            ):
                if pipe is not None:  # each was asked for
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, event)
            while selector.get_map() and not self._is_complete():
                for key, _ in selector.select(_LOOK_EVERY):
                    if not self._move(key.fileobj):  # type: ignore[arg-type]
                        selector.unregister(key.fileobj)
                self._check()
        if not self._is_complete():  # it ends: how?
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._limits.left)

    def _move(self, pipe: IO[bytes]) -> bool:
        """Moves some bytes; false at the end of the pipe."""
        if pipe is self._process.stdin:
            try:
                self._job = self._job[os.write(pipe.fileno(), self._job[:_CHUNK]) :]
            except BrokenPipeError:  # it ended early: the rest says why
                self._job = self._job[:0]
            return bool(self._job)
        found = os.read(pipe.fileno(), _CHUNK)
        if pipe is self._process.stdout:
            self._said += found
        else:
            self._tail = (self._tail + found)[-_TAIL:]
        return bool(found)

    def _is_complete(self) -> bool:
        at = self._said.find(b"\n", 0, 32)
        return at > 0 and len(self._said) - at - 1 >= int(self._said[:at])

    def _check(self) -> None:
        if not self._limits.left:
            raise self._limits.passed(self._where())
        limit = self._limits.memory_mb
        if resident_mb(self._process.pid) > limit or len(self._said) > _MOST_ANSWERED:
            raise TaskError(f"the memory limit of {limit} MB has passed", Fault.OUT_OF_MEMORY)

    def _where(self) -> str:
        """What was going on shortly before the time limit, by the child's own account."""
        found = _FRAME.search(self._tail.decode(errors="replace"))
        return f"in {found[3]} of {found[1]}, line {found[2]}" if found else ""

    def answer(self) -> dict[str, bytes]:
        """The answer.

        Raises:
          TaskError: there is none, or it is an error.
        """
        if not self._is_complete():
            raise self._ended()
        rest = bytes(self._said.partition(b"\n")[2])
        header, _, content = rest.partition(b"\n")
        document = json.loads(header)
        for level, name, text in document["log"]:
            logging.getLogger(name).log(level, "%s", text)
        problem = document["error"]
        if problem:
            raise TaskError(
                problem["text"], Fault(problem["fault"]), problem["kind"], problem["traceback"]
            )
        found, at = {}, 0
        for name, length in document["contents"]:
            found[name] = content[at : at + length]
            at += length
        return found

    def _ended(self) -> _EndedError:
        """Why there is no answer."""
        code = self._process.returncode
        lines = self._tail.decode(errors="replace").strip().splitlines()
        last = f": {lines[-1].strip()[:300]}" if lines else ""
        if code is None or code >= 0:
            shown = "did not end" if code is None else f"ended with exit code {code}"
            return _EndedError(f"the process of the gate {shown}{last}", Fault.ABORTED)
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        # SIGKILL is what a machine without memory sends, SIGALRM the child's own last resort.
        faults: dict[int, Fault] = {
            signal.SIGKILL: Fault.OUT_OF_MEMORY,
            signal.SIGXFSZ: Fault.DISK_FULL,
            signal.SIGALRM: Fault.TIMEOUT,
            signal.SIGXCPU: Fault.TIMEOUT,
        }
        _LOGGER.info("the process of the gate was ended by %s: %s", name, "\n".join(lines[-20:]))
        return _EndedError(
            f"the process of the gate was ended by {name}", faults.get(-code, Fault.ABORTED)
        )
