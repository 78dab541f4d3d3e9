"""The pipeline that every run is cut from: its nodes, their artifacts and who reads them.

Names, keys, types and their order are those that TFX 1.16 records. A run has a *slot* for each
node that a pipeline may have; most pipelines leave some empty. A lane is one Trainer with what
validates and serves its model; a pipeline has one or two.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

LANES: Final = 2


class Source(enum.IntEnum):
    """Whose artifact an execution reads: of which run."""

    OWN = 0  # of this run
    ORIGIN = 1  # of the run that made it: this one, or for a cache hit an earlier one
    WINDOW = 2  # of the runs that made the spans of the window, newest first
    BASELINE = 3  # of the latest run with a blessed model
    WARM = 4  # of the latest run with a model


@dataclasses.dataclass(frozen=True)
class Input:
    """What a node takes in, or what a Resolver found.

    Attributes:
      key: the event's key.
      output: position in OUTPUTS of what is read, for lane 0.
      source: of which run.
      needs: slot that has to exist in the run for the input to be there; None for always.
    """

    key: str
    output: int
    source: Source
    needs: int | None = None


@dataclasses.dataclass(frozen=True)
class Output:
    """What a node puts out.

    Attributes:
      slot: the node.
      key: the event's key, and a part of the URI.
      type_name: artifact type.
      position: among the outputs of its node.
    """

    slot: int
    key: str
    type_name: str
    position: int


@dataclasses.dataclass(frozen=True)
class Node:
    """A component of the pipeline.

    Attributes:
      node_id: its id, the node context's name without the pipeline.
      type_name: execution type.
      minutes: median duration in a pipeline of ordinary size.
    """

    node_id: str
    type_name: str
    minutes: float


_COMPONENTS = "tfx.components"
_RESOLVER = "tfx.dsl.components.common.resolver.Resolver"

(EXAMPLE_GEN, WINDOW, STATISTICS_GEN, SCHEMA_GEN, EXAMPLE_VALIDATOR, TRANSFORM, TUNER,
 LATEST_BLESSED, LATEST_MODEL, TRAINER, EVALUATOR, INFRA_VALIDATOR, PUSHER,
 BULK_INFERRER) = range(14)  # fmt: skip
FIRST_OF_LANE: Final = LATEST_BLESSED
SLOTS_PER_LANE: Final = BULK_INFERRER + 1 - FIRST_OF_LANE
RESOLVERS: Final = (WINDOW, LATEST_BLESSED, LATEST_MODEL)
# Those that TFX's cache can answer for; the Trainer and what follows read something new.
CACHEABLE: Final = (EXAMPLE_GEN, STATISTICS_GEN, SCHEMA_GEN, EXAMPLE_VALIDATOR, TRANSFORM)

_SHARED = (
    Node("CsvExampleGen", f"{_COMPONENTS}.example_gen.csv_example_gen.component.CsvExampleGen", 6),
    Node("latest_spans", _RESOLVER, 0),
    Node("StatisticsGen", f"{_COMPONENTS}.statistics_gen.component.StatisticsGen", 5),
    Node("SchemaGen", f"{_COMPONENTS}.schema_gen.component.SchemaGen", 0.1),
    Node("ExampleValidator", f"{_COMPONENTS}.example_validator.component.ExampleValidator", 0.15),
    Node("Transform", f"{_COMPONENTS}.transform.component.Transform", 14),
    Node("Tuner", f"{_COMPONENTS}.tuner.component.Tuner", 60),
)
_LANE = (
    Node("latest_blessed_model", _RESOLVER, 0),
    Node("latest_model", _RESOLVER, 0),
    Node("Trainer", f"{_COMPONENTS}.trainer.component.Trainer", 45),
    Node("Evaluator", f"{_COMPONENTS}.evaluator.component.Evaluator", 8),
    Node("InfraValidator", f"{_COMPONENTS}.infra_validator.component.InfraValidator", 2),
    Node("Pusher", f"{_COMPONENTS}.pusher.component.Pusher", 0.2),
    Node("BulkInferrer", f"{_COMPONENTS}.bulk_inferrer.component.BulkInferrer", 12),
)
NODES: Final = (
    *_SHARED,
    *_LANE,
    *(dataclasses.replace(node, node_id=f"{node.node_id}.wide") for node in _LANE),
)
SLOTS: Final = len(NODES)

_OUTPUTS_OF: Final = {
    EXAMPLE_GEN: (("examples", "Examples"),),
    STATISTICS_GEN: (("statistics", "ExampleStatistics"),),
    SCHEMA_GEN: (("schema", "Schema"),),
    EXAMPLE_VALIDATOR: (("anomalies", "ExampleAnomalies"),),
    TRANSFORM: (
        ("updated_analyzer_cache", "TransformCache"),
        ("transformed_examples", "Examples"),
        ("transform_graph", "TransformGraph"),
        ("pre_transform_schema", "Schema"),
        ("pre_transform_stats", "ExampleStatistics"),
        ("post_transform_schema", "Schema"),
        ("post_transform_stats", "ExampleStatistics"),
        ("post_transform_anomalies", "ExampleAnomalies"),
    ),
    TUNER: (("best_hyperparameters", "HyperParameters"), ("tuner_results", "TunerResults")),
    TRAINER: (("model_run", "ModelRun"), ("model", "Model")),
    EVALUATOR: (("blessing", "ModelBlessing"), ("evaluation", "ModelEvaluation")),
    INFRA_VALIDATOR: (("blessing", "InfraBlessing"),),
    PUSHER: (("pushed_model", "PushedModel"),),
    BULK_INFERRER: (("inference_result", "InferenceResult"),),
}


def lane_of(slot: int) -> int:
    """Lane of a slot, 0 for what the lanes share."""
    return max(slot - FIRST_OF_LANE, 0) // SLOTS_PER_LANE


def in_lane(slot: int, lane: int) -> int:
    """The slot in another lane than the first; the same for what the lanes share."""
    return slot + lane * SLOTS_PER_LANE if slot >= FIRST_OF_LANE else slot


def base_slot(slot: int) -> int:
    """The slot of the first lane that plays the same part."""
    return slot - lane_of(slot) * SLOTS_PER_LANE


def resolves(slot: int) -> bool:
    """Whether the node is a Resolver."""
    return base_slot(slot) in RESOLVERS


OUTPUTS: Final = tuple(
    Output(slot, key, type_name, position)
    for slot in range(SLOTS)
    for position, (key, type_name) in enumerate(_OUTPUTS_OF.get(base_slot(slot), ()))
)
OUTPUTS_OF_SLOT: Final = tuple(
    tuple(output for output in OUTPUTS if output.slot == slot) for slot in range(SLOTS)
)


def output(slot: int, key: str) -> int:
    """Position of an output in OUTPUTS.

    >>> OUTPUTS[output(TRAINER, "model")].type_name
    'Model'
    """
    return next(n for n, made in enumerate(OUTPUTS) if (made.slot, made.key) == (slot, key))


_EXAMPLES = output(EXAMPLE_GEN, "examples")
_STATISTICS = output(STATISTICS_GEN, "statistics")
_SCHEMA = output(SCHEMA_GEN, "schema")
_MODEL = output(TRAINER, "model")
_BLESSING = output(EVALUATOR, "blessing")
_SCHEMA_INPUT = Input("schema", _SCHEMA, Source.ORIGIN)
_PREPROCESSED = (
    Input("transform_graph", output(TRANSFORM, "transform_graph"), Source.ORIGIN),
    Input("examples", output(TRANSFORM, "transformed_examples"), Source.ORIGIN),
)
_OWN_MODEL = Input("model", _MODEL, Source.OWN)
_OWN_BLESSING = Input("model_blessing", _BLESSING, Source.OWN)
_NEWEST_EXAMPLES = Input("examples", _EXAMPLES, Source.ORIGIN)

_INPUTS_OF: Final = {
    WINDOW: (Input("examples", _EXAMPLES, Source.WINDOW),),
    STATISTICS_GEN: (_NEWEST_EXAMPLES,),
    SCHEMA_GEN: (Input("statistics", _STATISTICS, Source.ORIGIN),),
    EXAMPLE_VALIDATOR: (_SCHEMA_INPUT, Input("statistics", _STATISTICS, Source.ORIGIN)),
    TRANSFORM: (Input("examples", _EXAMPLES, Source.WINDOW), _SCHEMA_INPUT),
    TUNER: (_SCHEMA_INPUT, *_PREPROCESSED),
    LATEST_BLESSED: (
        Input("model_blessing", _BLESSING, Source.BASELINE),
        Input("model", _MODEL, Source.BASELINE),
    ),
    LATEST_MODEL: (Input("model", _MODEL, Source.WARM),),
    TRAINER: (
        _SCHEMA_INPUT,
        *_PREPROCESSED,
        Input("base_model", _MODEL, Source.WARM, needs=LATEST_MODEL),
        Input(
            "hyperparameters", output(TUNER, "best_hyperparameters"), Source.OWN, needs=TUNER
        ),
    ),
    EVALUATOR: (
        _OWN_MODEL,
        Input("baseline_model", _MODEL, Source.BASELINE),
        _NEWEST_EXAMPLES,
        _SCHEMA_INPUT,
    ),
    INFRA_VALIDATOR: (_OWN_MODEL, _NEWEST_EXAMPLES),
    PUSHER: (
        _OWN_MODEL,
        _OWN_BLESSING,
        Input(
            "infra_blessing", output(INFRA_VALIDATOR, "blessing"), Source.OWN,
            needs=INFRA_VALIDATOR,
        ),
    ),
    BULK_INFERRER: (_OWN_MODEL, _OWN_BLESSING, _NEWEST_EXAMPLES),
}  # fmt: skip


def _in_lane(read: Input, lane: int) -> Input:
    made = OUTPUTS[read.output]
    return dataclasses.replace(
        read,
        output=output(in_lane(made.slot, lane), made.key),
        needs=None if read.needs is None else in_lane(read.needs, lane),
    )


INPUTS_OF_SLOT: Final = tuple(
    tuple(_in_lane(read, lane_of(slot)) for read in _INPUTS_OF.get(base_slot(slot), ()))
    for slot in range(SLOTS)
)
ARTIFACT_TYPES: Final = tuple(sorted({made.type_name for made in OUTPUTS}))
EXECUTION_TYPES: Final = tuple(dict.fromkeys(node.type_name for node in NODES))
KEYS: Final = tuple(
    sorted(
        {made.key for made in OUTPUTS} | {read.key for reads in INPUTS_OF_SLOT for read in reads}
    )
)
