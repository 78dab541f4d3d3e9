"""Damaged input: a store, an archive, a waste model, payloads and URIs, from a seed.

Each maker writes below a folder and returns the command lines to try on it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Union

import pyarrow
import pyarrow.parquet

from tests.corpus import CORPUS
from tests.fuzz import messages, odd_stores
from tests.import_graph import ROOT
from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.stores.store import open_store

# A command line, or a check that returns what is wrong.
Trial = Union[list[str], Callable[[], str]]
Trials = list[Trial]
HISTORY: Final = ROOT / "pipelines/flights/history"
# Values that a column can hold in SQLite, whatever its declared type.
ODD: Final = (
    None, 0, -1, 2**31, 2**63 - 1, -(2**63), 1e300, float("inf"), "", "x", "1e999", b"\xff\xfe\x00",
    "a\nb\x1b[31m", '{"a":' * 50, "[" * 5_000, "5" * 400, "NaN", 3.7, "<b>", "\u202e\U0001f600",
)  # fmt: skip
LARGEST: Final = 1_500_000  # bytes of a store that is damaged


def store(randomness: random.Random, folder: Path) -> Trials:
    """A SQLite store with odd values, lost, doubled and foreign rows, and lost columns."""
    target = folder / "metadata.sqlite"
    shutil.copy(randomness.choice(stores()), target)
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.text_factory = bytes
        names = "select name from sqlite_master where type='table' and name not like 'sqlite%'"
        tables = [row[0].decode() for row in connection.execute(names)]
        for _ in range(randomness.choice((1, 1, 2, 4, 10))):
            with contextlib.suppress(sqlite3.Error, OverflowError):
                _damage(randomness, connection, randomness.choice(tables))
        connection.commit()
    if randomness.random() < 0.1:
        damage_bytes(randomness, target)
    return commands(randomness, str(target), folder)


def schema(randomness: random.Random, folder: Path) -> Trials:
    """A SQLite store whose tables, whose rows together or whose file are odd."""
    target = folder / "metadata.sqlite"
    shutil.copy(_small_store(), target)
    odd_stores.damage(randomness, target)
    return commands(randomness, str(target), folder)


def _damage(randomness: random.Random, connection: sqlite3.Connection, table: str) -> None:
    columns = [row[1].decode() for row in connection.execute(f'pragma table_info("{table}")')]
    rows = [row[0] for row in connection.execute(f'select rowid from "{table}"')]
    column, value = randomness.choice(columns), randomness.choice(ODD)
    kind = randomness.choice(("set", "set", "set", "all", "delete", "double", "drop"))
    if kind == "set" and rows:
        row = randomness.choice(rows)
        connection.execute(f'update "{table}" set "{column}"=? where rowid=?', (value, row))
    elif kind == "all":
        connection.execute(f'update "{table}" set "{column}"=?', (value,))
    elif kind == "delete":
        lost = randomness.sample(rows, min(len(rows), randomness.choice((1, 5, 10_000))))
        connection.executemany(f'delete from "{table}" where rowid=?', [(row,) for row in lost])
    elif kind == "double":
        connection.execute(f'insert into "{table}" select * from "{table}" limit 3')
    elif randomness.random() < 0.3:
        connection.execute(f'alter table "{table}" drop column "{column}"')


def archive(randomness: random.Random, folder: Path) -> Trials:
    """An archive with damaged bytes, odd columns, an odd manifest, lost files."""
    target = folder / "archive"
    shutil.copytree(randomness.choice(sorted(HISTORY.glob("*/archive"))), target)
    for _ in range(randomness.choice((1, 1, 2))):
        file = randomness.choice(sorted(target.iterdir()))
        kind = randomness.choice(("bytes", "column", "manifest", "lost"))
        if kind == "manifest":
            _damage_json(randomness, target / "manifest.json")
        elif kind == "lost":
            file.unlink()
        elif kind == "column" and file.suffix == ".parquet":
            _damage_column(randomness, file)
        else:
            damage_bytes(randomness, file)
    return commands(randomness, str(target), folder)


def _damage_column(randomness: random.Random, file: Path) -> None:
    try:
        table = pyarrow.parquet.read_table(file)
    except (pyarrow.ArrowException, OSError):  # it is damaged already
        return
    if not table.num_columns:
        return
    at = randomness.randrange(table.num_columns)
    kind = randomness.choice(("lose", "nulls", "text", "shuffle"))
    if kind == "lose":
        table = table.remove_column(at)
    elif kind == "shuffle":
        order = list(range(table.num_rows))
        randomness.shuffle(order)
        table = table.take(order)
    else:
        name, of = table.column_names[at], table.column(at).type
        values = [None] * table.num_rows if kind == "nulls" else ["x"] * table.num_rows
        new = pyarrow.array(values, of if kind == "nulls" else pyarrow.string())
        table = table.set_column(at, name, new)
    pyarrow.parquet.write_table(table, file)


def waste_model(randomness: random.Random, folder: Path) -> Trials:
    """A waste model with damaged bytes, an odd manifest, lost files."""
    target = folder / "model"
    shutil.copytree(trained(), target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    kind = randomness.choice(("bytes", "manifest", "manifest", "lost"))
    file = randomness.choice(files)
    if kind == "manifest":
        _damage_json(randomness, target / "manifest.json")
    elif kind == "lost":
        file.unlink()
    else:
        damage_bytes(randomness, file)
    history = str(min(HISTORY.glob("*/archive")))
    pipeline = Path(history).parent.name
    return [
        ["evaluate", str(target), history],
        ["gate", history, "--pipeline", pipeline, "--model", str(target)],
    ]


@functools.lru_cache(maxsize=1)
def trained() -> Path:
    """A sound waste model."""
    from tests.components.waste_models import saved

    return Path(saved(Path(tempfile.mkdtemp()) / "model"))


def payload(randomness: random.Random, folder: Path) -> Trials:
    """A real run whose statistics, anomalies, schemas and metrics are damaged; else an archive."""
    return _damaged_run(randomness, folder, damage_bytes)


def message(randomness: random.Random, folder: Path) -> Trials:
    """The same with files that are sound in form, and say odd things."""
    return _damaged_run(randomness, folder, messages.damage)


def _damaged_run(
    randomness: random.Random, folder: Path, damage: Callable[[random.Random, Path], None]
) -> Trials:
    runs = sorted((CORPUS / "real_runs").glob("*/metadata.sqlite"))
    if not runs:
        return archive(randomness, folder)
    target = folder / "run"
    shutil.copytree(randomness.choice(runs).parent, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    files = sorted(path for path in (target / "root").rglob("*") if path.is_file())
    for file in randomness.sample(files, min(len(files), 200)):
        damage(randomness, file)
    place = str(target / "metadata.sqlite")
    return [["features", place, "--stage", "validation", "--output", str(folder / "f.parquet")]]


@functools.lru_cache(maxsize=1)
def stores() -> tuple[Path, ...]:
    """Stores to damage: those of the corpus where they are at hand, and one of our own."""
    found = [
        path
        for path in sorted((CORPUS / "public").glob("*.sqlite"))
        if path.stat().st_size <= LARGEST
    ]
    return (*found, _own_store())


def _small_store() -> Path:
    return odd_stores.write_sound_store(Path(tempfile.mkdtemp()) / "metadata.sqlite")


@functools.lru_cache(maxsize=1)
def _own_store() -> Path:
    from tests.benchmarks.synthetic import StoreParameters, write_store

    target = Path(tempfile.mkdtemp()) / "metadata.sqlite"
    write_store(target, StoreParameters(models=60, seed=1))
    return target


def commands(randomness: random.Random, place: str, folder: Path) -> Trials:
    """What reads a store, and one that is dear."""
    learning = ("--stage", "pre", "--freshness", "0.9")
    further: Trials = [
        ["train", place, "--output", str(folder / "trained"), *learning],
        ["evaluate", str(trained()), place],
        ["backtest", place, "--format", "json", *learning],
        ["segment", place, "--format", "dot"],
        ["monitor", place, "--format", "prometheus"],
        ["report", place, "--output", str(folder / "report.html")],
        ["archive", place, "--output", str(folder / "redacted"), "--redact", "--no-payloads"],
        ["gate", place, "--pipeline", _a_pipeline(place), "--model", str(trained())],
    ]
    return [
        ["segment", place, "--format", "json"],
        ["features", place, "--stage", "validation", "--processes", "1",
         "--output", str(folder / "features.parquet")],
        ["archive", place, "--output", str(folder / "kept")],
        ["monitor", place],
        ["report", place, "--no-replay", "--format", "json"],
        randomness.choice(further),
    ]  # fmt: skip


def _a_pipeline(place: str) -> str:
    """The name of a pipeline of the store, where it can be told."""
    try:
        with open_store(place) as store:
            return min(store.pipelines(), default="p")
    except GraphletsError:
        return "p"


def damage_bytes(randomness: random.Random, file: Path) -> None:
    """Some bytes of the file are others; at times its end is lost."""
    content = bytearray(file.read_bytes())
    if not content:
        return
    for _ in range(randomness.choice((1, 3, 30))):
        content[randomness.randrange(len(content))] = randomness.randrange(256)
    if randomness.random() < 0.3:
        del content[randomness.randrange(len(content)) :]
    file.write_bytes(bytes(content))


def _damage_json(randomness: random.Random, file: Path) -> None:
    if not file.is_file():
        return
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # damaged already
        return
    damage_document(randomness, document)
    file.write_text(json.dumps(document), encoding="utf-8", errors="replace")


def damage_document(randomness: random.Random, document: Any) -> None:
    """One place of a JSON document gets an odd value, or is lost."""
    holder, key = randomness.choice(list(places(document)))
    kind = randomness.choice(("odd", "lost", "nested"))
    if kind == "lost":
        del holder[key]
    else:
        odd = randomness.choice([one for one in ODD if not isinstance(one, bytes)])
        holder[key] = [[[odd]]] if kind == "nested" else odd


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every place of a value in a JSON document: what holds it, and its name or number."""
    pairs = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    for key, inner in pairs:
        yield value, key
        yield from places(inner)
