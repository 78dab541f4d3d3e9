"""Causes of waste: each is told from what is recorded, and the first that holds counts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from tfx_graphlets.analysis.causes import NOT_WASTED, Cause, causes_of
from tfx_graphlets.features import describe
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState, Stage


def one_run(
    *,
    pushed: int = 0,
    push_fails: bool = False,
    validator: str = "",
    pusher: bool = True,
    blessed: Sequence[int] = (),
    listens_to: Sequence[int] = (),
) -> Graphlets:
    """A run before that was pushed, where there is a Pusher, and one that is asked about.

    Args:
      pushed, push_fails, pusher: whether there is a Pusher, and what it does.
      validator: a class that puts out an InfraBlessing of 0.
      blessed: what each Evaluator says.
      listens_to: numbers of the Evaluators whose blessings the Pusher takes in.
    """
    build = TraceBuilder()
    for run, push in (("r0", 1), ("r1", pushed)):
        examples, model = build.artifact("Examples", span=len(run)), build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [examples]}, run=run)
        build.execution(
            "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run=run
        )
        if validator and run == "r1":
            blessing = build.artifact("InfraBlessing", blessed=0)
            build.execution(
                validator, inputs={"model": [model]}, outputs={"blessing": [blessing]}, run=run
            )
        said: list[int] = []
        for value in blessed if run == "r1" else ():
            said.append(build.artifact("ModelBlessing", blessed=value))
            build.execution(
                "Evaluator", inputs={"model": [model]}, outputs={"blessing": said[-1:]}, run=run
            )
        if pusher:
            heard = [said[number] for number in listens_to] if run == "r1" else []
            result = build.artifact("PushedModel", pushed=push)
            failed = push_fails and run == "r1"
            build.execution(
                "Pusher",
                inputs={"model": [model], "model_blessing": heard},
                outputs={"pushed_model": [result]},
                run=run,
                state=ExecutionState.FAILED if failed else ExecutionState.COMPLETE,
            )
    return segment(build.trace())


def with_values(graphlets: Graphlets, **values: float) -> FeatureTable:
    """The features of the graphlets, with some of the last one's set; the rest is missing."""
    table = describe(graphlets, Stage.VALIDATION)
    set_to = {name.replace("__", "."): value for name, value in values.items()}
    columns = dict(table.columns)
    for name in table.columns:
        if name.startswith(("evaluation.", "code.", "history.same", "input_data.newest_anom")):
            column = np.full(len(graphlets), math.nan)
            column[-1] = set_to.pop(name, math.nan)
            columns[name] = column
    assert not set_to
    return dataclasses.replace(table, columns=columns)


@pytest.mark.parametrize(
    ("graphlets", "values", "expected"),
    [
        (one_run(pushed=1, blessed=[1]), {}, NOT_WASTED),
        (one_run(push_fails=True, blessed=[1]), {}, Cause.FAILED_PUSH),
        (one_run(blessed=[1]), {}, Cause.HELD_BACK),
        (one_run(validator="PushThrottle", blessed=[1]), {}, Cause.HELD_BACK),
        (one_run(validator="InfraValidator", blessed=[1]), {}, Cause.NOT_SERVABLE),
        (one_run(pusher=False, blessed=[1]), {}, Cause.NO_PUSHER),
        (one_run(blessed=[0, 1], listens_to=[1]), {}, Cause.HELD_BACK),
        (one_run(blessed=[0, 1], listens_to=[0]), {}, Cause.UNEXPLAINED),
        (one_run(blessed=[0, 1]), {}, Cause.UNEXPLAINED),
        (
            one_run(blessed=[0]),
            {"history__same_spans_runs": 1, "code__trainer_same_1": 1},
            Cause.NO_NEW_DATA,
        ),
        (
            one_run(),
            {
                "history__same_spans_runs": 1,
                "code__trainer_same_1": 0,
                "evaluation__change_margin": -0.1,
            },
            Cause.NO_GAIN,
        ),
        (
            one_run(),
            {"evaluation__value_margin": -0.1, "code__trainer_value_failed": 1},
            Cause.SAME_CODE_FAILED,
        ),
        (
            one_run(),
            {"input_data__newest_anomalies": 2, "evaluation__value_margin": -1},
            Cause.DATA_INVALID,
        ),
        (one_run(), {"evaluation__value_margin": -0.1}, Cause.BELOW_BOUND),
        (
            one_run(),
            {"evaluation__value_margin": 0.1, "evaluation__change_margin": 0.0},
            Cause.NO_GAIN,
        ),
        (one_run(), {}, Cause.UNEXPLAINED),
    ],
)
def test_the_first_cause_that_holds_counts(
    graphlets: Graphlets, values: dict[str, float], expected: int
) -> None:
    """Of the last graphlet; the one before was pushed, or nothing pushes at all."""
    assert causes_of(graphlets, with_values(graphlets, **values))[-1] == expected


def test_every_cause_says_what_it_is_and_what_to_do() -> None:
    """Title, definition and advice differ from cause to cause."""
    for words in ("title", "definition", "advice"):
        said = [getattr(cause, words) for cause in Cause]
        assert len(set(said)) == len(Cause)
        assert all(said)
