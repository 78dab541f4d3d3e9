"""Whether any of the files that features read is still there."""

from __future__ import annotations

import numpy as np

from tfx_graphlets.payloads.statistics import Foreseeing, Payloads
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ArtifactType

# Types of the artifacts whose files features read.
READ_TYPES = (
    ArtifactType.EXAMPLE_STATISTICS,
    ArtifactType.EXAMPLE_ANOMALIES,
    ArtifactType.SCHEMA,
    ArtifactType.MODEL_EVALUATION,
)


def any_payload(trace: Trace, payloads: Payloads) -> bool:
    """False only if no statistics, anomalies, schema or metrics of the trace can be read.

    Asks for the folder above each artifact's, which those of one node share.
    """
    if not isinstance(payloads, Foreseeing):
        return True
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = np.flatnonzero(trace.artifacts_of_types(READ_TYPES))
    uris = trace.artifacts.uri
    if isinstance(uris, Texts):
        named = uris.take(rows).to_arrow()
    else:
        named = pa.array([uris[row] for row in rows.tolist()], pa.large_string())
    if pc.any(pc.match_substring(named, "\\")).as_py():  # written on Windows
        named = pc.replace_substring(named, "\\", "/")
    parts = pc.split_pattern(named, "/", max_splits=1, reverse=True)
    folders = pc.unique(pc.list_element(parts, 0)) if len(parts) else named
    return any(payloads.may_hold(folder) for folder in folders.to_pylist() if folder)
