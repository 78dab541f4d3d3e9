"""From a store to a pipeline's history, without TFX."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from types import TracebackType

import numpy as np
import pytest

from tfx_graphlets.errors import InvalidArgumentError, StoreNotFoundError, TraceNotFoundError
from tfx_graphlets.features import all_features
from tfx_graphlets.gate import snapshot
from tfx_graphlets.gate.graphlets_file import from_files, to_files
from tfx_graphlets.gate.request import Request, TrainerWanted
from tfx_graphlets.gate.snapshot import collect, collect_files
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.stores.store import Store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Outcome, Stage

GATE = "tfx_graphlets.components.waste_gate.WasteGate"
GENERATOR = "tfx_graphlets.components.graphlet_gen.GraphletGen"


@dataclasses.dataclass
class FixedStore:
    """A store that holds one trace."""

    trace: Trace
    payloads: Payloads = dataclasses.field(default_factory=NoPayloads)
    name: str = "the store"
    declared: Declared = dataclasses.field(default_factory=Declared)

    def read_trace(
        self, *, pipeline: str | None = None, properties: Collection[str] | None = None
    ) -> Trace:
        """The trace, whatever the pipeline."""
        del pipeline, properties
        return self.trace

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Nothing to let go of."""


@dataclasses.dataclass
class FixedPayloads:
    """Files by URI and name; remembers which were asked for."""

    content: dict[str, dict[str, bytes]] = dataclasses.field(default_factory=dict)

    def files(self, uri: str) -> tuple[str, ...]:
        """Names below a URI."""
        return tuple(sorted(self.content.get(uri, {})))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a file."""
        return self.content.get(uri, {}).get(name)


@dataclasses.dataclass(frozen=True)
class Wired:
    """What a component is handed of an artifact."""

    id: int
    uri: str
    type_name: str = "Examples"


@dataclasses.dataclass
class Runs:
    """Runs of one pipeline, built one after the other."""

    build: TraceBuilder = dataclasses.field(default_factory=TraceBuilder)

    def prepare(self, run: str) -> Wired:
        """The run up to the gate; returns its Examples."""
        uri = f"{run}/examples"
        examples = self.build.artifact("Examples", span=len(run), uri=uri)
        self.build.execution("CsvExampleGen", outputs={"examples": [examples]}, run=run)
        return Wired(examples, uri)

    def train(self, run: str, examples: Wired, *, pushed: bool) -> None:
        """The rest of the run."""
        model = self.build.artifact("Model")
        self.build.execution(
            "Trainer", inputs={"examples": [examples.id]}, outputs={"model": [model]}, run=run
        )
        destination = self.build.artifact("PushedModel", pushed=int(pushed))
        self.build.execution(
            "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [destination]}, run=run
        )

    def skip(self, run: str) -> None:
        """The gate's decision against a run."""
        decision = self.build.artifact(
            "tfx_graphlets.GateDecision", proceed=0, would_skip=1, shadow=0, stage="pre", gate="G"
        )
        self.build.execution(GATE, outputs={"decision": [decision]}, run=run)

    def read(self, run: str, examples: Wired | None, payloads: Payloads | None = None):  # type: ignore[no-untyped-def]
        """What GraphletGen collects in this run."""
        inputs = {} if examples is None else {"examples": (examples,)}
        request = Request(Stage.PRE, "pipeline", run, inputs)
        store = FixedStore(self.build.trace(), payloads or NoPayloads())
        return collect(store, request, self.build.clock_ms)


def test_the_current_graphlet_and_the_past_are_told_apart() -> None:
    """The run before its Trainer is the current row; runs that trained are the past."""
    runs = Runs()
    for number, pushed in enumerate((True, False, True)):
        runs.train(f"r{number}", runs.prepare(f"r{number}"), pushed=pushed)
    runs.prepare("skipped")
    runs.skip("skipped")
    history = runs.read("now", runs.prepare("now"))
    assert [Outcome(code) for code in history.past.outcome] == [
        Outcome.PUSHED, Outcome.UNPUSHED, Outcome.PUSHED,
    ]  # fmt: skip
    assert len(history.current) == 1
    assert history.current.trainer.tolist() == [0]
    assert history.current.row(0)["history.pushed_1"] == 1.0
    assert [(d.run, d.proceed) for d in history.decisions] == [("skipped", False)]
    assert history.past.run == ("r0", "r1", "r2")
    assert (history.pipeline, history.run, history.stage) == ("pipeline", "now", Stage.PRE)
    assert history.past.table.features == history.current.features == all_features(Stage.PRE)


def test_what_a_gate_behind_the_trainer_cut_short_has_no_outcome() -> None:
    """Its Model was not pushed because the gate said so: no label to learn from."""
    runs = Runs()
    runs.train("r0", runs.prepare("r0"), pushed=False)
    runs.train("r1", runs.prepare("r1"), pushed=False)
    runs.skip("r1")
    history = runs.read("now", runs.prepare("now"))
    assert [Outcome(code) for code in history.past.outcome] == [
        Outcome.UNPUSHED, Outcome.INCOMPLETE,
    ]  # fmt: skip


def test_the_first_run_of_a_pipeline_has_no_past() -> None:
    """Before anything was trained the history is empty, and there is a current graphlet."""
    runs = Runs()
    history = runs.read("now", runs.prepare("now"))
    assert len(history.past) == 0
    assert len(history.current) == 1
    assert from_files(to_files(history)).num_labelled == 0


def test_without_wired_inputs_the_run_itself_says_what_will_be_trained_on() -> None:
    """What the run has put out so far stands in for channels that nobody wired."""
    runs = Runs()
    runs.train("r1", runs.prepare("r1"), pushed=True)
    examples = runs.prepare("now")
    wired, derived = runs.read("now", examples), runs.read("now", None)
    assert wired.current.row(0) == derived.current.row(0)
    assert derived.current.row(0)["input_data.spans"] == 1.0


def test_before_a_run_has_begun_nothing_is_known_of_its_input() -> None:
    """With neither a run nor wired inputs only the history speaks."""
    runs = Runs()
    runs.train("r1", runs.prepare("r1"), pushed=True)
    row = runs.read("", None).current.row(0)
    assert row["history.pushed_1"] == 1.0
    assert row["input_data.bytes"] is None


def test_an_artifact_is_found_by_its_uri_where_ids_are_not_the_stores() -> None:
    """Kubeflow hands components ids of its own; the URI counts where the id names another."""
    runs = Runs()
    runs.train("r1", runs.prepare("r1"), pushed=True)
    examples = runs.prepare("now")
    right = runs.read("now", examples).current.row(0)
    for strange in (0, 1, 10**18):
        assert runs.read("now", dataclasses.replace(examples, id=strange)).current.row(0) == right


def test_a_store_without_the_current_run_is_told() -> None:
    """An archive that ends before this run cannot describe it: the error says what is needed."""
    runs = Runs()
    runs.train("r1", runs.prepare("r1"), pushed=True)
    with pytest.raises(TraceNotFoundError, match=r"the store does not hold.*current run"):
        runs.read("now", Wired(77, "elsewhere"))


def test_what_goes_wrong_is_kept_as_the_problem() -> None:
    """collect_files never raises: it gives the files of a history that holds the problem."""

    def gone() -> Store:
        raise StoreNotFoundError("metadata.sqlite", "no such file")

    request = Request(Stage.PRE, "pipeline", "now", {})
    history = from_files(collect_files(gone, request, 5))
    assert history.problem == "metadata.sqlite: no such file"
    assert (history.current, history.past, history.read_ms) == (None, None, 5)


def remembered(runs: Runs, run: str, **changes: object) -> FixedPayloads:
    """Leaves in the trace the Graphlets artifact of a run; returns the files below its URI."""
    history = dataclasses.replace(runs.read(run, runs.prepare(run)), **changes)
    graphlets = runs.build.artifact(
        "tfx_graphlets.Graphlets", uri=f"{run}/graphlets", usable=1, stage="pre"
    )
    runs.build.execution(GENERATOR, outputs={"graphlets": [graphlets]}, run=run)
    return FixedPayloads({f"{run}/graphlets": to_files(history)})


def described_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Records how many past graphlets are described from now on."""
    counts: list[int] = []
    describe = snapshot.describe

    def counting(graphlets, stage, **more):  # type: ignore[no-untyped-def]
        counts.append(len(more["rows"]))
        return describe(graphlets, stage, **more)

    monkeypatch.setattr(snapshot, "describe", counting)
    return counts


def test_graphlets_that_were_described_before_are_not_described_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows of labelled graphlets come from the last Graphlets artifact, equal to new ones."""
    runs = Runs()
    for number in range(4):
        runs.train(f"r{number}", runs.prepare(f"r{number}"), pushed=number % 2 == 0)
    payloads = remembered(runs, "r4")
    runs.train("r4", runs.prepare("r4"), pushed=True)
    examples = runs.prepare("now")
    anew = runs.read("now", examples)
    counts = described_rows(monkeypatch)
    again = runs.read("now", examples, payloads)
    assert counts == [1, 1]  # the current graphlet, and that of r4
    assert again.past.table.to_arrow().equals(anew.past.table.to_arrow())
    assert np.array_equal(again.past.outcome, anew.past.outcome)


@pytest.mark.parametrize("changes", [{"release": "0.0.0"}, {"pipeline": "another"}])
def test_what_another_release_described_is_described_anew(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    """Rows are taken over only from the same release and the same pipeline."""
    runs = Runs()
    runs.train("r0", runs.prepare("r0"), pushed=True)
    payloads = remembered(runs, "r1", **changes)
    counts = described_rows(monkeypatch)
    runs.read("now", runs.prepare("now"), payloads)
    assert counts == [1, 1]


def test_what_other_pushers_described_is_described_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which pushers count is in the features: rows of other ones are not taken over."""
    runs = Runs()
    runs.train("r0", runs.prepare("r0"), pushed=True)
    before = runs.read("r1", runs.prepare("r1")).past
    assert before is not None
    other = dataclasses.replace(before, declared=Declared.of(None, ["production"]))
    payloads = remembered(runs, "r2", past=other)
    counts = described_rows(monkeypatch)
    runs.read("now", runs.prepare("now"), payloads)
    assert counts == [1, 1]


def test_files_that_are_gone_or_damaged_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The earlier artifact only saves time: without its files everything is described."""
    runs = Runs()
    runs.train("r0", runs.prepare("r0"), pushed=True)
    payloads = remembered(runs, "r1")
    [files] = payloads.content.values()
    files["history.parquet"] = b"damaged"
    counts = described_rows(monkeypatch)
    runs.read("now", runs.prepare("now"), payloads)
    runs.read("now", runs.prepare("now"), FixedPayloads())
    assert counts == [1, 1, 1, 1]


def test_the_request_takes_the_pipelines_name_from_the_node_first() -> None:
    """pipeline_name is for runners that do not tell a component its pipeline."""
    told = Request.of({"stage": "pre", "pipeline_name": "given"}, {}, pipeline="told", run="r")
    assert (told.pipeline, told.run) == ("given", "r")
    assert Request.of({"stage": "pre"}, {}, pipeline="told", run="").pipeline == "told"
    with pytest.raises(InvalidArgumentError, match="stage"):
        Request.of({}, {}, pipeline="", run="")


def test_behind_the_trainer_the_model_says_which_run_it_is() -> None:
    """At stage validation a runner that names no run (Kubeflow) is told it by the wired model."""
    runs = Runs()
    for name in ("r0", "r1"):
        examples = runs.prepare(name)
        model = runs.build.artifact("Model", uri=f"{name}/model")
        runs.build.execution(
            "Trainer", inputs={"examples": [examples.id]}, outputs={"model": [model]}, run=name
        )
    wired = {"model": (Wired(4711, "r0/model", "Model"),)}
    request = Request(Stage.VALIDATION, "pipeline", "", wired)
    history = collect(FixedStore(runs.build.trace()), request, runs.build.clock_ms)
    assert history.past.run == ("r1",)
    lost = Request(Stage.VALIDATION, "pipeline", "", {"model": (Wired(1, "r9/model", "Model"),)})
    with pytest.raises(TraceNotFoundError, match="does not hold the Model"):
        collect(FixedStore(runs.build.trace()), lost, runs.build.clock_ms)


def _coded(codes: str) -> Trace:
    """One run a letter, whose Transform and Trainer have recorded that code; pushed if lower."""
    build = TraceBuilder()
    for number, letter in enumerate(codes):
        where = {"run": f"run-{number}", "pipeline": "p", "module_path": f"m@w-0.0+{letter * 64}"}
        data, graph = build.artifact("Examples", span=number), build.artifact("TransformGraph")
        model = build.artifact("Model")
        build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
        build.execution(
            "Transform", inputs={"examples": [data]}, outputs={"transform_graph": [graph]}, **where
        )
        build.execution(
            "Trainer", inputs={"examples": [data], "transform_graph": [graph]},
            outputs={"model": [model]}, node="p.Trainer", **where,
        )  # fmt: skip
    return build.trace()


@pytest.mark.parametrize(("code", "same"), [("a", 1.0), ("c", 0.0)])
def test_code_that_is_known_before_a_run_is_compared(code: str, same: float) -> None:
    """ANY_ROLE stands for the roles that the pipeline has: no Tuner is made up."""
    request = Request(Stage.INPUT, "p", "", {}, code_known={"": code * 64})
    found = collect(FixedStore(_coded("aba")), request, 10**10)
    assert found.current is not None
    row = found.current.row(0)
    assert (row["code.trainer_same_1"], row["code.transform_same_1"]) == (same, same)


def test_code_that_is_known_at_the_trainer_counts_before_that_of_the_request() -> None:
    """GraphletGen knows the code of each node."""
    wanted = TrainerWanted("Trainer", code_known={"trainer": "c" * 64})
    request = Request(
        Stage.INPUT, "p", "", {}, trainers=(wanted,), code_known={"trainer": "a" * 64}
    )
    found = collect(FixedStore(_coded("aba")), request, 10**10)
    assert found.current is not None
    assert found.current.row(0)["code.trainer_same_1"] == 0.0
    assert request.code_record == '{"Trainer": {"trainer": "' + "c" * 64 + '"}}'
