"""Statistics of graphlets: outcomes, models and their architectures."""

from __future__ import annotations

import pytest

from tfx_graphlets.analysis import graphlets
from tfx_graphlets.analysis.described import Described
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.testing import TraceBuilder


def described(*configs: str | None) -> Described:
    """A run for each custom_config: the first is pushed and warm-started by nothing."""
    build = TraceBuilder()
    for number, config in enumerate(configs):
        model, pushed = build.artifact("Model"), build.artifact("PushedModel", pushed=number == 0)
        build.execution(
            "Trainer",
            outputs={"model": [model]},
            run=f"r{number}",
            duration_ms=100 * (number + 1),
            **({} if config is None else {"custom_config": config}),
        )
        build.execution(
            "Pusher",
            inputs={"model": [model]},
            outputs={"pushed_model": [pushed]},
            run=f"r{number}",
        )
    return ReportSource.of("s", build.trace()).described


def test_an_architecture_is_what_the_custom_config_names() -> None:
    """Its entries about the model tell rows apart; other entries are not shown."""
    one = described(
        '{"model": "dnn", "key": "secret"}', '{"key": "other", "model": "dnn"}', "null", None
    )
    table = graphlets.models([one])
    assert table.column("architecture") == [None, "model=dnn"]
    assert table.column("graphlets") == [2, 2]
    assert table.column("push_rate") == [0.0, 0.5]
    assert table.column("trainer_ms") == [350, 150]


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"rate": 1}', "[" * 100_000])
def test_a_config_that_says_nothing_has_no_architecture(text: str) -> None:
    """Nor has one that is no JSON object, or is nested without an end."""
    assert graphlets.architecture_of(text) == ""


def test_rare_models_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most frequent keep their rows; no graphlet is left out."""
    monkeypatch.setattr(graphlets, "MOST_MODELS", 1)
    table = graphlets.models([described(*(f'{{"model": "{name}"}}' for name in "aabc"))])
    assert table.column("type") == ["Trainer", "(others)"]
    assert table.column("architecture") == ["model=a", None]
    assert table.column("graphlets") == [2, 2]


def test_each_graphlet_has_one_outcome() -> None:
    """A base model of one that was pushed is useful, not unpushed."""
    build = TraceBuilder()
    base, model = build.artifact("Model"), build.artifact("Model")
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Trainer", outputs={"model": [base]}, run="r0", duration_ms=7)
    build.execution(
        "Trainer",
        inputs={"base_model": [base]},
        outputs={"model": [model]},
        run="r1",
        duration_ms=5,
    )
    build.execution(
        "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]}, run="r1"
    )
    build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run="r2")
    table = graphlets.outcomes([ReportSource.of("s", build.trace()).described])
    assert table.column("outcome") == ["pushed", "useful", "unpushed"]
    assert table.column("graphlets") == [1, 1, 1]
    assert table.column("trainer_ms")[:2] == [5, 7]
