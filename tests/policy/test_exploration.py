"""The draw behind exploration."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from tfx_graphlets.policy.decide import exploration_draw


def test_the_draw_is_the_same_in_every_process() -> None:
    """Another process with another hash seed draws the same number, which is fixed for ever."""
    program = (
        "from tfx_graphlets.policy.decide import exploration_draw\n"
        "print(repr(exploration_draw(7, 'pipeline', 'run', 'pre')))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert drawn == {repr(exploration_draw(7, "pipeline", "run", "pre"))}


def test_draws_are_uniform() -> None:
    """Over 20,000 runs the Kolmogorov distance from the uniform is what chance allows."""
    draws = np.sort([exploration_draw(0, "pipeline", f"run-{n}", "pre") for n in range(20_000)])
    assert draws[0] >= 0
    assert draws[-1] < 1
    steps = np.arange(1, len(draws) + 1) / len(draws)
    # Chance exceeds 1.95 / sqrt(n) once in a thousand; the draws are fixed.
    assert np.abs(draws - steps).max() < 1.95 / np.sqrt(len(draws))


def test_neighbouring_draws_are_independent() -> None:
    """The draw of a run tells nothing of the next one's, nor of another seed's."""
    one = np.array([exploration_draw(0, "p", f"run-{n}", "pre") for n in range(5_000)])
    other = np.array([exploration_draw(1, "p", f"run-{n}", "pre") for n in range(5_000)])
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_the_borders_of_names_count() -> None:
    """Names are told apart where their concatenation is the same."""
    assert exploration_draw(0, "ab", "c") != exploration_draw(0, "a", "bc")
    assert exploration_draw(0, "a") != exploration_draw(0, "a", "")
