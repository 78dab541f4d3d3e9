"""write_archive: a trace, and the files that features read, in a small directory."""

from __future__ import annotations

import ctypes
import dataclasses
import fnmatch
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Final

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.payload import Payloads
from tfx_graphlets.provenance import archive_format, connection, scrubbing
from tfx_graphlets.provenance.archive_format import KEPT_PAYLOADS, MANIFEST, Manifest, Part
from tfx_graphlets.trace import CodeArray, Properties, Trace
from tfx_graphlets.version import __version__

Rewrite = Callable[[str], str]

_TABLE_LEVEL: Final = 9  # zstd; higher ones cost minutes on a large corpus for a few percent
_CONTENT_LEVEL: Final = 19
# Within one page zstd finds what files have in common; its window is 8 MB.
_PAGE_BYTES: Final = 32 * 2**20
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of renameat2(2)
_AT_WORKING_DIRECTORY: Final = -100  # AT_FDCWD


def write_archive(
    trace: Trace,
    payloads: Payloads,
    directory: str | os.PathLike[str],
    *,
    created_ms: int,
    source: str = "",
    keep: Mapping[str, Sequence[str]] = KEPT_PAYLOADS,
    relativize_root: Sequence[str] = (),
    scrub: bool = True,
) -> Manifest:
    """Writes a trace and the payloads of its artifacts as an archive.

    ``open_store(directory)`` reads it back: the same trace, and the same bytes
    of every kept file, unless ``relativize_root`` or ``scrub`` changed a text.
    The same arguments give the same bytes.

    Args:
      trace: what to keep, usually all of a store.
      payloads: where the files of its artifacts are read.
      directory: the archive; one that is there is replaced in one step.
      created_ms: time of writing, milliseconds since the epoch.
      source: name of the store; only its last part is kept.
      keep: patterns (``fnmatch``) of the names of files that are kept, by the
        last part of the artifact type's name.
      relativize_root: folders of this machine whose paths are made relative,
        in URIs, in text properties and in kept JSON and text files.
      scrub: put ``[scrubbed]`` for properties and JSON values whose name says
        that they are secret, and take user and password out of URIs.

    Returns:
      The manifest that was written.

    Raises:
      ArchiveError: the directory exists and is no archive, or cannot be
        written.
    """
    target = Path(directory)
    shown = os.fspath(directory)
    _check_target(target, shown)
    relativize = scrubbing.Relativizer(tuple(relativize_root))

    def rewrite(text: str) -> str:
        text = relativize(text)
        return scrubbing.without_secrets(text) if scrub else text

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
            # A directory of its own inside, so that it gets the usual rights.
            new = Path(work) / target.name
            new.mkdir()
            _write_tables(new, _columns_of(trace, rewrite, scrub=scrub))
            files = _kept_files(trace, payloads, keep, rewrite)
            rewrite_file = rewrite if relativize_root or scrub else None
            _write_payloads(new, files, payloads, rewrite_file)
            manifest = Manifest(
                library_version=__version__,
                created_ms=created_ms,
                source=_plain_source(source),
                dropped_events=trace.events.dropped,
                tables={table: (_part(new, table),) for table in archive_format.TABLES},
            )
            (new / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            _put_in_place(new, target)
    except OSError as error:
        raise ArchiveError(
            shown, f"cannot be written ({error}); see to rights and space, then write it again"
        ) from error
    return manifest


def _check_target(target: Path, shown: str) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / MANIFEST).is_file():
        raise ArchiveError(
            shown, "exists and is no archive; name another directory, or remove it first"
        )
    Manifest.read(target, shown)


def _columns_of(trace: Trace, rewrite: Rewrite, *, scrub: bool) -> dict[str, dict[str, Any]]:
    """Arrow columns of every table but those of the payloads; ids, not positions."""
    import pyarrow as pa

    executions, artifacts = trace.executions, trace.artifacts
    events, contexts = trace.events, trace.contexts
    return {
        "executions": {
            "id": executions.id,
            "type": _texts(executions.type, executions.type_names),
            "state": executions.state,
            "create_ms": executions.create_ms,
            "update_ms": executions.update_ms,
        },
        "artifacts": {
            "id": artifacts.id,
            "type": _texts(artifacts.type, artifacts.type_names),
            "state": artifacts.state,
            "create_ms": artifacts.create_ms,
            "update_ms": artifacts.update_ms,
            "uri": pa.array([rewrite(uri) for uri in artifacts.uri], pa.string()),
        },
        "events": {
            "execution": executions.id[events.execution],
            "artifact": artifacts.id[events.artifact],
            "type": events.type,
            "key": _texts(events.key, events.keys),
            "time_ms": events.time_ms,
        },
        "contexts": {
            "id": contexts.id,
            "type": _texts(contexts.type, contexts.type_names),
            "name": pa.array(contexts.name, pa.string()),
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
        "execution_properties": _property_columns(
            executions.properties, executions.id, rewrite, scrub=scrub
        ),
        "artifact_properties": _property_columns(
            artifacts.properties, artifacts.id, rewrite, scrub=scrub
        ),
    }


def _property_columns(
    properties: Properties, owner_id: np.ndarray[Any, Any], rewrite: Rewrite, *, scrub: bool
) -> dict[str, Any]:
    # Each distinct text is rewritten once; the last one is for secrets.
    texts = [*map(rewrite, properties.strings), scrubbing.SCRUBBED]
    code = properties.string_code.copy()
    if scrub:
        secret = np.array([scrubbing.is_secret_name(name) for name in properties.names], bool)
        if len(properties):
            code[(code >= 0) & secret[properties.name]] = len(texts) - 1
    return {
        "owner": owner_id[properties.owner],
        "name": _texts(properties.name, properties.names),
        "is_custom": properties.is_custom,
        "kind": properties.kind,
        "int_value": properties.int_value,
        "double_value": properties.double_value,
        "string_value": _texts(code, texts),
    }


def _texts(codes: CodeArray, values: Sequence[str]) -> Any:
    """Arrow strings of codes into ``values``; null for a negative code."""
    import pyarrow as pa

    return pa.array(values, pa.string()).take(pa.array(codes, mask=codes < 0))


def _write_tables(directory: Path, columns: Mapping[str, Mapping[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table, content in columns.items():
        pq.write_table(
            pa.table(dict(content), schema=archive_format.arrow_schema(table)),
            directory / f"{table}.parquet", compression="zstd", compression_level=_TABLE_LEVEL,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True, order=True)
class _KeptFile:
    """A file to keep; ordered so that files of one kind come one after another."""

    name: str
    position: int  # of the artifact in the trace
    uri: str
    uri_in_archive: str


def _kept_files(
    trace: Trace, payloads: Payloads, keep: Mapping[str, Sequence[str]], rewrite: Rewrite
) -> list[_KeptFile]:
    found: dict[tuple[str, str], _KeptFile] = {}
    patterns_of_type = [keep.get(base, ()) for base in trace.artifact_base_types]
    for position, uri in enumerate(trace.artifacts.uri):
        patterns = patterns_of_type[trace.artifacts.type[position]]
        if not patterns or not uri:
            continue
        for name in payloads.files(uri):
            if any(fnmatch.fnmatchcase(name.rpartition("/")[2], one) for one in patterns):
                file = _KeptFile(name, position, uri, rewrite(uri))
                found.setdefault((file.uri_in_archive, name), file)
    return sorted(found.values())


def _write_payloads(
    directory: Path, files: Sequence[_KeptFile], payloads: Payloads, rewrite: Rewrite | None
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row_of_digest: dict[bytes, int] = {}
    rows: dict[str, list[Any]] = {"uri": [], "name": [], "content": []}
    schema = archive_format.arrow_schema("payload_contents")
    with pq.ParquetWriter(
        directory / "payload_contents.parquet", schema, compression="zstd",
        compression_level=_CONTENT_LEVEL, use_dictionary=False, data_page_size=_PAGE_BYTES,
        write_statistics=False,
    ) as writer:  # fmt: skip
        waiting: list[bytes] = []

        def write() -> None:
            if waiting:
                writer.write_table(pa.table({"content": waiting}, schema=schema))
                waiting.clear()

        for file in files:
            content = payloads.read(file.uri, file.name)
            if content is None:
                continue
            if rewrite is not None:
                content = _rewritten(file.name, content, rewrite)
            digest = hashlib.sha256(content).digest()
            if digest not in row_of_digest:
                row_of_digest[digest] = len(row_of_digest)
                waiting.append(content)
                if sum(map(len, waiting)) > _PAGE_BYTES:
                    write()
            for column, value in zip(
                rows.values(), (file.uri_in_archive, file.name, row_of_digest[digest])
            ):
                column.append(value)
        write()
    _write_tables(directory, {"payloads": rows})


def _rewritten(name: str, content: bytes, rewrite: Rewrite) -> bytes:
    # Only these are free text: eval_config.json names the place of each model.
    if not name.endswith((".json", ".txt")):
        return content
    try:
        return rewrite(content.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return content


def _part(directory: Path, table: str) -> Part:
    import pyarrow.parquet as pq

    file = directory / f"{table}.parquet"
    num_rows = pq.read_metadata(file).num_rows
    return Part(file.name, archive_format.sha256_of(file), num_rows)


def _plain_source(source: str) -> str:
    return connection.redacted(source).replace("\\", "/").rstrip("/").rpartition("/")[2]


def _put_in_place(new: Path, target: Path) -> None:
    """Renames ``new`` to ``target``; what was there takes the place of ``new``."""
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        # Between these two there is no archive; only where the system cannot
        # exchange two directories.
        old = new.with_name(new.name + ".old")
        target.rename(old)
        new.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two directories in one step; False where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    result: int = library.renameat2(
        _AT_WORKING_DIRECTORY, names[0], _AT_WORKING_DIRECTORY, names[1], _EXCHANGE
    )
    return result == 0
