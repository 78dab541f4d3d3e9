"""Whose history a gate finds by look-ups: that of its Trainer nodes, in every store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.stores.mlmd_files import write_store
from tests.stores.places import Places, opened_places
from tests.stores.readers import by_mlmd, by_sql, needs_mlmd
from tests.stores.test_neighbourhood import with_parents
from tfx_graphlets.gate.graphlets_file import PipelineHistory, to_files
from tfx_graphlets.gate.request import Request, TrainerWanted
from tfx_graphlets.gate.snapshot import collect
from tfx_graphlets.stores.mlmd.store import MlmdStore
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState, Outcome, Stage

FAILED, CACHED = ExecutionState.FAILED, ExecutionState.CACHED
RUNS = 12
BACKENDS = [
    "sqlite",
    pytest.param("mlmd", marks=needs_mlmd),
    *(pytest.param(name, marks=pytest.mark.server) for name in ("mysql", "postgresql", "grpc")),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Servers of this module."""
    with opened_places(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


def history(folder: Path, classes: Sequence[str], *, uris: bool, deployed: bool = False) -> Path:
    """Two Trainers a run, of which ``left`` is pushed and ``right`` is not; the last run begins.

    Args:
      folder: where the store is written.
      classes: of the Trainers.
      uris: artifacts lie where TFX puts them; else their URIs name no node.
      deployed: both models are pushed to staging by the pipeline itself, and ``left``'s to
        production by another pipeline.
    """
    build = TraceBuilder()
    count = 0

    def node(name, kind, inputs, put_out, pipeline="p", run="", **rest):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        made = {
            key: [build.artifact(kind_of, uri=f"root/{name}/{key}/{count}" if uris else "", **said)]
            for key, kind_of, said in put_out
        }
        build.execution(
            kind, inputs=inputs, outputs=made, run=run, pipeline=pipeline,
            node=f"{pipeline}.{name}", **rest,
        )  # fmt: skip
        return made

    for number in range(RUNS + 1):
        run = f"run-{number}"
        data = node(
            "Gen", "CsvExampleGen", {}, [("examples", "Examples", {"span": number})], run=run
        )
        for side, kind in zip(("left", "right") if number < RUNS else (), classes):
            fails = number == 5
            model = node(
                f"Trainer.{side}", kind, data, [] if fails else [("model", "Model", {})], run=run,
                state=FAILED if fails else ExecutionState.COMPLETE,
            )  # fmt: skip
            if fails:
                continue
            good = int(side == "left")
            blessing = [("blessing", "ModelBlessing", {"blessed": good})]
            said = node(f"Evaluator.{side}", "Evaluator", model, blessing, run=run)
            served = [("pushed_model", "PushedModel", {"pushed": 1 if deployed else good})]
            taken = {**model, "model_blessing": said["blessing"]}
            node(f"Pusher.{side}", "Pusher", taken, served, run=run)
            if deployed:
                served = [("pushed_model", "PushedModel", {"pushed": good})]
                node(
                    "Production", "Pusher", taken, served, run=f"deploy-{number}-{side}",
                    pipeline="deploy",
                )  # fmt: skip
    return with_parents(write_store(folder / "metadata.sqlite", build.raw()))


def opened(backend: str, path: Path, places: Places, patch: pytest.MonkeyPatch) -> Store:
    """The store of a file, read by look-ups through one backend."""
    if backend == "sqlite":
        return by_sql(path)
    if backend == "mlmd":
        patch.setattr(MlmdStore, "_beside", lambda _store: None)
        return by_mlmd(path)
    return open_store(places.uri(backend, path))


def asked(
    store: Store, *nodes: str, runs: int = RUNS, pushers: tuple[str, ...] | None = None
) -> PipelineHistory:
    """What GraphletGen writes for a gate over some Trainer nodes of the run that begins."""
    with contextlib.closing(store):
        wanted = tuple(TrainerWanted(node) for node in nodes)
        request = Request(
            Stage.PRE, "p", f"run-{RUNS}", {}, runs=runs, trainers=wanted, pushers=pushers
        )
        return collect(store, request, 10**9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("classes", "uris"),
    [
        (("Trainer", "Trainer"), True),
        (("Trainer", "Trainer"), False),
        (("Trainer", "GenericTrainer"), True),
        (("acme.Forest", "acme.Net"), False),
    ],
)
def test_a_gate_finds_the_history_of_its_trainers_and_of_no_other(
    backend: str, classes: Sequence[str], uris: bool, places: Places, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One gate over both, and one over each: file by file what the whole store gives by SQL."""
    path = history(tmp_path, classes, uris=uris)
    for nodes in (("Trainer.left", "Trainer.right"), ("Trainer.left",), ("Trainer.right",)):
        whole = asked(by_sql(path), *nodes, runs=0)
        found = asked(opened(backend, path, places, monkeypatch), *nodes)
        assert to_files(found) == to_files(whole)
        assert found.past is not None
        assert len(found.past) == RUNS * 2
        of_right = [node == "Trainer.right" for node in found.past.node]
        pushed = (found.past.outcome == Outcome.PUSHED).tolist()
        assert sum(pushed) == RUNS - 1
        assert not any(one and right for one, right in zip(pushed, of_right))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pusher", ["Production", "deploy.Production"])
def test_a_pusher_of_another_pipeline_counts_by_its_node(
    backend: str, pusher: str, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes to staging in every run proves nothing, where production is named."""
    path = history(tmp_path, ("Trainer", "Trainer"), uris=True, deployed=True)
    nodes = ("Trainer.left", "Trainer.right")
    store = opened(backend, path, places, monkeypatch)
    found = asked(store, *nodes, pushers=(pusher,))
    assert found.past is not None
    pushed = [
        node for node, one in zip(found.past.node, found.past.outcome) if one == Outcome.PUSHED
    ]
    assert pushed == ["Trainer.left"] * (RUNS - 1)
