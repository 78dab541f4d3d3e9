"""Archives and waste models behind their checksums: changed ones are refused, sealed ones read.

A damaged byte is caught by a checksum, and nothing behind it is ever tried. So what is changed
here is either held against the original (it must be refused, or read as the same), or gets
checksums that are right again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz import inputs
from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.stores.archive import format as archive_format
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.trace.trace import first_difference
from tfx_graphlets.waste_model.manifest import Manifest
from tfx_graphlets.waste_model.model import load_waste_model

_NUMBERS = (-1, 0, 1, 127, 2**31, 2**53, 2**63 - 1, -(2**63))


def changed(randomness: random.Random, folder: Path) -> inputs.Trials:
    """An archive or a waste model with a few other bytes, which must show."""
    origin, check = randomness.choice(
        (
            (randomness.choice(archives()), _archive_is_refused_or_the_same),
            (inputs.trained(), _model_is_refused_or_the_same),
        )
    )
    target = folder / "changed"
    shutil.copytree(origin, target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    manifest = target / archive_format.MANIFEST
    file = manifest if randomness.random() < 0.6 else randomness.choice(files)
    content = bytearray(file.read_bytes() or b"x")
    for _ in range(randomness.choice((1, 1, 1, 5))):
        at = randomness.randrange(len(content))
        if file == manifest and chr(content[at]).isdigit():
            content[at] = ord(randomness.choice("0123456789"))
        else:
            content[at] ^= 1 << randomness.randrange(8)
    file.write_bytes(bytes(content))

    def is_refused_or_the_same() -> str:
        with contextlib.suppress(GraphletsError):
            return check(origin, target)
        return ""

    return [is_refused_or_the_same]


def archives() -> list[Path]:
    """The archives of the recorded history."""
    return sorted(inputs.HISTORY.glob("*/archive"))


def _archive_is_refused_or_the_same(origin: Path, target: Path) -> str:
    with ArchiveStore(origin) as whole, ArchiveStore(target) as store:
        if store.manifest != whole.manifest:
            return f"accepted: another manifest ({_differing(store.manifest, whole.manifest)})"
        difference = first_difference(store.read_trace(), whole.read_trace())
        if difference is not None:
            return f"accepted: another trace ({difference})"
        for uri in whole.read_trace().artifacts.uri[:200]:
            names = whole.payloads.files(uri)
            if names != store.payloads.files(uri):
                return "accepted: other files"
            for name in names:
                if whole.payloads.read(uri, name) != store.payloads.read(uri, name):
                    return "accepted: another payload"
    return ""


def _differing(one: Any, other: Any) -> str:
    return ", ".join(name for name in vars(one) if getattr(one, name) != getattr(other, name))


def _model_is_refused_or_the_same(origin: Path, target: Path) -> str:
    model, whole = load_waste_model(target), load_waste_model(origin)
    if model.manifest != whole.manifest:
        return f"accepted: another manifest ({_differing(model.manifest, whole.manifest)})"
    table = _table()
    if not np.array_equal(model.predict(table), whole.predict(table)):
        return "accepted: other predictions"
    return ""


@functools.lru_cache(maxsize=1)
def _table() -> Any:
    from tests.components.waste_models import training_data
    from tfx_graphlets.vocabulary import Stage

    return training_data(Stage.PRE).table


def archive(randomness: random.Random, folder: Path) -> inputs.Trials:
    """An archive with odd columns or an odd manifest, and checksums that are right."""
    target = folder / "archive"
    shutil.copytree(randomness.choice(archives()), target)
    manifest = target / archive_format.MANIFEST
    document = json.loads(manifest.read_text(encoding="utf-8"))
    for _ in range(randomness.choice((1, 1, 3))):
        with contextlib.suppress(
            pa.ArrowException, TypeError, ValueError, OverflowError, LookupError, AttributeError
        ):  # what was damaged before may hold no table any more
            if randomness.random() < 0.3:
                inputs.damage_document(randomness, document)
            else:
                _damage_table(randomness, target, document)
    document.pop("checksum", None)  # as an archive of an earlier release
    manifest.write_text(json.dumps(document), encoding="utf-8", errors="replace")
    return inputs.commands(randomness, str(target), folder)


def _damage_table(randomness: random.Random, target: Path, document: Any) -> None:
    stated = randomness.choice(document["tables"][randomness.choice(sorted(archive_format.TABLES))])
    file = target / stated["name"]
    table = pq.read_table(file)
    at = randomness.randrange(table.num_columns)
    name, kind = table.column_names[at], table.column(at).type
    how = randomness.choice(("lose", "nulls", "text", "odd", "odd", "odd", "rows", "twice"))
    rows = table.num_rows
    if how == "lose":
        table = table.remove_column(at)
    elif how == "twice":
        table = pa.concat_tables([table, table.slice(0, min(rows, 50))])
    elif how == "rows":
        order = randomness.sample(range(rows), randomness.choice((0, rows // 2, rows)))
        table = table.take(order)
    else:
        values = table.column(at).to_pylist()
        chosen = range(rows) if randomness.random() < 0.3 else randomness.sample(range(rows), 1)
        for row in chosen:
            values[row] = (
                None if how == "nulls" else "x" if how == "text" else _odd(randomness, kind)
            )
        new = pa.array(values, pa.string() if how == "text" else kind)
        table = table.set_column(at, name, new)
    pq.write_table(table, file)
    size, sha256 = file.stat().st_size, archive_format.sha256_of(file)
    stated.update(size=size, sha256=sha256, num_rows=table.num_rows)


def _odd(randomness: random.Random, kind: Any) -> Any:
    if pa.types.is_boolean(kind):
        return randomness.random() < 0.5
    if pa.types.is_integer(kind):
        return randomness.choice([one for one in _NUMBERS if abs(one) < 2 ** (kind.bit_width - 1)])
    if pa.types.is_floating(kind):
        return randomness.choice((float("nan"), float("inf"), -1e300, 0.0))
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return randomness.choice(("", "\0", "a\nb", "{" * 500, "\u202e", "x" * 100_000))
    return randomness.choice((b"", b"\xff" * 40, b"\x1f\x8b\x08\0"))


def waste_model(randomness: random.Random, folder: Path) -> inputs.Trials:
    """A waste model with an odd manifest or forest, and a fingerprint that is right."""
    target = folder / "model"
    shutil.copytree(inputs.trained(), target)
    file = target / "manifest.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    in_forest = randomness.random() < 0.4
    if in_forest:
        damaged = randomness.choice(sorted((target / "forest").iterdir()))
        inputs.damage_bytes(randomness, damaged)
        document["files"][damaged.name] = hashlib.sha256(damaged.read_bytes()).hexdigest()
    else:
        for _ in range(randomness.choice((1, 1, 2))):
            inputs.damage_document(randomness, document)
    with contextlib.suppress(Exception):  # what is no manifest has no fingerprint
        document["fingerprint"] = Manifest.from_dict(document, "").fingerprint(document["files"])
    file.write_text(json.dumps(document), encoding="utf-8", errors="replace")
    history = str(archives()[0])
    gate: inputs.Trial = [
        "gate", history, "--pipeline", Path(history).parent.name, "--model", str(target),
    ]  # fmt: skip
    # Native code that reads a forest may end the process: the gate has one of its own.
    return [gate] if in_forest else [["evaluate", str(target), history], gate]
