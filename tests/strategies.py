"""Hypothesis strategies for traces, as raw rows that no reader has put in order.

``pipeline_rows`` follows pipelines in operation; ``arbitrary_rows`` wires
anything to anything, cycles included, to reach what no pipeline would write.
"""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence

from hypothesis import settings
from hypothesis import strategies as st

from tests.row_lists import put, rows_of
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.rows import TABLES, RowBuilder
from tfx_graphlets.trace.trace import PropertyKind
from tfx_graphlets.vocabulary import EventType, ExecutionState

# Decorators of property tests: the same examples on every machine.
deterministic = settings(derandomize=True, deadline=None, max_examples=40, database=None)
thorough = settings(deterministic, max_examples=120)
# Uniform choices from a seed: drawn one by one they would all be small.
seeds = st.integers(0, 2**63)

PREFIX = "tfx.components.some.component."
RUN_CONTEXT_TYPES = ("pipeline_run", "run", "KfpRun", "system.PipelineRun")
CUSTOM_CLASSES = (
    "Augmenter", "ForestTrainer", "Pruner", "Reporter", "Uploader", "acme.Checker", "Labeller",
)  # fmt: skip
CLASSES = (
    "CsvExampleGen", "Importer", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform",
    "Tuner", "Trainer", "GenericTrainer", "Evaluator", "InfraValidator", "BulkInferrer", "Pusher",
    "Resolver", *CUSTOM_CLASSES,
)  # fmt: skip
ARTIFACT_TYPES = (
    "Examples", "ExampleStatistics", "ExampleAnomalies", "Schema", "TransformGraph",
    "TransformCache", "HyperParameters", "Model", "ModelRun", "ModelBlessing", "ModelEvaluation",
    "InfraBlessing", "PushedModel", "acme.Report", "system.Model",
)  # fmt: skip
PUSHED_VALUES = (1, 1, 1, 0, 0, True, "1", 1.0, 2, "no")
BLESSED_VALUES = (1, 1, 0, True, "1", 0.0, "no")


class Pipeline:
    """A pipeline in operation: rolling windows, cache hits and what goes wrong.

    Args:
      build: where its executions go.
      randomness: every choice comes from here.
      name: name of its pipeline context.
    """

    def __init__(self, build: TraceBuilder, randomness: random.Random, name: str) -> None:
        self.build = build
        self.randomness = randomness
        self.name = name
        self.run_context_type = randomness.choice((*RUN_CONTEXT_TYPES, "interactive", "none"))
        self.window = randomness.randint(1, 3)
        self.num_trainers = randomness.randint(1, 2)
        self.parts = {part: self.chance(0.6) for part in ("schema", "transform", "tuner", "infra")}
        self.customs = randomness.sample(CUSTOM_CLASSES, randomness.randint(0, 2))
        self.trouble = randomness.choice((0.0, 0.1, 0.3))
        self.cache = randomness.choice((0.0, 0.2, 0.5))
        self.num_runs = 0
        self.spans: list[int] = []
        self.schemas: list[int] = []
        self.models: list[int] = []
        self.serving: list[int] = []
        self.earlier: dict[str, Mapping[str, Sequence[int]]] = {}

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.randomness.random() < probability

    def run(self) -> None:
        """One run, from ExampleGen to Pusher, as far as it gets."""
        self.num_runs += 1
        data = self.node("CsvExampleGen", {}, {"examples": "Examples"})
        self.spans += data.get("examples", [])
        spans = self.spans[-self.window :]
        self.resolver(spans)
        prepared = self.prepare(spans)
        for _ in range(self.num_trainers):
            self.train(prepared)
        if self.chance(0.3) and self.spans:
            self.analyse([self.randomness.choice(self.spans)])

    def analyse(self, spans: Sequence[int]) -> None:
        """StatisticsGen and what follows it."""
        statistics = self.node(
            "StatisticsGen", {"examples": spans}, {"statistics": "ExampleStatistics"}
        ).get("statistics", [])
        if self.parts["schema"] or self.chance(0.1):
            self.schemas += self.node(
                "SchemaGen", {"statistics": statistics}, {"schema": "Schema"}
            ).get("schema", [])
        elif not self.schemas:
            self.schemas += self.node("Importer", {}, {"result": "Schema"}).get("result", [])
        self.node(
            "ExampleValidator", {"statistics": statistics, "schema": self.schemas[-1:]},
            {"anomalies": "ExampleAnomalies"},
        )  # fmt: skip

    def prepare(self, spans: Sequence[int]) -> dict[str, Sequence[int]]:
        """Everything between the data and the Trainer; the Trainer's inputs."""
        self.analyse(spans[-1:])
        for name in self.customs:
            if name == "Augmenter":
                made = self.node(name, {"examples": spans}, {"examples": "Examples"})
                spans = [*spans, *made.get("examples", [])]
            elif name == "Labeller":
                self.spans += self.node(name, {}, {"labels": "Examples"}).get("labels", [])
        inputs: dict[str, Sequence[int]] = {"examples": spans, "schema": self.schemas[-1:]}
        if self.parts["transform"]:
            made = self.node(
                "Transform", {**inputs, "analyzer_cache": self.earlier_cache()},
                {
                    "transform_graph": "TransformGraph", "transformed_examples": "Examples",
                    "updated_analyzer_cache": "TransformCache",
                    "post_transform_stats": "ExampleStatistics",
                },
            )  # fmt: skip
            inputs["transform_graph"] = made.get("transform_graph", [])
            inputs["examples"] = made.get("transformed_examples", [])
        if self.parts["tuner"]:
            outputs = {"best_hyperparameters": "HyperParameters", "model": "Model"}
            made = self.node("Tuner", inputs, outputs)
            inputs["hyperparameters"] = made.get("best_hyperparameters", [])
        return inputs

    def train(self, inputs: Mapping[str, Sequence[int]]) -> None:
        """A Trainer, and validation and serving of its model."""
        warm = {"base_model": [self.randomness.choice(self.models)]} if self.models else {}
        trainer = "ForestTrainer" if "ForestTrainer" in self.customs else "Trainer"
        made = self.node(
            trainer, {**inputs, **(warm if self.chance(0.4) else {})},
            {"model": "Model", "model_run": "ModelRun"},
        )  # fmt: skip
        model = made.get("model", [])
        if not model:
            return
        self.models += model
        if "Pruner" in self.customs:
            model = self.node("Pruner", {"model": model}, {"pruned": "Model"}).get("pruned", model)
        evaluated = self.node(
            "Evaluator",
            {"model": model, "baseline_model": self.serving[-1:], "examples": self.spans[-1:]},
            {"blessing": "ModelBlessing", "evaluation": "ModelEvaluation"},
        )
        if self.parts["infra"]:
            self.node("InfraValidator", {"model": model}, {"blessing": "InfraBlessing"})
        listens_to = evaluated
        if "acme.Checker" in self.customs:
            outputs = {"result": "ModelEvaluation", "blessing": "ModelBlessing"}
            checked = self.node("acme.Checker", {"model": model}, outputs)
            listens_to = self.randomness.choice((evaluated, checked, {}))
        if "Reporter" in self.customs:
            self.node("Reporter", {"e": evaluated.get("evaluation", [])}, {"r": "acme.Report"})
        if self.chance(0.2):
            made = self.node("BulkInferrer", {"model": model}, {"examples": "Examples"})
            self.spans += made.get("examples", [])
        pusher = "Uploader" if "Uploader" in self.customs else "Pusher"
        self.node(
            pusher, {"model": model, "model_blessing": listens_to.get("blessing", [])},
            {"pushed_model": "PushedModel"},
        )  # fmt: skip
        self.serving += model if self.chance(0.5) else []

    def earlier_cache(self) -> Sequence[int]:
        """The analyzer cache of the preceding Transform."""
        return self.earlier.get("Transform", {}).get("updated_analyzer_cache", [])

    def resolver(self, spans: Sequence[int]) -> None:
        """A Resolver that claims to take in and put out what it found."""
        if self.chance(0.5):
            found = {"resolved": [*spans, *self.models[-1:]]}
            taken = found if self.chance(0.5) else {}
            self.associate(self.build.execution("Resolver", inputs=taken, outputs=found))

    def node(
        self, name: str, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, str]
    ) -> Mapping[str, Sequence[int]]:
        """One execution; artifact ids by key of what it put out."""
        state, put_out = ExecutionState.COMPLETE, True
        if self.chance(self.trouble):
            state = self.randomness.choice((ExecutionState.FAILED, ExecutionState.RUNNING))
            put_out = self.chance(0.3)
        elif name in self.earlier and self.chance(self.cache):
            state = ExecutionState.CACHED
        if state == ExecutionState.CACHED:
            made = self.earlier[name]
        elif put_out:
            made = {key: [self.artifact(type_name)] for key, type_name in outputs.items()}
        else:
            made = {}
        create_ms = self.build.clock_ms - self.randomness.choice((0, 0, 0, 1500, 4000))
        execution = self.build.execution(
            name if name in CUSTOM_CLASSES else PREFIX + name, inputs=inputs, outputs=made,
            state=state, duration_ms=self.randomness.choice((-5, 0, 700, 1000, 2500)),
            create_ms=max(0, create_ms),
        )  # fmt: skip
        self.associate(execution)
        if self.chance(0.05):
            kind = self.randomness.choice((EventType.INTERNAL_OUTPUT, EventType.PENDING_OUTPUT))
            self.build.event(execution, self.artifact("Examples"), kind, "examples")
        if state == ExecutionState.COMPLETE:
            self.earlier[name] = made
        return made

    def artifact(self, type_name: str) -> int:
        """A new artifact; a PushedModel and a blessing say what became of the model."""
        if type_name == "PushedModel":
            return self.build.artifact(type_name, pushed=self.randomness.choice(PUSHED_VALUES))
        if type_name in ("ModelBlessing", "InfraBlessing"):
            return self.build.artifact(type_name, blessed=self.randomness.choice(BLESSED_VALUES))
        return self.build.artifact(type_name)

    def associate(self, execution: int) -> None:
        """Puts an execution into its contexts, in the way of its runner."""
        kind, run = self.run_context_type, f"{self.name}.run-{self.num_runs}"
        if kind == "none":
            return
        self.build.associate(execution, "pipeline", self.name)
        if kind == "interactive":
            self.build.associate(execution, "run", f"{run}.{execution}")
        else:
            self.build.associate(execution, kind, run)
            if kind == "KfpRun" and self.chance(0.5):
                self.build.associate(execution, "pipeline_run", run)


@st.composite
def pipeline_rows(draw: Callable[..., int]) -> RowBuilder:
    """Rows of one to three pipelines whose runs interleave in one store."""
    randomness = random.Random(draw(seeds))
    build = TraceBuilder()
    pipelines = [
        Pipeline(build, randomness, f"pipeline-{number}")
        for number in range(randomness.randint(1, 3))
    ]
    for _ in range(draw(st.integers(1, 6))):
        randomness.choice(pipelines).run()
    if randomness.random() < 0.3:
        build.event(9_999, 1, EventType.INPUT, "examples")
        build.event(1, 9_999, EventType.OUTPUT, "examples")
    return build.raw()


@st.composite
def arbitrary_rows(draw: Callable[..., int]) -> RowBuilder:
    """Rows without any sense: every type, state, event, context and time."""
    randomness = random.Random(draw(seeds))
    build = TraceBuilder(clock_ms=0)
    choose, between = randomness.choice, randomness.randint
    num_executions, num_artifacts = draw(st.integers(1, 16)), draw(st.integers(1, 16))
    for _ in range(num_artifacts):
        said = {"pushed": choose(PUSHED_VALUES)} if randomness.random() < 0.3 else {}
        said |= {"blessed": choose(BLESSED_VALUES)} if randomness.random() < 0.3 else {}
        build.artifact(choose((*ARTIFACT_TYPES, *("Model", "Examples") * 3)), **said)
    trainers = ("Trainer", PREFIX + "Trainer", "GenericTrainer", "Pusher")
    for number in range(num_executions):
        name = choose(trainers) if randomness.random() < 0.4 else choose(CLASSES)
        execution = build.execution(
            name, state=choose(tuple(ExecutionState) + (ExecutionState.COMPLETE,) * 6),
            create_ms=between(0, 20), duration_ms=between(-3, 20),
        )  # fmt: skip
        if number and randomness.random() < 0.2:
            value = choose(("new", "complete", "Cached", "failed", "published", "strange"))
            build.raw().add_property(
                "Execution", execution, "state", False, PropertyKind.STRING, value
            )
        for _ in range(between(0, 2)):
            kind = choose((*RUN_CONTEXT_TYPES, "pipeline", "node"))
            build.associate(execution, kind, choose(("a", "b")))
    kinds = (*EventType, *(EventType.INPUT, EventType.OUTPUT) * 10)
    for _ in range(between(0, 4 * num_executions)):
        build.event(
            between(1, num_executions + 1), between(1, num_artifacts + 1), choose(kinds),
            choose((None, "model", "baseline_model", "examples")),
        )  # fmt: skip
    raw = build.raw()
    put(raw, "Association", sorted(set(rows_of(raw, "Association"))))
    return raw


def rows() -> st.SearchStrategy[RowBuilder]:
    """Rows of either kind."""
    return st.one_of(pipeline_rows(), arbitrary_rows())


# -- changes that must not matter, or must matter in one way only --------------------


@dataclasses.dataclass(frozen=True)
class Renumbering:
    """New id by old id."""

    executions: Mapping[int, int]
    artifacts: Mapping[int, int]


def permuted(
    raw: RowBuilder, randomness: random.Random, *, renumber: bool = False
) -> tuple[RowBuilder, Renumbering]:
    """The same store with its rows in another order, and other ids if wanted.

    Ids of contexts stay: which of two run contexts an execution is named by
    depends on their order. Executions of one type keep their order: of two
    attempts at a training the one with the higher id counts.
    """
    raw = copy.deepcopy(raw)
    new = Renumbering(
        _new_ids(raw["Execution"]["id"], randomness, renumber, raw["Execution"]["type"]),
        _new_ids(raw["Artifact"]["id"], randomness, renumber),
    )
    raw["Execution"]["id"] = [new.executions[old] for old in raw["Execution"]["id"]]
    raw["Artifact"]["id"] = [new.artifacts[old] for old in raw["Artifact"]["id"]]
    # An id that does not exist must go on not existing.
    raw["Event"]["execution"] = [new.executions.get(old, -1) for old in raw["Event"]["execution"]]
    raw["Event"]["artifact"] = [new.artifacts.get(old, -1) for old in raw["Event"]["artifact"]]
    for table, column, ids in (
        ("Association", "execution", new.executions),
        ("ExecutionProperty", "owner", new.executions),
        ("ArtifactProperty", "owner", new.artifacts),
    ):
        raw[table][column] = [ids[old] for old in raw[table][column]]
    for table in TABLES:
        rows = rows_of(raw, table)
        randomness.shuffle(rows)
        put(raw, table, rows)
    return raw, new


def with_unrelated(raw: RowBuilder, other: RowBuilder) -> RowBuilder:
    """Both stores in one; ids, contexts and custom types of ``other`` are made new.

    Types are renamed because the role of a custom class is decided over all
    its executions in the store.
    """
    raw, other = copy.deepcopy(raw), copy.deepcopy(other)
    shift = 1_000_000
    other["Execution"]["type"] = [
        f"{name}OfOthers" if name in CUSTOM_CLASSES else name for name in other["Execution"]["type"]
    ]
    other["Context"]["name"] = [f"other {name}" for name in other["Context"]["name"]]
    ids = {"id", "owner", "execution", "artifact", "context"}
    for table, kinds in TABLES.items():
        for column in ids & kinds.keys():
            other[table][column] = [value + shift for value in other[table][column]]
        raw.extend(table, rows_of(other, table))
    return raw


def _new_ids(
    ids: Sequence[int], randomness: random.Random, renumber: bool, kinds: Sequence[str] = ()
) -> Mapping[int, int]:
    """New ids by the old ones; those of one kind, if kinds are given, in their old order."""
    if not renumber:
        return {old: old for old in ids}
    new = randomness.sample(range(1, 10 * len(ids) + 2), len(ids))
    for kind in sorted(set(kinds)):
        rows = sorted((row for row, one in enumerate(kinds) if one == kind), key=ids.__getitem__)
        for row, number in zip(rows, sorted(new[row] for row in rows)):
            new[row] = number
    return dict(zip(ids, new))
