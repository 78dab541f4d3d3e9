"""The label that is learnt and kept is *needed*: base models, retries, pushers that count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus import case_store
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.baselines import baselines
from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.metrics import WasteMeter

SMALL = LearnerSettings(trees=10)
HOUR_MS = 3_600_000


def dataset_of(trace: Trace, store: str = "s", **options: object) -> Dataset:
    """The graphlets of a trace at stage pre."""
    return Dataset.describe(segment(trace, **options), Stage.PRE, None, store)  # type: ignore[arg-type]


def stored(name: str, **options: object) -> Dataset:
    """The graphlets of a case's store."""
    with open_store(case_store(name)) as store:
        return dataset_of(store.read_trace(), **options)


def replayed(dataset: Dataset, freshness: float) -> BacktestResult:
    """A replay without exploration."""
    policy = GatePolicy(freshness=freshness, exploration=0.0)
    return backtest(dataset, policy, settings=SMALL, draws=0)


def skipped(result: BacktestResult) -> set[int]:
    """Trainers that were skipped."""
    return {one.trainer for one in result.decisions if not one.decision.proceed}


def chained(runs: int, *, lag: int = 0) -> Dataset:
    """A base model and a fine-tuned one each run, or ``lag`` runs later; every second is pushed.

    Graphlets stand in the order base, fine-tuned, base, fine-tuned, ...
    """
    build = TraceBuilder()
    bases: list[int] = []
    for number in range(runs):
        build.clock_ms = (number + 1) * 24 * HOUR_MS
        run = f"r{number:02d}"
        data, base, model = build.artifact(), build.artifact("Model"), build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [data]}, run=run)
        build.execution(
            "Trainer", inputs={"examples": [data]}, outputs={"model": [base]}, run=run,
            node="pretrain", duration_ms=60_000,
        )  # fmt: skip
        bases.append(base)
        inputs = {"examples": [data], "base_model": [bases[max(number - lag, 0)]]}
        build.execution(
            "Trainer", inputs=inputs, outputs={"model": [model]}, run=run, node="finetune",
        )  # fmt: skip
        pushed = build.artifact("PushedModel", pushed=number % 2)
        build.execution(
            "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]}, run=run
        )
    return dataset_of(build.trace())


def test_a_skipped_base_model_is_a_missed_push_of_its_run() -> None:
    """Of a run that pushes; of another run's push it is not."""
    dataset = chained(6)
    for number, missed in ((0, []), (2, [3]), (3, [3]), (6, [7])):
        chosen = np.arange(12) == number
        assert np.flatnonzero(dataset.missed_pushes(chosen)).tolist() == missed
    assert not chained(6, lag=1).missed_pushes(np.arange(12) == 0).any()


def test_the_oracle_skips_no_base_model_of_a_run_that_pushes() -> None:
    """It skips what is neither pushed nor led to a push, and misses nothing."""
    dataset = chained(6)
    [oracle] = [one for one in baselines() if one.name == "oracle"]
    assert oracle.skips is not None
    chosen = oracle.skips(dataset, 1.0)
    assert chosen is not None
    assert np.flatnonzero(chosen).tolist() == [0, 1, 4, 5, 8, 9]
    assert not dataset.missed_pushes(chosen).any()
    meter = WasteMeter(dataset.sources, Stage.PRE)
    assert meter.removed(dataset.skips_by_store(chosen)) == pytest.approx(meter.removable)


def test_a_label_changes_at_the_push_that_the_model_led_to() -> None:
    """A base model that another run fine-tunes is known as unneeded until that run pushed."""
    dataset = chained(4, lag=1)
    world = World(dataset, censored=True)
    order = dataset.time_order.tolist()
    base = 4  # of the third run; the fourth fine-tunes it and pushes
    assert dataset.needed[base]
    assert not dataset.pushed[base]
    push_ms = int(dataset.since_needed_ms[base])
    for row in order:
        world.decided(row, proceed=True)
    assert base in world.known_before(push_ms)
    assert not world.needed_before(base, push_ms)
    assert base not in world.became_needed_before(push_ms)
    assert base in world.became_needed_before(push_ms + 1)
    assert base not in world.became_needed_before(push_ms + 2)


def test_a_model_that_only_a_skipped_run_used_never_becomes_needed() -> None:
    """In a censored world the push that it led to was not made."""
    dataset = chained(4, lag=1)
    world = World(dataset, censored=True)
    for row in dataset.time_order.tolist():
        world.decided(row, proceed=row != 7)
    later = int(dataset.known_ms.max()) + 1
    assert 4 in world.known_before(later)
    assert not world.became_needed_before(later)
    assert not world.needed_before(4, later)


def test_case_c08_base_and_fine_tuning_are_one_decision() -> None:
    """Both of a run go on or neither; missed are the pushes of the runs that were skipped."""
    dataset = stored("c08_finetune")
    for freshness in (0.95, 0.8):
        result = replayed(dataset, freshness)
        gone = skipped(result)
        of_run: dict[str | None, set[bool]] = {}
        for graphlet in dataset.sources["s"]:
            of_run.setdefault(graphlet.run, set()).add(graphlet.trainer in gone)
        assert all(len(decided) == 1 for decided in of_run.values())
        lost = {
            graphlet.run
            for graphlet in dataset.sources["s"]
            if graphlet.trainer in gone and graphlet.needed
        }
        assert result.gate.pushes_missed == len(lost) <= (1 - freshness) * 24 + 1
    [oracle] = [one for one in result.baselines if one.name == "oracle"]
    assert (oracle.skipped, oracle.pushes_missed) == (32, 0)


def test_case_c30_a_retried_training_is_no_example_and_no_decision() -> None:
    """All 30 runs pushed: nothing is skipped, and a gate decides once a run."""
    dataset = stored("c30_seeing_double")
    assert (int(dataset.pushed.sum()), int(dataset.unpushed.sum())) == (30, 0)
    result = replayed(dataset, 0.9)
    assert len(result.decisions) == result.graphlets == 30
    assert (result.gate.skipped, result.gate.pushes_missed) == (0, 0)
    [oracle] = [one for one in result.baselines if one.name == "oracle"]
    assert oracle.skipped == 0


def test_an_attempt_is_skipped_with_the_one_that_counts() -> None:
    """Its compute is saved with it, though no row tells of it."""
    build = TraceBuilder()
    data = build.artifact()
    for _ in range(3):
        build.execution(
            "Trainer", inputs={"examples": [data]}, outputs={"model": [build.artifact("Model")]},
            run="r", node="t",
        )  # fmt: skip
    dataset = dataset_of(build.trace())
    last = dataset.take(np.array([2]))
    assert last.skips_by_store(np.array([True]))["s"].tolist() == [True] * 3
    assert last.skips_by_store(np.array([False]))["s"].tolist() == [False] * 3


@pytest.mark.parametrize(("pushers", "pushed"), [(None, 30), (["Pusher"], 30), (["p.Pusher"], 10)])
def test_case_c18_the_user_says_which_pusher_counts(pushers: list[str] | None, pushed: int) -> None:
    """Staging always takes the model: by type both count, by node the one that is meant."""
    assert int(stored("c18_two_pushers", pushers=pushers).pushed.sum()) == pushed


def test_figures_of_a_seed_depend_on_no_name_and_no_order_of_stores() -> None:
    """Two stores under other names and in the other order: the same decisions and figures."""
    one, two = chained(14), chained(10, lag=1)
    documents = []
    for first, second in (("a", "b"), ("z/../b.sqlite", "a.sqlite")):
        parts = [
            dataset_of(one.sources["s"].trace, first), dataset_of(two.sources["s"].trace, second),
        ]  # fmt: skip
        parts = parts if first == "a" else parts[::-1]
        policy = GatePolicy(freshness=0.8, exploration=0.3)
        result = backtest(Dataset.concatenate(parts), policy, settings=SMALL, draws=20, seed=3)
        document = result.to_dict()
        for name in ("decisions", "pipelines", "nodes"):
            for part in document[name]:  # type: ignore[attr-defined]
                part.pop("store", None)
                if name != "nodes":
                    part.pop("name", None)
        documents.append(document)
    assert documents[0] == documents[1]


def test_the_net_of_waste_removed_pays_for_the_gates() -> None:
    """What gates took, over all wasted cost, is taken off."""
    build = TraceBuilder()
    for number in range(4):
        model = build.artifact("Model")
        build.execution("Trainer", outputs={"model": [model]}, run=f"r{number}")
        build.execution("tfx_graphlets.components.WasteGate", run=f"r{number}", duration_ms=100)
    dataset = dataset_of(build.trace())
    meter = WasteMeter(dataset.sources, Stage.PRE)
    assert meter.overhead_ms == 400.0
    removed = meter.removed({"s": np.array([True, False, False, False])})
    assert (removed, meter.net(removed)) == (0.25, pytest.approx(0.15))


def test_the_report_has_net_and_delay() -> None:
    """Keys of the contract stand at the top level of the document."""
    document = replayed(chained(6), 0.9).to_dict()
    for key in ("waste_removed", "waste_removed_net", "delay", "pushes_missed", "freshness"):
        assert key in document


def test_a_case_that_is_not_at_hand_skips_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases stand beside the checkout, or do not."""
    monkeypatch.setattr("tests.corpus.CASES", Path("nowhere"))
    with pytest.raises(pytest.skip.Exception):
        case_store("c08_finetune")
