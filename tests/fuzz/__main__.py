"""Tries damaged input for a while: python -m tests.fuzz --seconds 600.

Every input is made from a seed, which a fault names, so that `--seed N --count 1`
makes it again. Exit code 0: no fault; 1: some, each kind told once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.inputs import KINDS, PASSWORD
from tfx_graphlets.cli import main as tfx_graphlets

SLOW_S = 20.0  # of the processor
HANGS_S = 6 * SLOW_S  # of the clock, less what this process waited for a processor


def clock() -> float:
    """Seconds that go by only while this process has, or needs no, processor."""
    try:
        waited = int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):  # no Linux
        waited = 0
    return time.monotonic() - waited / 1e9


def fault_of(command: list[str]) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    out, err = io.StringIO(), io.StringIO()
    started, worked = clock(), time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = tfx_graphlets(command)
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        frames = [
            f for f in traceback.extract_tb(error.__traceback__) if "tfx_graphlets" in f.filename
        ]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return f"{command[0]}: {type(error).__name__} at {place}: {str(error)[:120]}"
    if time.process_time() - worked > SLOW_S or clock() - started > HANGS_S:
        return f"{command[0]}: took more than {SLOW_S:.0f} s"
    if PASSWORD in out.getvalue() + err.getvalue():
        return f"{command[0]}: a password is printed"
    if code not in (0, 1, 2, 3, 4):
        return f"{command[0]}: exit code {code}"
    reasons = [line for line in err.getvalue().splitlines() if line.startswith("tfx-graphlets: ")]
    if code == 1 and len(reasons) != 1:
        return f"{command[0]}: failed with {len(reasons)} reasons"
    return ""


def fuzz(kinds: Sequence[str], seed: int, *, seconds: float, count: int) -> dict[str, str]:
    """Faults by what they are, each with the first kind and seed that showed it."""
    logging.disable(logging.CRITICAL)
    until = time.monotonic() + seconds
    found: dict[str, str] = {}
    done = 0
    while done < count and time.monotonic() < until:
        kind, number = kinds[done % len(kinds)], seed + done
        with tempfile.TemporaryDirectory() as folder:
            for command in KINDS[kind](random.Random(f"{kind} {number}"), Path(folder)):
                fault = fault_of(command)
                if fault:
                    found.setdefault(fault, f"--kind {kind} --seed {number} --count 1")
        done += 1
    logging.disable(logging.NOTSET)
    print(f"{done} inputs, {len(found)} kinds of fault")  # noqa: T201
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=10**9)
    options = parser.parse_args(arguments)
    kinds = options.kind or list(KINDS)
    found = fuzz(kinds, options.seed, seconds=options.seconds, count=options.count)
    for fault, again in found.items():
        print(f"{fault}\n    python -m tests.fuzz {again}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
