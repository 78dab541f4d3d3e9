"""Processes for tasks: started, ended, and one kept for a short time for the next task.

A decision follows the description of its graphlets within a second or two, and the
start of a Python with its imports is most of what it costs. What is kept is kept
after a task that went well, by a process that is as it was then (path, environment,
working directory), for IDLE_SECONDS. It ends with this process, however that ends:
it reads the end of its standard input, and its own alarm is the last resort.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

IDLE_SECONDS: Final = 10.0

_PACKAGE: Final = "tfx_graphlets"
# The path of this process, so that both import the same; a working directory is not put before it.
_BOOTSTRAP: Final = (
    f"import sys; sys.path[:] = sys.argv[1:]; from {_PACKAGE}.supervision.child import main; main()"
)

Process = subprocess.Popen[bytes]


def start() -> Process:
    """A fresh Python in a session of its own, so that all that it starts can be ended with it.

    Raises:
      OSError: the machine starts no process.
    """
    return subprocess.Popen(
        [sys.executable or "python3", "-c", _BOOTSTRAP, *map(os.path.abspath, sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


def end(process: Process) -> None:
    """Ends the process and what it started, and waits for no longer than a second."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel
        process.wait(1.0)
    _close(process)


def _close(process: Process) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def resident_mb(pid: int) -> float:
    """Memory of a process, in MB of 2**20 bytes; 0 where it cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Spare:
    """At most one process that has answered and waits for the next task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[Process, object] | None = None

    def keep(self, process: Process) -> bool:
        """Keeps a process for IDLE_SECONDS; false if it cannot be kept."""
        timer = threading.Timer(IDLE_SECONDS, self._expire, (process,))
        timer.daemon = True
        with self._lock:
            if self._held is not None:
                return False
            try:
                timer.start()
                self._held = (process, _surroundings())
            except (OSError, RuntimeError):  # no thread can be started, no working directory
                return False
        return True

    def take(self) -> Process | None:
        """The process that is kept; None if there is none that fits."""
        with self._lock:
            held, self._held = self._held, None
        if held is None:
            return None
        process, known = held
        with contextlib.suppress(OSError):
            if process.poll() is None and known == _surroundings():
                return process
        end(process)
        return None

    def end(self) -> None:
        """Ends what is kept."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            end(held[0])

    def _expire(self, process: Process) -> None:
        with self._lock:
            if self._held is None or self._held[0] is not process:
                return
            self._held = None
        end(process)

    def forget(self) -> None:
        """In a fork: the process is the other one's, and shall see that one end."""
        self._lock = threading.Lock()
        held, self._held = self._held, None
        if held is not None:
            held[0].returncode = 0  # it is no child of the fork
            _close(held[0])


def _surroundings() -> object:
    """What a process takes from the one that starts it."""
    return sys.executable, tuple(sys.path), dict(os.environ), Path.cwd()


SPARE: Final = Spare()
atexit.register(SPARE.end)
os.register_at_fork(after_in_child=SPARE.forget)
