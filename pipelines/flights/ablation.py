"""What each part of the gate brings, on the recorded history: python -m pipelines.flights.ablation.

Every line leaves out or changes one thing and replays all variants (`pipelines.flights.backtest`,
which takes the option that the line names). Removed of all waste, pushes missed, without a
rehearsal and with one in every run. An hour of CPU at `input`; `--only` repeats single lines.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

from pipelines.flights import backtest
from pipelines.flights.replays import Job, Results, run
from tfx_graphlets import Stage

# What is changed, by the options of pipelines.flights.backtest that change it.
CHANGES: Mapping[str, str] = {
    "": "nothing",
    "--without code": "no fingerprint of the code",
    "--without holds": "nothing says what holds pushes back",
    "--without pair": "no scout of the last blessed model",
    "--without scout": "no scout of this window",
    "--min-labelled 3": "the first 3 labelled runs let through, not 5",
    "--min-labelled 10": "the first 10",
    "--pipelines 5": "5 other pipelines are known",
    "--pipelines 10": "10",
    "--pipelines 20": "20",
    "--hold-out task": "none of the same task is known",
}
# What a rehearsal measures: without one there is nothing to leave out.
_OF_REHEARSALS = ("--without pair", "--without scout")


def jobs_of(option: str, stage: Stage, targets: Sequence[float]) -> list[Job]:
    """What is replayed for one of CHANGES."""
    given = ["--stage", str(stage), "--freshness", *map(str, targets), *option.split()]
    jobs = backtest.jobs_of(backtest.parser().parse_args(given))
    return [job for job in jobs if job.rehearsed or option not in _OF_REHEARSALS]


def cell(found: Results) -> str:
    """Share of all waste that is removed, and pushes missed of all."""
    ones = list(found.values())
    waste_ms = sum(one.waste_ms for one in ones)
    removed = sum(one.gate.waste_removed * one.waste_ms for one in ones) / waste_ms
    missed = sum(one.gate.pushes_missed for one in ones)
    return f"{removed:.1%}, {missed} of {sum(one.pushed for one in ones)}"


def table(
    done: Mapping[tuple[str, bool], Mapping[float, Results]], targets: Sequence[float]
) -> str:
    """One row a change, two columns a target: without a rehearsal, and with one in every run."""
    heads = [f"{target:g}{rest}" for target in targets for rest in ("", ", rehearsed")]
    rows = [f"| changed | with | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for option in dict.fromkeys(option for option, _ in done):
        cells = [
            cell(done[option, rehearsed][target]) if (option, rehearsed) in done else ""
            for target in targets
            for rehearsed in (False, True)
        ]
        shown = f"`{option}`" if option else ""
        rows.append(f"| {CHANGES[option]} | {shown} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.ablation", description=__doc__)
    parser.add_argument("--stage", type=Stage, default=Stage.INPUT)
    parser.add_argument("--freshness", type=float, nargs="+", default=[0.95, 0.99])
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    targets = tuple(options.freshness)
    jobs = {
        (option, job.rehearsed): job
        for option in options.only
        for job in jobs_of(option, options.stage, targets)
    }
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        found = tqdm(pool.map(run, jobs.values()), total=len(jobs), desc="replays", disable=None)
        done = {key: results for key, (results, _) in zip(jobs, found)}
    sys.stdout.write(table(done, targets) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
