"""The recorded history: variants of the pipeline in operation, each an archive of its store.

Recorded by pipelines.flights.record and packed by pipelines.flights.pack; `runs.jsonl` beside each
archive says what happened in every run and why. `python -m pipelines.flights.history` sums it up.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from tfx_graphlets import Outcome, Stage, open_store, segment
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.outcome import total_waste, waste_removable
from tfx_graphlets.waste_model import Dataset

DIRECTORY = Path(__file__).parent / "history"
LOG_NAME = "runs.jsonl"


def archives() -> tuple[Path, ...]:
    """The archive of every recorded variant, by name.

    Raises:
      FileNotFoundError: there is none beside this module.
    """
    found = tuple(sorted(manifest.parent for manifest in DIRECTORY.glob("*/archive/manifest.json")))
    if not found:
        raise FileNotFoundError(f"{DIRECTORY} holds no archive: record and pack one, see README.md")
    return found


def datasets(stage: Stage) -> dict[str, Dataset]:
    """The recorded graphlets of each variant with their features at a stage, by its name."""
    parts = {}
    for archive in archives():
        name = archive.parent.name
        with open_store(archive) as store:
            graphlets = segment(store.read_trace())
            # An archive's payloads can be read on; nothing has to stay open.
            parts[name] = Dataset.describe(graphlets, stage, store.payloads, name)
    return parts


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

    Under ``input`` and ``pre`` stands the share of the waste that an oracle there would remove.
    """
    lines = [
        "| variant | graphlets | pushed | unpushed | failed | seconds | wasted | `input` | `pre` |",
        "|---|---|---|---|---|---|---|---|---|",
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
    lines += ["", "| cause | graphlets | pushed | unpushed | failed |", "|---|---|---|---|---|"]
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
    removable = [waste_removable(graphlets, stage) for stage in (Stage.INPUT, Stage.PRE)]
    return (
        f"| {name} | {len(graphlets)} | {' | '.join(map(str, counts))} | {cost / 1000:.0f} "
        f"| {total_waste(graphlets) / cost:.0%} | {removable[0]:.0%} | {removable[1]:.0%} |"
    )


if __name__ == "__main__":
    sys.stdout.write(summary() + "\n")
