"""Values that Kubeflow Pipelines' API never writes: an object is read, or one line says so."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.inputs import places
from tests.stores.kubeflow.history import history, opened
from tests.stores.kubeflow.installation import Installation, identifier, installation_of
from tests.stores.kubeflow.server import Behaviour, serving
from tests.stores.test_odd_rows import lines
from tests.strategies import deterministic
from tfx_graphlets.errors import EmptyStoreError
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Stage

NESTED: Any = []
for _ in range(300):
    NESTED = [NESTED]
ODD_VALUES = (
    None, 0, -1, 2**63, 10**400, 3.7, 1e300, float("nan"), True, "", "x", "half \ud800", "\x00", [],
    ["x"], [None], [[]], {}, {"x": "y"}, {"half \ud800": {}}, NESTED, "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", "2024-13-41T25:61:61Z", "2024-01-01T00:00:00.5+99:99",
)  # fmt: skip
TASKS_OF_A_RUN, ARTIFACTS_OF_A_RUN = 5, 5
KINDS = ("runs", "tasks", "artifacts", "artifact_tasks")


def objects_of(held: Installation, kind: str) -> list[tuple[Any, Any]]:
    """The places of the objects of a kind, but the roots that runs have among their tasks."""
    if kind == "tasks":
        return [(tasks, row) for tasks in held.tasks.values() for row in range(1, len(tasks))]
    found = getattr(held, kind)
    return [(found, key) for key in (found if isinstance(found, dict) else range(len(found)))]


def read(held: Installation, behaviour: Behaviour | None = None) -> tuple[Trace, list[str]]:
    """The trace and the lines of a reading."""
    with serving(held, behaviour) as (uri, _), lines() as said, opened(uri) as store:
        trace = store.read_trace()
        assert isinstance(store.pipelines(), dict)
    assert len(said) <= 1, said
    assert all(line.startswith(f"{uri}: ") for line in said)
    return trace, said


@functools.cache
def sound(*, embed: bool) -> Trace:
    """What is read of a server that nothing was damaged on."""
    trace, said = read(installation_of(history(2)), Behaviour(embed=embed))
    assert not said
    return trace


@settings(deterministic, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    at=st.integers(0, 40),
    place=st.integers(0, 80),
    value=st.sampled_from(ODD_VALUES),
    embed=st.booleans(),
)
@example(kind="runs", at=0, place=0, value=None, embed=True)
@example(kind="artifacts", at=3, place=0, value=NESTED, embed=False)
def test_an_odd_value_costs_no_more_than_its_object(
    kind: str, at: int, place: int, value: object, embed: bool
) -> None:
    """No other run, task or artifact, no traceback, one line."""
    held = installation_of(history(2))
    if kind == "tasks":
        embed = True
    whole = sound(embed=embed)
    objects = objects_of(held, kind)
    holder, key = objects[at % len(objects)]
    inner = [(holder, key), *places(holder[key])]
    damaged, name = inner[place % len(inner)]
    damaged[name] = value
    trace, said = read(held, Behaviour(embed=embed))
    lost = len(whole.executions) - len(trace.executions)
    most = {"runs": TASKS_OF_A_RUN, "tasks": 1}.get(kind, 0)
    assert lost <= most
    assert len(whole.artifacts) - len(trace.artifacts) <= (
        ARTIFACTS_OF_A_RUN + 1 if kind in ("runs", "tasks") else 1
    )
    if value in ([], ["x"]) and name in ("created_at", "create_time", "uri", "metadata", "state"):
        assert said
    for stage in (Stage.INPUT, Stage.VALIDATION):
        describe(segment(trace), stage)


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("runs", "created_at", "soon", "Run 1 ('{run_id}')"),
        ("runs", "error", {"code": 13}, "Run 1 ('{run_id}')"),
        ("tasks", "create_time", "9999-12-31T23:59:59Z", "Task 1 ('{task_id}')"),
        ("tasks", "task_id", None, "Task 1 (id unknown)"),
        ("artifacts", "metadata", ["x"], "Artifact 1 ('{artifact_id}')"),
    ],
)
def test_one_line_says_what_was_left_out(kind: str, field: str, value: object, said: str) -> None:
    """The kind of object, and its UUID; what it takes along is counted too."""
    held = installation_of(history(2))
    holder, key = objects_of(held, kind)[0]
    named = said.format(**holder[key])
    holder[key][field] = value
    if field == "error":
        del holder[key]["created_at"]
    _, [line] = read(held)
    assert f"1 row with values that Kubeflow Pipelines does not write left out: {named}" in line


def test_what_tasks_say_of_a_gone_artifact_is_counted() -> None:
    """The server lists it no more: an event of each task that named it."""
    held = installation_of(history(2))
    gone = identifier("artifact", 1)
    with_it = sum(link["artifact_id"] == gone for link in held.artifact_tasks)
    del held.artifacts[gone]
    trace, [line] = read(held, Behaviour(embed=False))
    assert trace.events.dropped == with_it > 1
    assert f"{with_it} rows naming what is not there left out: Event {with_it} (" in line


def test_a_server_of_odd_runs_has_no_execution() -> None:
    """Each run is left out, and the error is that of an empty store."""
    held = installation_of(history(2))
    for run in held.runs:
        run["created_at"] = "soon"
    with (
        serving(held) as (uri, _),
        lines() as said,
        opened(uri) as store,
        pytest.raises(EmptyStoreError, match="holds no execution"),
    ):
        store.read_trace()
    [line] = said
    assert "Run 4 (" in line
