"""Keys of the gate's components: outputs, execution properties, custom properties.

Owned by this project, and read back from stores also where TFX is not installed.
"""

from __future__ import annotations

from typing import Final

# Input and output keys of the components.
GRAPHLETS: Final = "graphlets"
MODEL: Final = "model"
DECISION: Final = "decision"
VERDICT: Final = "verdict"  # what Cond asks: the same artifact in every run that proceeds
ARCHIVE: Final = "archive"
OUTER: Final = "outer"  # decision of a gate at an earlier stage of the same pipeline
REHEARSAL: Final = "rehearsal"

# What the pending Trainer will take in: inputs of GraphletGen, by the Trainer's own keys.
TRAINER_INPUTS: Final = ("examples", "transform_graph", "schema", "hyperparameters", "base_model")

# Last dotted part of the artifact types' names.
GRAPHLETS_TYPE: Final = "Graphlets"
GATE_DECISION_TYPE: Final = "GateDecision"

# Execution properties.
STORE: Final = "store"  # URI of a store, without password
PIPELINE_NAME: Final = "pipeline_name"
RUNS: Final = "runs"  # int: how many runs before the current one are read; 0 for all
MODEL_DIRECTORY: Final = "model_directory"
DIRECTORY: Final = "directory"  # of an archive; also a custom property of Archive
FORCE_RUN: Final = "force_run"  # int: 1 to proceed whatever the model says
FRESHNESS: Final = "freshness"  # float 0..1
SEED: Final = "seed"
TRAINERS: Final = "trainers"  # JSON: the Trainer nodes behind the gate; see components.trainers
ROLE_OF_TYPE: Final = "role_of_type"  # JSON: role by execution type
PUSHERS: Final = "pushers"  # JSON list: the pushers that count, by node or type
TIME_LIMIT: Final = "time_limit_s"  # float: seconds, of the whole node
MEMORY_LIMIT: Final = "memory_limit_mb"  # int: MB of 2**20 bytes
ON_ERROR: Final = "on_error"  # run, skip or fail; run where it is absent
WAITED: Final = "waited_s"  # float, from the driver: seconds of the time limit that it took
CACHING: Final = "caching"  # int, from the driver: 1 where the pipeline has enable_cache
INVOCATION: Final = "invocation"  # from the driver: another one in every execution

# Execution properties of Rehearsal. Custom properties of its artifact: ``rehearsal.record``.
MODE: Final = "mode"  # what is asked for: auto, off, scout or full
EVAL_CONFIG: Final = "eval_config"  # JSON of the Evaluator's EvalConfig
TRAIN_SPLITS: Final = "train_splits"  # JSON list of names
EXAMPLE_SPLITS: Final = "example_splits"  # JSON list of names
TRAINER: Final = "trainer"  # node id
STEPS_SHARE: Final = "steps_share"  # float, above 0 to 1
CODE: Final = "code"  # JSON of the Trainer's execution properties

# Custom properties of GateDecision; STAGE and MODEL_FINGERPRINT are on all three types.
PROCEED: Final = "proceed"  # int: 1 train, 0 skip; what Cond asks
WOULD_SKIP: Final = "would_skip"  # int: 1 if it would skip were it not forced or in shadow mode
SHADOW: Final = "shadow"  # int: 1 if the gate decides and records, and never skips
FAILED_OPEN: Final = "failed_open"  # int: 1 if it proceeds because something went wrong
PROBABILITY: Final = "probability"  # float 0..1 of a push; absent where unknown
THRESHOLD: Final = "threshold"  # float 0..1: below it the gate skips; absent where none
EXPLORED: Final = "explored"  # int: 1 if it proceeds only because skips are explored
EXPLORATION: Final = "exploration"  # float 0..1: share of predicted skips that run anyway
RISK: Final = "risk"  # float 0..1: the most by which a push was likely to be skipped
# FRESHNESS, as below: what the threshold was chosen for; absent where it was chosen for none
FAULT: Final = "fault"  # what kept it from deciding (errors.Fault); absent where nothing did
REASON: Final = "reason"  # a sentence
STAGE: Final = "stage"  # input, pre, trainer or validation
NODES: Final = "nodes"  # JSON list: what was found about each Trainer node behind the gate
PIPELINE: Final = "pipeline"  # of a verdict: name of the pipeline
GATE: Final = "gate"  # node id of the gate; absent where the runner does not tell
MODEL_FINGERPRINT: Final = "model_fingerprint"  # of the waste model; absent without one
TOP_FEATURES: Final = "top_features"  # JSON list of [feature, value, effect], largest first
SIMILAR_GRAPHLETS: Final = "similar_graphlets"  # JSON list of [run or Trainer id, pushed, 0..1]
SECONDS: Final = "seconds"  # float: what the decision took

# Custom properties of Graphlets, WasteModel and Archive; FAULT too.
USABLE: Final = "usable"  # int: 1, or 0 if there is only the problem
PROBLEM: Final = "problem"  # a sentence; absent where usable
NUM_GRAPHLETS: Final = "num_graphlets"  # int: labelled graphlets of the history
# Of Graphlets: vocabulary.PropertyName.CODE_KNOWN, and with it the name of the run; absent where
# the runner does not tell.
RUN: Final = "run"

# Custom properties of Archive.
NUM_EXECUTIONS: Final = "num_executions"  # int: all that the archive holds
NEW_EXECUTIONS: Final = "new_executions"  # int: of these, added now
CHANGED: Final = "changed"  # int: executions and artifacts that were replaced now
