"""Keys of the gate's own artifacts: output names and custom properties.

Owned by this project and read back from stores, also without TFX installed.
"""

from __future__ import annotations

from typing import Final

# Output keys of the components.
GRAPHLETS: Final = "graphlets"
MODEL: Final = "model"
DECISION: Final = "decision"

# Last dotted part of the artifact types' names.
GRAPHLETS_TYPE: Final = "Graphlets"
WASTE_MODEL_TYPE: Final = "WasteModel"
GATE_DECISION_TYPE: Final = "GateDecision"

# Custom properties of GateDecision.
PROCEED: Final = "proceed"  # int: 1 train, 0 skip; what Cond asks
WOULD_SKIP: Final = "would_skip"  # int: 1 if the model alone says skip, also in shadow mode
PROBABILITY: Final = "probability"  # float 0..1 that the model gets pushed; absent where unknown
THRESHOLD: Final = "threshold"  # float 0..1: below it the model says skip; absent where unknown
REASON: Final = "reason"  # a sentence
STAGE: Final = "stage"  # input, pre, trainer or validation
GATE: Final = "gate"  # node id of the gate; absent where the runner does not tell
MODEL_FINGERPRINT: Final = "model_fingerprint"  # of the waste model; absent without one
TOP_FEATURES: Final = "top_features"  # JSON list of [feature, value, contribution]
SECONDS: Final = "seconds"  # float: time that the decision took
OUTCOME_UNKNOWN: Final = "failed_open"  # int: 1 if it proceeds because something went wrong

# Custom properties of Graphlets.
USABLE: Final = "usable"  # int: 1, or 0 if the artifact holds only the problem; WasteModel too
PROBLEM: Final = "problem"  # a sentence; absent where usable
NUM_GRAPHLETS: Final = "num_graphlets"  # int: labelled graphlets of the history
