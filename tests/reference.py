"""A second, deliberately simple implementation of the graphlet rules.

Pure Python over dictionaries and sets, one Trainer at a time, straight from
the sentences of the rules ("Roles", "States", "Segmentation", "Outcome",
"Cost"). It imports nothing of the package and has its own tables, so that a
mistake in the one is not repeated in the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.reference_rows import Rows, read_sqlite

COMPLETE, FAILED, CACHED = 3, 4, 5
INPUT_TYPES, OUTPUT_TYPES = {2, 3}, {1, 4}
RUN_CONTEXTS = ["pipeline_run", "system.PipelineRun", "run", "KfpRun"]
PIPELINE_CONTEXTS = ["pipeline", "system.Pipeline"]
NODE_CONTEXTS = ["node"]
_BOXES = ("parent_dag_id", "iteration_index")
OWN = "tfx_graphlets."
NEVER = None

CLASSES = {
    "IMPORTER": "Importer ImporterNode",
    "STATISTICS_GEN": "StatisticsGen",
    "SCHEMA_GEN": "SchemaGen ImportSchemaGen",
    "DATA_VALIDATOR": "ExampleValidator DistributionValidator ExampleDiff",
    "TRANSFORM": "Transform",
    "TUNER": "Tuner",
    "TRAINER": "Trainer GenericTrainer",
    "MODEL_VALIDATOR": "Evaluator ModelValidator",
    "INFRA_VALIDATOR": "InfraValidator",
    "BULK_INFERRER": "BulkInferrer",
    "PUSHER": "Pusher",
    "RESOLVER": "Resolver ResolverNode",
}
DATA_ANALYSIS = {"STATISTICS_GEN", "SCHEMA_GEN", "DATA_VALIDATOR"}
CLOSED_UPSTREAM = {
    "Model", "ModelRun", "ModelBlessing", "InfraBlessing", "ModelEvaluation", "PushedModel",
    "TransformCache",
}  # fmt: skip
CLOSED_DOWNSTREAM = {"TRAINER", "TUNER", "TRANSFORM", "EXAMPLE_GEN"} | DATA_ANALYSIS


def segment_sqlite(path: Path | str) -> list[dict[str, Any]]:
    """The graphlets of the store, ascending id of the Trainer."""
    return segment_rows(read_sqlite(path))


def segment_rows(rows: Rows, **options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The graphlets of the rows; options as in ``Reference``."""
    return Reference(rows, **options).graphlets


class Reference:
    """Everything that the rules say about one store.

    Args:
      rows: the store.
      role_of_type: role name by full name or last dotted part of a type.
      pushers: names of nodes or types whose pushes count; None for all.
      cost_weight_of_role, cost_weight_of_type: factors of the cost.

    Attributes:
      role: role name by execution.
      cost: milliseconds times weight, by execution.
      graphlets: one plain dictionary per graphlet.
      useful: Trainers of the unpushed graphlets that are no waste.
      needed_ms: by Trainer, when its graphlet became needed; None where it is not.
      overhead: executions of this project's own nodes.
      wasted: executions that are wasted.
    """

    def __init__(
        self, rows: Rows, *, role_of_type: Mapping[str, str] | None = None,
        pushers: Iterable[str] | None = None,
        cost_weight_of_role: Mapping[str, float] | None = None,
        cost_weight_of_type: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.rows = rows
        self.artifact_type = {a: _last_part(row["type"]) for a, row in rows.artifacts.items()}
        self.role = self._roles(role_of_type or {})
        self.overhead = {e for e, row in rows.executions.items() if row["type"].startswith(OWN)}
        self.own_artifacts = {a for a, row in rows.artifacts.items() if row["type"].startswith(OWN)}
        self.pushers = None if pushers is None else set(pushers)
        self.declared_pushers = {
            row["type"]
            for row in rows.executions.values()
            if (role_of_type or {}).get(
                row["type"], (role_of_type or {}).get(_last_part(row["type"]))
            )
            == "PUSHER"
        }
        self._edges()
        self.runs: dict[int, set[int]] = defaultdict(set)
        for context, execution in rows.associations:
            if context in rows.contexts and rows.contexts[context][0] in RUN_CONTEXTS:
                self.runs[execution].add(context)
        self.cost = {
            execution: 0.0
            if row["state"] == CACHED or not row["create"] or not row["update"]
            else float(max(0, row["update"] - row["create"]))
            for execution, row in rows.executions.items()
        }
        by_role, by_type = cost_weight_of_role or {}, cost_weight_of_type or {}
        for execution, row in rows.executions.items():
            last_part = _last_part(row["type"])
            self.cost[execution] *= by_role.get(self.role[execution], 1.0)
            self.cost[execution] *= by_type.get(row["type"], by_type.get(last_part, 1.0))
        self.downstream: dict[int, set[int]] = {}
        self.trainers = [
            execution
            for execution in sorted(rows.executions)
            if self.role[execution] == "TRAINER"
            and rows.executions[execution]["state"] != CACHED
            and execution not in self.overhead
        ]
        self.graphlets = [self._graphlet(execution) for execution in self.trainers]
        self.needed_ms = self._needed()
        for graphlet in self.graphlets:
            graphlet["needed"] = self.needed_ms[graphlet["trainer"]] is not NEVER
        self.useful = {
            g["trainer"] for g in self.graphlets if g["outcome"] == "unpushed" and g["needed"]
        }
        held_by: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for graphlet in self.graphlets:
            for execution in graphlet["executions"]:
                held_by[execution].append(graphlet)
        self.wasted = {
            execution
            for execution, holders in held_by.items()
            if all(g["outcome"] == "unpushed" and g["trainer"] not in self.useful for g in holders)
        }

    # -- edges and roles -----------------------------------------------------------

    def _edges(self) -> None:
        """Input and output edges, after roles are known: a Resolver has none."""
        self.inputs: dict[int, set[int]] = defaultdict(set)
        self.outputs: dict[int, set[int]] = defaultdict(set)
        self.producers: dict[int, set[int]] = defaultdict(set)
        self.consumers: dict[int, set[tuple[int, str | None]]] = defaultdict(set)
        for execution, artifact, kind, key in self.rows.events:
            if execution not in self.rows.executions or artifact not in self.rows.artifacts:
                continue
            if self.role[execution] == "RESOLVER":
                continue
            if execution in self.overhead or artifact in self.own_artifacts:
                continue
            if kind in INPUT_TYPES:
                self.inputs[execution].add(artifact)
                self.consumers[artifact].add((execution, key))
            elif kind in OUTPUT_TYPES:
                self.outputs[execution].add(artifact)
                self.producers[artifact].add(execution)

    def _roles(self, given: Mapping[str, str]) -> dict[int, str]:
        puts_out: dict[str, set[str]] = defaultdict(set)
        takes_in: dict[str, set[str]] = defaultdict(set)
        for execution, artifact, kind, _ in self.rows.events:
            if execution in self.rows.executions and artifact in self.rows.artifacts:
                name = self.rows.executions[execution]["type"]
                if kind in INPUT_TYPES:
                    takes_in[name].add(self.artifact_type[artifact])
                elif kind in OUTPUT_TYPES:
                    puts_out[name].add(self.artifact_type[artifact])
        roles = {}
        for execution, row in self.rows.executions.items():
            name = row["type"]
            if name in given:
                roles[execution] = given[name]
            elif _last_part(name) in given:
                roles[execution] = given[_last_part(name)]
            else:
                roles[execution] = _role(_last_part(name), puts_out[name], takes_in[name])
        return roles

    def _shares_run(self, execution: int, trainer: int) -> bool:
        return bool(self.runs[execution] & self.runs[trainer])

    def _context_of(self, execution: int, type_names: list[str]) -> int | None:
        held = sorted(
            {context for context, member in self.rows.associations if member == execution}
        )
        for type_name in type_names:
            for context in held:
                if context in self.rows.contexts and self.rows.contexts[context][0] == type_name:
                    return context
        return None

    def _context_name(self, execution: int, type_names: list[str]) -> str | None:
        context = self._context_of(execution, type_names)
        return None if context is None else self.rows.contexts[context][1]

    # -- the three steps -----------------------------------------------------------

    def _upstream(self, trainer: int) -> tuple[set[int], set[int]]:
        executions, artifacts, to_do = {trainer}, set(), [trainer]
        while to_do:
            for artifact in self.inputs[to_do.pop()]:
                if self.artifact_type[artifact] in CLOSED_UPSTREAM:
                    continue
                artifacts.add(artifact)
                for producer in self.producers[artifact] - executions:
                    if self.role[producer] == "TRAINER":
                        continue
                    cached = self.rows.executions[producer]["state"] == CACHED
                    if cached and not self._shares_run(producer, trainer):
                        continue
                    executions.add(producer)
                    to_do.append(producer)
        for execution in executions - {trainer}:
            artifacts |= self.outputs[execution]
        return executions, artifacts

    def _analysis(self, trainer: int, seeds: set[int]) -> tuple[set[int], set[int]]:
        ended = self.rows.executions[trainer]["update"]
        executions: set[int] = set()
        artifacts: set[int] = set()
        to_do, seen = list(seeds), set(seeds)
        while to_do:
            from_artifact = to_do.pop()
            if self.artifact_type[from_artifact] == "Schema":
                continue
            for consumer, _ in self.consumers[from_artifact]:
                row = self.rows.executions[consumer]
                if self.role[consumer] not in DATA_ANALYSIS or consumer in executions:
                    continue
                if row["state"] == CACHED and not self._shares_run(consumer, trainer):
                    continue
                if row["create"] and ended and row["create"] > ended:
                    continue
                executions.add(consumer)
                for artifact in self.inputs[consumer]:
                    if self.artifact_type[artifact] not in CLOSED_UPSTREAM:
                        artifacts.add(artifact)
                artifacts |= self.outputs[consumer]
                to_do += self.outputs[consumer] - seen
                seen |= self.outputs[consumer]
        return executions, artifacts

    def _forward(self, starts: Iterable[int]) -> set[int]:
        """Executions that step 3 reaches from the outputs of ``starts``."""
        reached: set[int] = set()
        to_do = list(starts)
        while to_do:
            for artifact in self.outputs[to_do.pop()]:
                for consumer, key in self.consumers[artifact]:
                    if self.role[consumer] in CLOSED_DOWNSTREAM or key == "baseline_model":
                        continue
                    if consumer not in reached:
                        reached.add(consumer)
                        to_do.append(consumer)
        return reached

    def _graphlet(self, trainer: int) -> dict[str, Any]:
        executions, artifacts = self._upstream(trainer)
        analysis, beside = self._analysis(trainer, artifacts)
        downstream = self._forward([trainer])
        self.downstream[trainer] = downstream
        executions |= analysis | downstream
        artifacts |= beside | self.outputs[trainer]
        for execution in downstream:
            artifacts |= self.outputs[execution]
        rows = [self.rows.executions[execution] for execution in executions]
        models = {a for a in self.inputs[trainer] if self.artifact_type[a] == "Model"}
        return {
            "trainer": trainer,
            "node": self._node_id(trainer),
            "pipeline": self._context_name(trainer, PIPELINE_CONTEXTS),
            "run": self._context_name(trainer, RUN_CONTEXTS),
            "executions": sorted(executions),
            "artifacts": sorted(artifacts),
            "warm_start": sorted(models),
            "outcome": self._outcome(trainer, downstream),
            "start_ms": min((row["create"] for row in rows if row["create"]), default=0),
            "end_ms": max(row["update"] for row in rows),
            "cost_ms": sum(self.cost[execution] for execution in executions),
        }

    # -- outcome and waste ---------------------------------------------------------

    def _models(self, trainer: int) -> set[int]:
        return {a for a in self.outputs[trainer] if self.artifact_type[a] == "Model"}

    def _node_id(self, execution: int) -> str | None:
        name = self._context_name(execution, NODE_CONTEXTS)
        pipeline = self._context_name(execution, PIPELINE_CONTEXTS)
        if name is not None and pipeline and name.startswith(f"{pipeline}."):
            return name[len(pipeline) + 1 :]
        return name

    def _counts(self, pusher: int) -> bool:
        """Whether a pusher is one of those that the user named."""
        name = self.rows.executions[pusher]["type"]
        names = {
            name, _last_part(name), self._context_name(pusher, NODE_CONTEXTS),
            self._node_id(pusher),
        }  # fmt: skip
        return self.pushers is None or bool(self.pushers & names)

    def _said(self, execution: int) -> set[float | None]:
        """The numbers in the properties ``pushed`` of what an execution put out."""
        said: set[float | None] = set()
        for artifact in self.outputs[execution]:
            said |= self.rows.artifacts[artifact]["pushed"]
        return said

    def _speaks(self, execution: int) -> bool:
        return any(self.rows.artifacts[artifact]["speaks"] for artifact in self.outputs[execution])

    def _pushed(self, execution: int) -> bool:
        row = self.rows.executions[execution]
        if self.role[execution] != "PUSHER" or not self._counts(execution):
            return False
        if row["state"] in (COMPLETE, CACHED) and 1 in self._said(execution):
            return True
        silent = row["type"] in self.declared_pushers and not any(
            self._speaks(other)
            for other, its in self.rows.executions.items()
            if its["type"] == row["type"]
        )
        return silent and row["state"] == COMPLETE

    def verdict(self, trainer: int) -> float | None:
        """The verdict that counts on the model of a graphlet: 1 or 0, None where there is none."""
        behind = self.downstream[trainer]
        validators = {e for e in behind if self.role[e] == "MODEL_VALIDATOR"}
        listened_to = {
            validator
            for pusher in behind
            if self.role[pusher] == "PUSHER" and self._counts(pusher)
            for artifact in self.inputs[pusher]
            if self.artifact_type[artifact] == "ModelBlessing"
            for validator in self.producers[artifact] & validators
        }
        said = [
            self.rows.artifacts[artifact]["blessed"]
            for validator in listened_to or validators
            for artifact in self.outputs[validator]
            if self.artifact_type[artifact] == "ModelBlessing"
        ]
        return min((one for one in said if one is not None), default=None)

    def _is_retried(self, trainer: int) -> bool:
        def place(execution: int) -> tuple[object, ...]:
            pipeline = self._context_of(execution, PIPELINE_CONTEXTS)
            node = self._context_of(execution, NODE_CONTEXTS)
            kind = self.rows.executions[execution]["type"] if node is None else node
            box = [self.rows.executions[execution].get(name) for name in _BOXES]
            return pipeline, node is None, kind, *box

        return any(
            other > trainer
            and place(other) == place(trainer)
            and self._shares_run(other, trainer)
            and self.inputs[other] == self.inputs[trainer]
            for other in self.trainers
        )

    def _outcome(self, trainer: int, downstream: set[int]) -> str:
        state = self.rows.executions[trainer]["state"]
        if any(self._pushed(execution) for execution in downstream):
            return "pushed"
        if state == FAILED:
            return "failed"
        if self._is_retried(trainer):
            return "retried"
        return "unpushed" if state == COMPLETE and self._models(trainer) else "incomplete"

    def _push_ms(self, trainer: int) -> int:
        rows = [
            self.rows.executions[execution]
            for execution in self.downstream[trainer]
            if self._pushed(execution)
        ]
        return min(max(row["create"], row["update"]) for row in rows)

    def _needed(self) -> dict[int, int | None]:
        """By Trainer, the first push of it, or of what its Model led to."""
        outcome = {g["trainer"]: g["outcome"] for g in self.graphlets}
        followers = {
            trainer: [
                g["trainer"] for g in self.graphlets if self._models(trainer) & set(g["warm_start"])
            ]
            for trainer in self.trainers
        }
        needed: dict[int, int | None] = {}
        for trainer in self.trainers:
            if outcome[trainer] == "pushed":
                needed[trainer] = self._push_ms(trainer)
                continue
            led_to, to_do = set(), [trainer]
            while to_do:
                for follower in followers[to_do.pop()]:
                    if follower not in led_to:
                        led_to.add(follower)
                        to_do.append(follower)
            pushes = [self._push_ms(t) for t in led_to if outcome[t] == "pushed"]
            needed[trainer] = min(pushes) if pushes and outcome[trainer] == "unpushed" else NEVER
        return needed

    def missed(self, skipped: set[int]) -> set[int]:
        """Pushed Trainers whose push is missed if these Trainers' graphlets are skipped.

        "Of the same run" is taken of every warm start on the way.
        """
        by_trainer = {g["trainer"]: g for g in self.graphlets}

        def lost(trainer: int, seen: frozenset[int]) -> bool:
            if trainer in skipped:
                return True
            return any(
                lost(base, seen | {base})
                for base in self.trainers
                if base not in seen
                and self._models(base) & set(by_trainer[trainer]["warm_start"])
                and self._shares_run(base, trainer)
            )

        return {
            g["trainer"]
            for g in self.graphlets
            if g["outcome"] == "pushed" and lost(g["trainer"], frozenset({g["trainer"]}))
        }

    def after_gate(self, graphlet: dict[str, Any], stage: str) -> set[int]:
        """Executions of the graphlet that run after the gate at this stage."""
        trainer, downstream = graphlet["trainer"], self.downstream[graphlet["trainer"]]
        if stage == "input":
            before = {"EXAMPLE_GEN", "IMPORTER", "RESOLVER"}
            return {e for e in graphlet["executions"] if self.role[e] not in before}
        if stage == "pre":
            return downstream | {trainer}
        if stage == "trainer":
            return downstream
        return self._forward(e for e in downstream if self.role[e] == "MODEL_VALIDATOR")

    def saved(self, skipped: set[int], stage: str) -> set[int]:
        """Executions that do not run when these Trainers' graphlets are skipped."""
        after: set[int] = set()
        still_run: set[int] = set()
        for graphlet in self.graphlets:
            if graphlet["trainer"] in skipped:
                after |= self.after_gate(graphlet, stage)
            else:
                still_run |= set(graphlet["executions"])
        return after - still_run

    def cost_of(self, executions: set[int]) -> float:
        """Cost of a set of executions, each counted once."""
        return sum(self.cost[execution] for execution in executions)


def _role(class_name: str, puts_out: set[str], takes_in: set[str]) -> str:
    if class_name.endswith("ExampleGen"):
        return "EXAMPLE_GEN"
    for role, names in CLASSES.items():
        if class_name in names.split():
            return role
    if "PushedModel" in puts_out:
        return "PUSHER"
    if "ModelBlessing" in puts_out or "ModelEvaluation" in puts_out:
        return "MODEL_VALIDATOR"
    if "InfraBlessing" in puts_out:
        return "INFRA_VALIDATOR"
    if "Model" in puts_out and takes_in & {
        "Examples", "TransformGraph", "Schema", "HyperParameters",
    }:  # fmt: skip
        return "TRAINER"
    if "TransformGraph" in puts_out:
        return "TRANSFORM"
    if "HyperParameters" in puts_out:
        return "TUNER"
    if "ExampleStatistics" in puts_out:
        return "STATISTICS_GEN"
    if "ExampleAnomalies" in puts_out:
        return "DATA_VALIDATOR"
    if "Schema" in puts_out:
        return "SCHEMA_GEN"
    if "Examples" in puts_out and not takes_in:
        return "EXAMPLE_GEN"
    return "CUSTOM"


def _last_part(name: str) -> str:
    return name.rsplit(".", 1)[-1]
