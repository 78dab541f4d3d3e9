"""make demo, whole: what it prints and what its store holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.flights.demo import VARIANT, planned_runs
from pipelines.flights.gate import FIRST_GATE
from tfx_graphlets import open_store
from tfx_graphlets.gate.record import past_decisions
from tfx_graphlets.rehearsal import record
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState, base_name

ROOT = Path(__file__).resolve().parents[2]
GATED = {"Trainer", "Evaluator", "Pusher"}


def classes_by_run(trace: Trace) -> dict[str, set[str]]:
    """Classes of the completed executions of each run, by the run's name."""
    found: dict[str, set[str]] = {}
    for at in range(len(trace.executions)):
        run = trace.context_name(int(trace.run_of_execution[at]))
        if run is not None and trace.executions.state[at] == ExecutionState.COMPLETE:
            type_name = trace.executions.type_names[trace.executions.type[at]]
            found.setdefault(run, set()).add(base_name(type_name))
    return found


def rehearsed_runs(trace: Trace) -> set[str]:
    """Names of the runs whose rehearsal measured something."""
    rows = trace.artifacts_of_types([record.ARTIFACT_TYPE])
    properties, count = trace.artifacts.properties, len(trace.artifacts)
    done = rows & (properties.numbers(record.REHEARSED, count) == 1)
    runs = properties.texts(record.RUN, count)
    return {runs[row] or "" for row in np.flatnonzero(done)}


@pytest.mark.tfx
@pytest.mark.long
def test_the_demo_trains_where_its_gate_says_run_and_nowhere_else(tmp_path: Path) -> None:
    """Both decisions occur, a skip holds nothing of the training, and a rehearsal changes one."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.flights.demo", "--output", str(tmp_path / "demo")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with open_store(tmp_path / "demo" / "pipeline" / "metadata.sqlite") as store:
        trace = store.read_trace()
    found = past_decisions(trace)
    first = {decision.run: decision for decision in found if decision.gate == FIRST_GATE}
    decisions = [decision for decision in found if decision.gate != FIRST_GATE]
    ran = classes_by_run(trace)
    assert len(decisions) == len(first) == len(ran) == len(planned_runs())
    assert {decision.proceed for decision in decisions} == {True, False}
    for decision in decisions:
        assert {"CsvExampleGen", "Transform", "GraphletGen", "WasteGate"} <= ran[decision.run]
        assert ran[decision.run] & GATED == (GATED if decision.proceed else set())

    changed = [decision for decision in decisions if first[decision.run].proceed > decision.proceed]
    assert changed
    rehearsed = rehearsed_runs(trace)
    for decision in changed:
        assert decision.run in rehearsed
        assert decision.probability != first[decision.run].probability
    assert done.stdout.count("The rehearsal changes the decision.") == len(changed)
    assert f"({len(changed)} because of the rehearsal)" in done.stdout

    table = re.findall(r"^2013-\d\d-\d\d  .*? (run|SKIP) ", done.stdout, re.MULTILINE)
    assert [word == "run" for word in table] == [decision.proceed for decision in decisions]
    assert done.stdout.count("Skipped because a push is unlikely") == table.count("SKIP")
    assert VARIANT.name in done.stdout
    assert " UTC" not in done.stdout  # its runs, all of one day, follow no schedule
    assert "Traceback" not in done.stdout + done.stderr


def test_the_demo_starts_with_days_that_its_variant_has_no_history_of() -> None:
    """The first runs bring new days, later ones also re-runs, late days and an outage."""
    causes = [{cause.value for cause in planned.causes} for planned in planned_runs()]
    assert causes[:4] == [{"new_data"}] * 4
    assert {"rerun", "late_data", "completed_data", "outage", "bad_commit", "fix"} <= set().union(
        *causes
    )
    assert [planned.index for planned in planned_runs()] == list(range(len(causes)))
