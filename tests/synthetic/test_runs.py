"""What is drawn has the shares that were asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.pipelines import Pipelines, draw_pipelines
from tests.benchmarks.synthetic.runs import Runs, draw_runs
from tests.benchmarks.synthetic.schedule import Schedule, draw_schedule
from tfx_graphlets.vocabulary import ExecutionState, Outcome

MODELS = 30_000


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A store that is planned, not written."""

    parameters: StoreParameters
    pipelines: Pipelines
    runs: Runs
    schedule: Schedule


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """A store of the size of 200 pipelines."""
    parameters = StoreParameters(
        models=MODELS, seed=5, reruns=0.2, cached=0.7, failures=0.1, left_running=0.02,
        overlapping=0.05, push_rate=0.4, code_changes=0.25, anomalies=0.1,
    )  # fmt: skip
    pipelines = draw_pipelines(parameters)
    runs = draw_runs(parameters, pipelines)
    return Drawn(parameters, pipelines, runs, draw_schedule(parameters, pipelines, runs))


def test_pipelines_train_the_models_that_were_asked_for(drawn: Drawn) -> None:
    """Sizes add up, none is empty, some are several times as large as others."""
    models = drawn.pipelines.models
    assert models.sum() == (drawn.runs.outcome >= 0).sum() == MODELS
    assert models.min() >= 1
    assert np.quantile(models, 0.9) > 4 * np.quantile(models, 0.1)


def test_shares_of_pipelines_are_exact(drawn: Drawn) -> None:
    """So many of 200 pipelines have each optional part, rounded."""
    has, parameters = drawn.pipelines.has, drawn.parameters
    assert len(drawn.pipelines) == 200
    for slot, share in (
        (layout.LATEST_MODEL, parameters.warm_starts),
        (layout.INFRA_VALIDATOR, parameters.infra_validators),
        (layout.BULK_INFERRER, parameters.bulk_inferrers),
        (layout.TUNER, parameters.tuners),
    ):
        assert has[:, slot].sum() == round(200 * share)
    assert (drawn.pipelines.lanes == 2).sum() == round(200 * parameters.two_trainers)
    assert drawn.pipelines.caches.sum() == round(200 * parameters.caching_pipelines)
    assert set(drawn.pipelines.window.tolist()) == set(range(1, 8))
    assert (has[:, layout.WINDOW] == (drawn.pipelines.window > 1)).all()


def test_shares_of_runs_hold(drawn: Drawn) -> None:
    """Re-runs, failures, crashes, code and anomalies come as often as declared, within 3 sigma."""
    runs, parameters = drawn.runs, drawn.parameters
    later = ~runs.first
    follows_no_data = np.append(False, runs.origin[:-1, layout.EXAMPLE_GEN] < 0) & later
    same_span = (np.diff(runs.span, prepend=-1) == 0) & later & ~follows_no_data
    assert share_is(same_span[later & ~follows_no_data], parameters.reruns)
    new_span = later & ~same_span & ~follows_no_data
    new_code = np.diff(runs.code[:, 1], prepend=0) > 0
    assert share_is(new_code[new_span], parameters.code_changes)
    assert new_code[same_span].all()
    assert share_is((runs.state == ExecutionState.FAILED).any(axis=1), parameters.failures)
    assert share_is((runs.state == ExecutionState.RUNNING).any(axis=1), parameters.left_running)
    assert share_is(runs.anomalies, parameters.anomalies)


def test_cache_hits_are_as_frequent_as_declared(drawn: Drawn) -> None:
    """Of the re-runs of pipelines that cache, ExampleGen is a hit in the declared share."""
    runs = drawn.runs
    rerun = (np.diff(runs.span, prepend=-1) == 0) & ~runs.first
    rerun &= np.append(False, runs.origin[:-1, layout.EXAMPLE_GEN] >= 0)
    state = runs.state[:, layout.EXAMPLE_GEN]
    rerun &= np.isin(state, (ExecutionState.COMPLETE, ExecutionState.CACHED))
    caches = drawn.pipelines.caches[runs.pipeline]
    hit = state == ExecutionState.CACHED
    assert not hit[~rerun | ~caches].any()
    assert share_is(hit[rerun & caches], drawn.parameters.cached)
    transformed = runs.state[:, layout.TRANSFORM] == ExecutionState.CACHED
    assert 0 < transformed.sum() < hit.sum()
    # What a hit puts out was made in an earlier run of the same pipeline, from the same span.
    rows, slots = np.nonzero(runs.state == ExecutionState.CACHED)
    made = runs.origin[rows, slots]
    assert (made < rows).all()
    assert (runs.state[made, slots] == ExecutionState.COMPLETE).all()
    assert (runs.pipeline[made] == runs.pipeline[rows]).all()
    assert (runs.span[made] == runs.span[rows]).all()


def test_push_rates_differ_between_pipelines_and_hold_within(drawn: Drawn) -> None:
    """Models are good enough in their pipeline's share, whose mean is the declared one."""
    runs, rate = drawn.runs, drawn.pipelines.push_rate
    assert abs(rate.mean() - drawn.parameters.push_rate) < 3 * rate.std() / np.sqrt(len(rate))
    assert rate.std() > 0.15
    observed = np.bincount(runs.pipeline, runs.pushed[:, 0]) / np.bincount(runs.pipeline)
    assert np.corrcoef(observed, rate)[0, 1] > 0.95
    assert abs(observed.mean() - rate.mean()) < 0.02


def test_fates_come_in_stretches(drawn: Drawn) -> None:
    """Where a pipeline pushes half of its models, a fate repeats oftener than a coin would."""
    runs = drawn.runs
    rate = drawn.pipelines.push_rate[runs.pipeline]
    later = ~runs.first & (rate > 0.4) & (rate < 0.6)
    same = np.append(False, runs.pushed[1:, 0] == runs.pushed[:-1, 0])
    expected = drawn.parameters.push_stretch
    expected += (1 - expected) * (rate[later] ** 2 + (1 - rate[later]) ** 2).mean()
    assert abs(same[later].mean() - expected) < 0.03


def test_overlapping_runs_begin_before_the_one_before_has_ended(drawn: Drawn) -> None:
    """About the declared share, and only those; they know nothing of the model in the making."""
    runs, schedule = drawn.runs, drawn.schedule
    end = schedule.run_start_ms + schedule.end_ms.max(axis=1)
    begins_early = np.append(False, schedule.run_start_ms[1:] < end[:-1]) & ~runs.first
    assert (begins_early == runs.overlaps).all()
    # Runs on the same span, those that broke early and those after them are left out.
    assert 0.5 < runs.overlaps.mean() / drawn.parameters.overlapping <= 1
    rows = np.flatnonzero(runs.overlaps)
    assert (runs.warm[rows] < rows[:, np.newaxis] - 1).all()
    assert (runs.baseline[rows] < rows[:, np.newaxis] - 1).all()


def test_nothing_is_read_before_it_was_made(drawn: Drawn) -> None:
    """Windows, baselines and warm starts lie in the past of the run that reads them."""
    runs, schedule = drawn.runs, drawn.schedule
    for read, slot in (
        (runs.window, layout.EXAMPLE_GEN),
        (runs.baseline[:, :1], layout.EVALUATOR),
        (runs.warm[:, :1], layout.TRAINER),
    ):
        rows, column = np.nonzero(read >= 0)
        made = read[rows, column]
        ready = schedule.run_start_ms[made] + schedule.end_ms[made, slot]
        opened = schedule.run_start_ms[rows] + schedule.end_ms[rows, layout.EXAMPLE_GEN]
        assert (ready <= opened).all()
        assert (runs.pipeline[made] == runs.pipeline[rows]).all()


def test_a_window_holds_the_newest_spans(drawn: Drawn) -> None:
    """Consecutive spans from the run's own downward, as many as the window or the past has."""
    runs = drawn.runs
    reads = runs.origin[:, layout.EXAMPLE_GEN] >= 0
    window, size = runs.window[reads], drawn.pipelines.window[runs.pipeline[reads]]
    span = runs.span[reads]
    assert ((window >= 0).sum(axis=1) == np.minimum(size, span + 1)).all()
    rows, back = np.nonzero(window >= 0)
    assert (runs.span[window[rows, back]] == span[rows] - back).all()


def test_a_model_is_pushed_if_it_is_good_and_its_pusher_ran(drawn: Drawn) -> None:
    """Nothing broken, blessed by all validators: pushed; the others are not."""
    runs = drawn.runs
    pushers = [layout.in_lane(layout.PUSHER, lane) for lane in range(layout.LANES)]
    ran = runs.state[:, pushers] == ExecutionState.COMPLETE
    assert ((runs.outcome == Outcome.PUSHED) == (ran & runs.pushed)).all()
    assert (runs.pushed == (runs.blessed & runs.infra_blessed)).all()
    assert {Outcome(value).name for value in np.unique(runs.outcome[runs.outcome >= 0])} == {
        "INCOMPLETE", "FAILED", "UNPUSHED", "PUSHED",
    }  # fmt: skip


def share_is(flags: np.ndarray, share: float) -> bool:
    """Whether a share lies within three standard deviations of what was declared."""
    return bool(abs(flags.mean() - share) <= 3 * np.sqrt(share * (1 - share) / len(flags)))
