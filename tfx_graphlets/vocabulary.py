"""The only home of strings and numbers that TFX and ML Metadata own.

Sources: ``metadata_store.proto`` of ml-metadata 1.16, ``standard_artifacts.py``
and the component classes of TFX 1.16, and ``docs/graphlets.md`` for roles.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

# Times are milliseconds.
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class ExecutionState(enum.IntEnum):
    """MLMD ``Execution.State``."""

    UNKNOWN = 0
    NEW = 1
    RUNNING = 2
    COMPLETE = 3
    FAILED = 4
    CACHED = 5
    CANCELED = 6


# Schema 4 keeps the state in the execution property ``state`` (TFX < 0.22).
STATE_OF_PROPERTY: Final[Mapping[str, ExecutionState]] = {
    "new": ExecutionState.NEW,
    "running": ExecutionState.RUNNING,
    "complete": ExecutionState.COMPLETE,
    "published": ExecutionState.COMPLETE,
    "cached": ExecutionState.CACHED,
    "failed": ExecutionState.FAILED,
}


def state_of_text(text: str) -> int:
    """The state that the property ``state`` says in a word; 0 for any other word."""
    return int(STATE_OF_PROPERTY.get(text.lower(), 0))


class EventType(enum.IntEnum):
    """MLMD ``Event.Type``."""

    UNKNOWN = 0
    DECLARED_OUTPUT = 1
    DECLARED_INPUT = 2
    INPUT = 3
    OUTPUT = 4
    INTERNAL_INPUT = 5
    INTERNAL_OUTPUT = 6
    PENDING_OUTPUT = 7


INPUT_EVENTS: Final = (EventType.INPUT, EventType.DECLARED_INPUT)
OUTPUT_EVENTS: Final = (EventType.OUTPUT, EventType.DECLARED_OUTPUT)

# Key of the event by which an Evaluator takes in the model it compares with.
BASELINE_MODEL_KEY: Final = "baseline_model"


# The names of this project's own execution and artifact types start so (docs/graphlets.md,
# Segmentation): they belong to no graphlet.
OWN_PREFIX: Final = "tfx_graphlets."


class Role(enum.IntEnum):
    """What an execution does in a TFX pipeline (docs/graphlets.md, Roles).

    >>> Role["TRAINER"] is Role.TRAINER
    True
    """

    CUSTOM = 0
    EXAMPLE_GEN = 1
    IMPORTER = 2
    STATISTICS_GEN = 3
    SCHEMA_GEN = 4
    DATA_VALIDATOR = 5
    TRANSFORM = 6
    TUNER = 7
    TRAINER = 8
    MODEL_VALIDATOR = 9
    INFRA_VALIDATOR = 10
    BULK_INFERRER = 11
    PUSHER = 12
    RESOLVER = 13


DATA_ANALYSIS: Final = (Role.STATISTICS_GEN, Role.SCHEMA_GEN, Role.DATA_VALIDATOR)

# A class whose name ends so is an ExampleGen (CsvExampleGen, BigQueryExampleGen).
EXAMPLE_GEN_SUFFIX: Final = "ExampleGen"

ROLE_OF_CLASS: Final[Mapping[str, Role]] = {
    "Importer": Role.IMPORTER,
    "ImporterNode": Role.IMPORTER,
    "StatisticsGen": Role.STATISTICS_GEN,
    "SchemaGen": Role.SCHEMA_GEN,
    "ImportSchemaGen": Role.SCHEMA_GEN,
    "ExampleValidator": Role.DATA_VALIDATOR,
    "DistributionValidator": Role.DATA_VALIDATOR,
    "ExampleDiff": Role.DATA_VALIDATOR,
    "Transform": Role.TRANSFORM,
    "Tuner": Role.TUNER,
    "Trainer": Role.TRAINER,
    "GenericTrainer": Role.TRAINER,
    "Evaluator": Role.MODEL_VALIDATOR,
    "ModelValidator": Role.MODEL_VALIDATOR,
    "InfraValidator": Role.INFRA_VALIDATOR,
    "BulkInferrer": Role.BULK_INFERRER,
    "Pusher": Role.PUSHER,
    "Resolver": Role.RESOLVER,
    "ResolverNode": Role.RESOLVER,
}


class ArtifactType:
    """Last dotted part of the names of TFX's standard artifact types."""

    EXAMPLES: Final = "Examples"
    EXAMPLE_STATISTICS: Final = "ExampleStatistics"
    EXAMPLE_ANOMALIES: Final = "ExampleAnomalies"
    SCHEMA: Final = "Schema"
    TRANSFORM_GRAPH: Final = "TransformGraph"
    TRANSFORM_CACHE: Final = "TransformCache"
    HYPER_PARAMETERS: Final = "HyperParameters"
    MODEL: Final = "Model"
    MODEL_RUN: Final = "ModelRun"
    MODEL_BLESSING: Final = "ModelBlessing"
    MODEL_EVALUATION: Final = "ModelEvaluation"
    INFRA_BLESSING: Final = "InfraBlessing"
    PUSHED_MODEL: Final = "PushedModel"


# Types that the upstream walk does not enter (docs/graphlets.md, step 1).
NOT_ENTERED_UPSTREAM: Final = (
    ArtifactType.MODEL,
    ArtifactType.MODEL_RUN,
    ArtifactType.MODEL_BLESSING,
    ArtifactType.INFRA_BLESSING,
    ArtifactType.MODEL_EVALUATION,
    ArtifactType.PUSHED_MODEL,
    ArtifactType.TRANSFORM_CACHE,
)

# Roles that the downstream walk does not enter (docs/graphlets.md, step 3).
NOT_ENTERED_DOWNSTREAM: Final = (
    Role.TRAINER,
    Role.TUNER,
    Role.TRANSFORM,
    Role.EXAMPLE_GEN,
    *DATA_ANALYSIS,
)


class ContextType:
    """Names of the context types that TFX and Kubeflow Pipelines write."""

    PIPELINE: Final = "pipeline"
    PIPELINE_RUN: Final = "pipeline_run"
    NODE: Final = "node"
    RUN: Final = "run"  # TFX before 0.24, InteractiveContext
    KFP_RUN: Final = "KfpRun"  # Kubeflow Pipelines v1
    SYSTEM_PIPELINE: Final = "system.Pipeline"  # Kubeflow Pipelines v2
    SYSTEM_PIPELINE_RUN: Final = "system.PipelineRun"


class SystemType:
    """Names of the execution types of Kubeflow Pipelines v2 (``system.*``)."""

    CONTAINER: Final = "system.ContainerExecution"
    IMPORTER: Final = "system.ImporterExecution"
    WORKSPACE_IMPORTER: Final = "system.ImporterWorkspaceExecution"
    DAG: Final = "system.DAGExecution"  # the run, a condition, a loop

    IMPORTERS: Final = frozenset({IMPORTER, WORKSPACE_IMPORTER})
    TASKS: Final = frozenset({CONTAINER, IMPORTER, WORKSPACE_IMPORTER})
    BOXES: Final = frozenset({DAG})
    EXECUTIONS: Final = TASKS | BOXES


PIPELINE_CONTEXTS: Final = (ContextType.PIPELINE, ContextType.SYSTEM_PIPELINE)
# In order of preference where an execution stands in several.
RUN_CONTEXTS: Final = (
    ContextType.PIPELINE_RUN,
    ContextType.SYSTEM_PIPELINE_RUN,
    ContextType.RUN,
    ContextType.KFP_RUN,
)
NODE_CONTEXTS: Final = (ContextType.NODE,)


class PropertyName:
    """Property keys that this library reads (declared and custom alike)."""

    # Execution.
    STATE: Final = "state"  # execution state, schema 4
    MODULE_PATH: Final = "module_path"  # user code, ends in a content hash
    MODULE_FILE: Final = "module_file"  # user code, path only (older TFX)
    RUN_FN: Final = "run_fn"
    # Own: hashes of the code of transform, tuner and trainer, as JSON. Of a pending Trainer, and,
    # by Trainer node, of a Graphlets artifact.
    CODE_KNOWN: Final = "code_known"
    TRAIN_ARGS: Final = "train_args"  # JSON TrainArgs, num_steps
    CUSTOM_CONFIG: Final = "custom_config"  # JSON
    EVAL_CONFIG: Final = "eval_config"  # JSON tfma.EvalConfig with thresholds
    TASK_NAME: Final = "task_name"  # Kubeflow Pipelines v2, as the five below
    DISPLAY_NAME: Final = "display_name"
    CACHED_EXECUTION_ID: Final = "cached_execution_id"  # str, MLMD execution id
    INPUTS: Final = "inputs"  # struct of the task's parameters
    PARENT_DAG_ID: Final = "parent_dag_id"  # int, the box that the task stands in
    ITERATION_INDEX: Final = "iteration_index"  # int, of a task that is a loop's body itself
    # Artifact.
    SPAN: Final = "span"
    VERSION: Final = "version"
    INPUT_FINGERPRINT: Final = "input_fingerprint"  # files, bytes, checksums
    BLESSED: Final = "blessed"  # 1 or 0; ExampleAnomalies: struct per split
    PUSHED: Final = "pushed"  # 1 or 0


# MLMD keeps a Struct property as text with this prefix in ``string_value``.
STRUCT_PREFIX: Final = "mlmd-struct::"

# Schema versions of MLMD that the SQL reader knows (table ``MLMDEnv``).
OLDEST_SCHEMA_VERSION: Final = 4
NEWEST_SCHEMA_VERSION: Final = 10


class Stage(str, enum.Enum):
    """Where a gate can stand (docs/graphlets.md, Stages), earliest first.

    >>> [str(stage) for stage in Stage]
    ['input', 'pre', 'trainer', 'validation']
    """

    INPUT = "input"
    PRE = "pre"
    TRAINER = "trainer"
    VALIDATION = "validation"

    @property
    def order(self) -> int:
        """Position in the pipeline, 0 for INPUT to 3 for VALIDATION."""
        return list(Stage).index(self)

    def __str__(self) -> str:
        return self.value


class Outcome(enum.IntEnum):
    """What became of a graphlet (docs/graphlets.md, Outcome).

    >>> Outcome.PUSHED.name
    'PUSHED'
    """

    PUSHED = 3  # in the order in which outcomes are told; the numbers are stored
    UNPUSHED = 2
    FAILED = 1
    RETRIED = 4  # the same run trained the same node on the same artifacts again
    INCOMPLETE = 0

    def __str__(self) -> str:
        return self.name.lower()


def base_name(type_name: str) -> str:
    """Last dotted part of a type's name: ``a.b.Trainer`` gives ``Trainer``."""
    return type_name.rpartition(".")[2]


def role_of_class(type_name: str) -> Role | None:
    """The role that a type's name gives its class; None for one that TFX does not know.

    >>> role_of_class("tfx.components.Trainer"), role_of_class("CsvExampleGen").name
    (<Role.TRAINER: 8>, 'EXAMPLE_GEN')
    """
    base = base_name(type_name)
    return ROLE_OF_CLASS.get(base, Role.EXAMPLE_GEN if base.endswith(EXAMPLE_GEN_SUFFIX) else None)
