"""Tries damaged input for a while: python -m tests.fuzz --seconds 600.

Every input is made from a seed, which a fault names, so that `--seed N --count 1` makes it again.
Each new kind of fault is printed when it is found, and every minute how far the run is. SIGINT and
SIGTERM end it after the input at hand. Exit code 0: no fault; 1: some.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import faulthandler
import io
import json
import logging
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.fuzz.inputs import Trial
from tests.fuzz.kinds import KINDS
from tests.fuzz.uris import PASSWORD
from tfx_graphlets.cli import main as tfx_graphlets

SLOW_S: Final = 20.0  # of the processor
HANGS_S: Final = 6 * SLOW_S  # of the clock, less what this process waited for a processor
_EVERY_S: Final = 60.0  # a line about the run


def clock() -> float:
    """Seconds that go by only while this process has, or needs no, processor."""
    try:
        waited = int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):  # no Linux
        waited = 0
    return time.monotonic() - waited / 1e9


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def fault_of(trial: Trial) -> str:
    """What is wrong with how a trial ended; "" if nothing is."""
    name = trial[0] if isinstance(trial, list) else trial.__name__
    out, err = io.StringIO(), io.StringIO()
    started, worked = clock(), time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            if not isinstance(trial, list):
                return trial()
            code = tfx_graphlets(trial)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - this is what is looked for; panics of Rust, too
        frames = [
            f for f in traceback.extract_tb(error.__traceback__) if "tfx_graphlets" in f.filename
        ]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return f"{name}: {type(error).__name__} at {place}: {str(error)[:120]}"
    if time.process_time() - worked > SLOW_S or clock() - started > HANGS_S:
        return f"{name}: took more than {SLOW_S:.0f} s"
    if PASSWORD in out.getvalue() + err.getvalue():
        return f"{name}: a password is printed"
    if code not in (0, 1, 3, 4):
        return f"{name}: exit code {code}"
    lines = err.getvalue().splitlines()
    reasons = [line for line in lines if re.match("tfx-graphlets: (?!note: )", line)]
    if code == 1 and len(reasons) != 1:
        return f"{name}: failed with {len(reasons)} reasons"
    if "json" in trial and not is_json(out.getvalue()):
        return f"{name}: what it prints is no JSON"
    return ""


def is_json(text: str) -> bool:
    """Whether every parser reads the text: Python's own takes NaN, too."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


@dataclasses.dataclass
class Run:
    """A run of the fuzzer.

    Attributes:
      kinds: of input, in turn.
      seed: of the first input; each further one is one higher.
      done: number of inputs that were tried.
      found: faults by what they are, each with how to make it again.
      stopped: ends the run after the input at hand.
      verbose: each new kind of fault is printed when it is found.
    """

    kinds: Sequence[str]
    seed: int
    done: int = 0
    found: dict[str, str] = dataclasses.field(default_factory=dict)
    stopped: threading.Event = dataclasses.field(default_factory=threading.Event)
    verbose: bool = False

    def __str__(self) -> str:
        return f"{self.done} inputs, {len(self.found)} kinds of fault, {cpu_seconds():.0f} CPU s"

    @property
    def again(self) -> str:
        """How to make the input at hand again."""
        kind = self.kinds[self.done % len(self.kinds)]
        return f"--kind {kind} --seed {self.seed + self.done} --count 1"

    def go_on(self, *, seconds: float, cpu: float, count: int) -> None:
        """Tries inputs until one of the limits is reached, or the run is stopped."""
        until, most = time.monotonic() + seconds, cpu_seconds() + cpu
        while (
            self.done < count
            and not self.stopped.is_set()
            and time.monotonic() < until
            and cpu_seconds() < most
        ):
            self._try_one()
            self.done += 1

    def _try_one(self) -> None:
        kind, number = self.kinds[self.done % len(self.kinds)], self.seed + self.done
        with tempfile.TemporaryDirectory() as folder:
            for trial in KINDS[kind](random.Random(f"{kind} {number}"), Path(folder)):
                fault = fault_of(trial)
                if fault and fault not in self.found:
                    self.found[fault] = self.again
                    if self.verbose:
                        _say(f"{fault}\n    python -m tests.fuzz {self.again}")


def fuzz(kinds: Sequence[str], seed: int, *, seconds: float, count: int) -> dict[str, str]:
    """Faults by what they are, each with the first kind and seed that showed it."""
    run = Run(kinds, seed)
    with _without_logs():
        run.go_on(seconds=seconds, cpu=float("inf"), count=count)
    return run.found


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _say(text: str) -> None:
    # Not through sys.stdout, which is another one while a command runs.
    os.write(1, f"{text}\n".encode("utf-8", "backslashreplace"))


def _tell(run: Run, over: threading.Event) -> None:
    while not over.wait(_EVERY_S):
        _say(f"{run}; at {run.again}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="of the clock; 60 where none is given")
    parser.add_argument("--cpu-seconds", type=float, help="of the processor, children included")
    parser.add_argument("--count", type=int, default=10**9)
    options = parser.parse_args(arguments)
    seconds, cpu = options.seconds, options.cpu_seconds
    if seconds is None:
        seconds = 60.0 if cpu is None else float("inf")
    run = Run(options.kind or list(KINDS), options.seed, verbose=True)
    faulthandler.enable()  # native code that ends the process: the last line tells near what input
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: run.stopped.set())
    over = threading.Event()
    threading.Thread(target=_tell, args=(run, over), daemon=True).start()
    with _without_logs():
        run.go_on(seconds=seconds, cpu=float("inf") if cpu is None else cpu, count=options.count)
    over.set()
    _say(f"{run}{' (stopped)' if run.stopped.is_set() else ''}")
    for fault, again in run.found.items():
        _say(f"{fault}\n    python -m tests.fuzz {again}")
    return 1 if run.found else 0


if __name__ == "__main__":
    sys.exit(main())
