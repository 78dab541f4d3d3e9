"""Runs a command and measures it from outside: wall time, and memory with all its children."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PAUSE_SECONDS = 0.1
# The kernel holds up a process of gigabytes while it adds up its pages: no more than a twentieth of
# the time is spent so.
_PAUSES_PER_LOOK = 20


@dataclasses.dataclass(frozen=True)
class Measured:
    """One run of a command.

    Attributes:
      seconds: wall time of the whole process, start and imports included.
      peak_megabytes: the most that it and its children held at a time, pages
        that they share counted once (proportional set size).
      figures: what it printed as its last line, JSON.
    """

    seconds: float
    peak_megabytes: float
    figures: Mapping[str, float]


def run(step: str, store: str, module: str = "tests.benchmarks.steps") -> Measured:
    """Runs one step in a fresh process.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    return watched([sys.executable, "-W", "ignore", "-m", module, step, store])


def watched(command: Sequence[str]) -> Measured:
    """Runs a command whose last line of output is JSON.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watch = _Watch(process.pid)
    watch.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - start
    watch.stop()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    figures = json.loads(output.splitlines()[-1])
    return Measured(seconds, watch.peak_kilobytes / 1024, figures)


class _Watch(threading.Thread):
    """Adds up the memory of a process and its descendants, again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self.peak_kilobytes = 0

    def run(self) -> None:
        while not self._done.is_set():
            start = time.perf_counter()
            total = sum(_proportional_kilobytes(pid) for pid in _family(self._pid))
            self.peak_kilobytes = max(self.peak_kilobytes, total)
            looked = time.perf_counter() - start
            self._done.wait(max(_PAUSE_SECONDS, _PAUSES_PER_LOOK * looked))

    def stop(self) -> None:
        self._done.set()
        self.join()


def _proportional_kilobytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def _family(pid: int) -> Sequence[int]:
    parents: dict[int, list[int]] = {}
    for name in (place.name for place in Path("/proc").iterdir() if place.name.isdigit()):
        try:
            fields = Path(f"/proc/{name}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        except OSError:
            continue
        parents.setdefault(int(fields.split()[1]), []).append(int(name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found
