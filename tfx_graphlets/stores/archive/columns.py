"""A trace as the rows of an archive's tables: ids for positions, secrets taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Final

import numpy as np

from tfx_graphlets.stores.archive import scrubbing
from tfx_graphlets.stores.archive.format import TABLES
from tfx_graphlets.stores.archive.hashing import row_hashes, sums_by, text_hashes
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import CodeArray, IntArray, Properties, Trace

Rewrite = Callable[[str], str]
Tables = Mapping[str, Any]  # pyarrow.Table by the table's name

# A text in which none of these is found holds nothing that scrubbing looks for.
_SUSPECT: Final = (
    r"(?i)://[^\s/]*@|passw|passphrase|pwd|secret|credential|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|token"
)


class Rewriter:
    """Takes secrets and machine paths out of texts, as the caller of an archive wants.

    Attributes:
      changes: whether it changes anything at all.
    """

    def __init__(self, relativize_root: Sequence[str] = (), *, scrub: bool = True) -> None:
        self._relativize = scrubbing.Relativizer(tuple(relativize_root))
        self._relative = bool(relativize_root)
        self.scrub = scrub
        self.changes = scrub or self._relative

    def __call__(self, text: str) -> str:
        """The text as it may be kept."""
        if self._relative:
            text = self._relativize(text)
        return scrubbing.without_secrets(text) if self.scrub else text

    def all(self, texts: Sequence[str]) -> Any:
        """The texts as they may be kept, as a pyarrow array of large strings."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._relative:
            return pa.array([self(text) for text in texts], pa.large_string())
        array = arrow_texts(texts)
        if not self.scrub or not len(array):
            return array
        suspects = pc.match_substring_regex(array, _SUSPECT)
        if not pc.any(suspects).as_py():
            return array
        rewritten = [self(text) for text in array.filter(suspects).to_pylist()]
        return pc.replace_with_mask(array, suspects, pa.array(rewritten, pa.large_string()))


def arrow_texts(texts: Sequence[str]) -> Any:
    """A pyarrow array of large strings."""
    import pyarrow as pa

    return texts.to_arrow() if isinstance(texts, Texts) else pa.array([*texts], pa.large_string())


def tables_of(trace: Trace, rewrite: Rewriter) -> dict[str, Any]:
    """The tables of a trace, each a pyarrow.Table, rows as in the trace.

    All but those of the payloads, and without the column ``pipeline``.
    """
    executions, artifacts = trace.executions, trace.artifacts
    events, contexts = trace.events, trace.contexts
    columns: dict[str, dict[str, Any]] = {
        "executions": {
            "id": executions.id,
            "type": _coded(executions.type, executions.type_names),
            "state": executions.state,
            "create_ms": executions.create_ms,
            "update_ms": executions.update_ms,
        },
        "artifacts": {
            "id": artifacts.id,
            "type": _coded(artifacts.type, artifacts.type_names),
            "state": artifacts.state,
            "create_ms": artifacts.create_ms,
            "update_ms": artifacts.update_ms,
            "uri": rewrite.all(artifacts.uri),
        },
        "events": {
            "execution": executions.id[events.execution],
            "artifact": artifacts.id[events.artifact],
            "type": events.type,
            "key": _coded(events.key, events.keys),
            "time_ms": events.time_ms,
        },
        "contexts": {
            "id": contexts.id,
            "type": _coded(contexts.type, contexts.type_names),
            "name": arrow_texts(contexts.name),
            "create_ms": contexts.create_ms,
        },
        "associations": {
            "context": contexts.id[contexts.association_context],
            "execution": executions.id[contexts.association_execution],
        },
        "attributions": {
            "context": contexts.id[contexts.attribution_context],
            "artifact": artifacts.id[contexts.attribution_artifact],
        },
    }
    for nodes, node in (("execution", executions), ("artifact", artifacts)):
        properties = _property_columns(node.properties, node.id, rewrite)
        columns[f"{nodes}_properties"] = properties
        columns[f"{nodes}s"]["digest"] = _node_digests(
            columns[f"{nodes}s"], properties, node.properties.owner
        )
    return {table: arrow_table(table, content) for table, content in columns.items()}


def arrow_table(table: str, columns: Mapping[str, Any]) -> Any:
    """A pyarrow.Table of some columns of a table; texts may be dictionaries."""
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        kind = pa.type_for_alias(TABLES[table][name])
        array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
        arrays[name] = array if pa.types.is_dictionary(array.type) else array.cast(kind)
    return pa.table(arrays)


def event_hashes(events: Any) -> IntArray:
    """A number for each row of the table events, the same for the same event."""
    return row_hashes(
        *(events.column(name).to_numpy() for name in ("execution", "artifact", "type", "time_ms")),
        text_hashes(events.column("key")),
    ).view(np.int64)


def pair_hashes(pairs: Any) -> IntArray:
    """A number for each row of the table associations or attributions."""
    return row_hashes(pairs.column(0).to_numpy(), pairs.column(1).to_numpy()).view(np.int64)


def _property_columns(
    properties: Properties, owner_id: IntArray, rewrite: Rewriter
) -> dict[str, Any]:
    import pyarrow as pa

    # Each distinct text is rewritten once; the last one is for secrets.
    secret_text = pa.array([scrubbing.SCRUBBED], pa.large_string())
    texts = pa.concat_arrays([rewrite.all(properties.strings), secret_text])
    code = properties.string_code
    if rewrite.scrub and len(properties):
        secret = np.array([scrubbing.is_secret_name(name) for name in properties.names], bool)
        code = np.where((code >= 0) & secret[properties.name], len(texts) - 1, code)
    return {
        "owner": owner_id[properties.owner],
        "name": _coded(properties.name, properties.names),
        "is_custom": properties.is_custom,
        "kind": properties.kind,
        "int_value": properties.int_value,
        "double_value": properties.double_value,
        "string_value": _coded(code, texts),
    }


def _node_digests(
    node: Mapping[str, Any], properties: Mapping[str, Any], owner: IntArray
) -> IntArray:
    of_property = row_hashes(
        text_hashes(properties["name"]),
        properties["is_custom"],
        properties["kind"],
        properties["int_value"],
        properties["double_value"],
        text_hashes(properties["string_value"]),
    )
    return row_hashes(
        text_hashes(node["type"]),
        node["state"],
        node["create_ms"],
        node["update_ms"],
        *([text_hashes(node["uri"])] if "uri" in node else []),
        sums_by(owner, of_property, len(node["id"])),
    ).view(np.int64)


def _coded(codes: CodeArray, values: Any) -> Any:
    """A dictionary array of codes into ``values``; null for a negative code."""
    import pyarrow as pa

    if isinstance(values, tuple):
        values = pa.array(values, pa.large_string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), values)
