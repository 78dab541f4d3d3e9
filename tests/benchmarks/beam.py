"""How much faster Beam is on two processes than on one.

python -m tests.benchmarks.beam STORE
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MODE = "--direct_running_mode=multi_processing"


def run(store: str, processes: int) -> float:
    """Seconds from the start of the program to its end, store to Parquet files at stage pre.

    Args:
      store: the store.
      processes: number of Beam's workers, each a process; the one that submits comes on top.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-W", "ignore", "-m", "tfx_graphlets.beam", store, "--stage", "pre",
            "--output", str(Path(folder) / "table"), MODE, f"--direct_num_workers={processes}",
        ]  # fmt: skip
        start = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return seconds


def compare(store: str, *, repeats: int = 3, processes: Sequence[int] = (1, 2)) -> dict[int, float]:
    """Median seconds by number of processes; the numbers take turns, so that both see one machine.

    Args:
      store: the store.
      repeats: runs of each.
      processes: the numbers.
    """
    seconds: dict[int, list[float]] = {number: [] for number in processes}
    for _ in range(repeats):
        for number in processes:
            seconds[number].append(run(store, number))
    return {number: statistics.median(found) for number, found in seconds.items()}


def main() -> None:
    """Prints the medians and their ratio."""
    parser = argparse.ArgumentParser(description="Measure Beam on one and on two processes.")
    parser.add_argument("store", help="a store, for example one of 45,000 models")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    found = compare(arguments.store, repeats=arguments.repeats)
    for number, seconds in found.items():
        print(f"{number} processes: {seconds:.1f} s")
    print(f"{found[1] / found[2]:.2f} times as fast on two")


if __name__ == "__main__":
    main()
