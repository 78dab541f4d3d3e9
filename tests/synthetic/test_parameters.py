"""What a synthetic store can be asked to be."""

from __future__ import annotations

import pytest

from tests.benchmarks.synthetic import StoreParameters
from tfx_graphlets.errors import InvalidArgumentError


def test_by_default_there_are_as_many_models_to_a_pipeline_as_in_the_paper() -> None:
    """450,000 models belong to 3,000 pipelines, and a handful to one."""
    assert StoreParameters(models=450_000).number_of_pipelines == 3000
    assert StoreParameters(models=5).number_of_pipelines == 1
    assert StoreParameters(models=5, pipelines=4).number_of_pipelines == 4


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("models", 0, "must be 1 or more"),
        ("pipelines", 0, "must be 1 to 1500, the number of models"),
        ("pipelines", 1501, "must be 1 to 1500, the number of models"),
        ("seed", -1, "must be 0 or more"),
        ("longest_window", 0, "must be 1 to 7 spans"),
        ("longest_window", 8, "must be 1 to 7 spans"),
        ("reruns", 1.01, "must be a share, 0 to 1"),
        ("warm_starts", -0.1, "must be a share, 0 to 1"),
        ("tuners", float("nan"), "must be a share, 0 to 1"),
        ("failures", 0.95, "with left_running=0.005 must be 0.9 at most: runs have to end"),
        ("push_rate", 0.0, "must be between 0 and 1"),
        ("push_rate", 1.0, "must be between 0 and 1"),
        ("push_concentration", 0.0, "must be a finite number above 0"),
        ("push_concentration", float("inf"), "must be a finite number above 0"),
        ("start_ms", -1, "must be 0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(name: str, value: float, rule: str) -> None:
    """The error names the parameter, shows the value and states the rule."""
    with pytest.raises(InvalidArgumentError) as error:
        StoreParameters(**{name: value})
    assert str(error.value) == f"{name}={value!r}: {rule}"
    assert error.value.argument == name
