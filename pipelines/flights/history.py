"""The recorded history: variants of the pipeline in operation, each an archive of its store.

Recorded by pipelines.flights.record and packed by pipelines.flights.pack; `runs.jsonl` beside each
archive says what happened in every run and why. `python -m pipelines.flights.history` sums it up.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from pyarrow import parquet

from tfx_graphlets import Outcome, Stage, open_store, segment
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.outcome import total_waste, waste_removable
from tfx_graphlets.rehearsal import record
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder, Rows
from tfx_graphlets.trace.trace import PropertyKind, Trace
from tfx_graphlets.waste_model import Dataset

DIRECTORY = Path(__file__).parent / "history"
LOG_NAME = "runs.jsonl"
REHEARSALS_NAME = "rehearsals.parquet"
_COUNTS = "graphlets | pushed | unpushed | failed"


def archives() -> tuple[Path, ...]:
    """The archive of every recorded variant, by name.

    Raises:
      FileNotFoundError: there is none beside this module.
    """
    found = tuple(sorted(manifest.parent for manifest in DIRECTORY.glob("*/archive/manifest.json")))
    if not found:
        raise FileNotFoundError(f"{DIRECTORY} holds no archive: record and pack one, see README.md")
    return found


def datasets(stage: Stage, *, rehearsed: bool = False) -> dict[str, Dataset]:
    """The recorded graphlets of each variant with their features at a stage, by its name.

    Args:
      stage: where the gate stands.
      rehearsed: with what a rehearsal before each Trainer would have found
        (pipelines.flights.rehearse), where that was worked out.
    """
    parts = {}
    for archive in archives():
        name = archive.parent.name
        with open_store(archive) as store:
            trace = store.read_trace()
            if rehearsed and (archive.parent / REHEARSALS_NAME).is_file():
                trace = with_rehearsals(trace, archive.parent / REHEARSALS_NAME)
            graphlets = segment(trace)
            # An archive's payloads can be read on; nothing has to stay open.
            parts[name] = Dataset.describe(graphlets, stage, store.payloads, name)
    return parts


def with_rehearsals(trace: Trace, file: Path) -> Trace:
    """The trace as if a Rehearsal of stage `input` had stood in every run.

    Args:
      trace: of one variant.
      file: what pipelines.flights.rehearse wrote of it.
    """
    rows, build = Rows.of(trace), RowBuilder()
    moment = dict(zip(trace.executions.id.tolist(), trace.executions.create_ms.tolist()))
    taken = int(trace.artifacts.id.max(initial=0))
    kind = f"tfx_graphlets.{record.ARTIFACT_TYPE}"
    for row in parquet.read_table(file).to_pylist():
        taken += 1
        # The run's own data come before it; that nothing later is read is the file's affair.
        first_ms = min(_run_starts(trace, row[record.RUN]), moment[row["trainer"]])
        build.extend("Artifact", [(taken, kind, 2, first_ms, first_ms, "")])  # 2: LIVE
        add = functools.partial(build.add_property, "Artifact", taken)
        add(record.REHEARSED, True, PropertyKind.INT, 1)
        for name, text in (
            (record.RUN, row[record.RUN]), (record.STAGE, "input"), (record.MODE, "scout"),
        ):  # fmt: skip
            add(name, True, PropertyKind.STRING, text)
        for name in (record.SECONDS, *record.MARGINS):
            if row[name] is not None and not math.isnan(row[name]):
                add(name, True, PropertyKind.DOUBLE, row[name])
    more = build.rows()
    for table in ("Artifact", "ArtifactProperty"):
        rows.append(table, more[table])
    return assemble(rows)


def _run_starts(trace: Trace, run: str) -> int:
    """When the first execution of a run was created."""
    executions, contexts = trace.run_memberships()
    mine = np.array([trace.contexts.name[at] == run for at in contexts.tolist()], bool)
    return int(trace.executions.create_ms[executions[mine]].min())


def dataset(stage: Stage) -> Dataset:
    """All recorded graphlets with their features at a stage."""
    return Dataset.concatenate(list(datasets(stage).values()))


def causes_by_run(archive: Path) -> dict[str, tuple[str, ...]]:
    """What made each run what it was (schedule.Cause), by the run's name."""
    lines = (archive.parent / LOG_NAME).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return {record["pipeline_run_id"]: tuple(record["causes"]) for record in records}


def summary() -> str:
    """Two Markdown tables: by variant, and by cause (a run with two causes counts for both).

    Seconds are of all nodes, under ``Trainer`` the median of its own; under ``input`` and ``pre``
    stands the share of the waste that an oracle there would remove.
    """
    lines = [
        f"| variant | {_COUNTS} | seconds | Trainer | wasted | `input` | `pre` |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    by_cause: dict[str, Counter[Outcome]] = {}
    for archive in archives():
        with open_store(archive) as store:
            graphlets = segment(store.read_trace())
        lines.append(_row(archive.parent.name, graphlets))
        causes = causes_by_run(archive)
        for graphlet in graphlets:
            for cause in causes.get(graphlet.run or "", ()):
                by_cause.setdefault(cause, Counter())[graphlet.outcome] += 1
    lines += ["", f"| cause | {_COUNTS} |", "|---|---|---|---|---|"]
    for cause, outcomes in sorted(by_cause.items()):
        counts = [outcomes[o] for o in (Outcome.PUSHED, Outcome.UNPUSHED, Outcome.FAILED)]
        lines.append(f"| {cause} | {sum(outcomes.values())} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def _row(name: str, graphlets: Graphlets) -> str:
    counts = [
        int((graphlets.outcome == o).sum())
        for o in (Outcome.PUSHED, Outcome.UNPUSHED, Outcome.FAILED)
    ]
    cost = float(graphlets.cost.sum())
    trainer = float(np.median(graphlets.cost[graphlets.trainer]))
    removable = [waste_removable(graphlets, stage) for stage in (Stage.INPUT, Stage.PRE)]
    return (
        f"| {name} | {len(graphlets)} | {' | '.join(map(str, counts))} | {cost / 1000:.0f} "
        f"| {trainer / 1000:.0f} | {total_waste(graphlets) / cost:.0%} "
        f"| {removable[0]:.0%} | {removable[1]:.0%} |"
    )


if __name__ == "__main__":
    sys.stdout.write(summary() + "\n")
