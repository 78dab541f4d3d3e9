"""The fault matrix: what is broken, by where; each cell is run by ``test_faults``.

``python -m tests.components.faults`` prints the table as it stands in docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests import limits
from tests.supervision.injection import inject
from tfx_graphlets.errors import Fault
from tfx_graphlets.supervision.process import SPARE

DRIVER, NAMED, GATE, PUBLISHING, COMMAND = "driver", "named", "gate", "publishing", "command"
COLUMNS: Final = {
    DRIVER: "GraphletGen, the runner's store",
    NAMED: "GraphletGen, a named store",
    GATE: "WasteGate",
    PUBLISHING: "drivers, publishing",
    COMMAND: "`tfx-graphlets gate`",
}
# What a cell says where the decision is made all the same.
DECIDES: Final = "decides"
SHORT_S: Final = 4.0  # time limit of cells that hang; long enough for the rest of a node


@dataclasses.dataclass
class Bench:
    """What a fault has to break: things of one run, and what undoes it.

    Attributes:
      folder: for files of the cell.
      model: directory of a waste model.
      store: path of a store in which the pipeline has runs; a URI once a fault makes it one.
      runner_store: the file of the runner's own.
      patch, stack: undo what a fault did.
      memory_mb: the memory limit.
      root: of the pipeline; None for one on a disk with room.
    """

    folder: Path
    model: Path
    store: str
    runner_store: Path
    patch: pytest.MonkeyPatch
    stack: contextlib.ExitStack
    memory_mb: int = 4_096
    root: Path | None = None


Break = Callable[[Bench], None]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One fault in one place.

    Attributes:
      row: what is broken, in words.
      column: where.
      code: the fault that has to be named; DECIDES where nothing is lost.
      breaks: puts the fault there.
      hangs: whether it ends at the time limit.
      part: of the cells of the same row and column, what tells this one.
    """

    row: str
    column: str
    code: str
    breaks: Break
    hangs: bool = False
    part: str = ""

    @property
    def id(self) -> str:
        """Names the test."""
        return "-".join(filter(None, (self.row, self.column, self.part))).replace(" ", "_")


# -- stores ---------------------------------------------------------------------------


def _gone(bench: Bench) -> None:
    Path(bench.store).unlink()


def _fifo(bench: Bench) -> None:
    Path(bench.store).unlink()
    os.mkfifo(bench.store)


def _cut(bench: Bench) -> None:
    os.truncate(bench.store, Path(bench.store).stat().st_size // 2 // 4096 * 4096)


def _no_database(bench: Bench) -> None:
    Path(bench.store).write_bytes(bytes(range(256)) * 64)


def _in_store(statement: str) -> Break:
    def change(bench: Bench) -> None:
        with contextlib.closing(sqlite3.connect(bench.store)) as connection, connection:
            connection.execute(statement)

    return change


def _archive_without_parts(bench: Bench) -> None:
    from tfx_graphlets import open_store
    from tfx_graphlets.stores.archive.archive import write_archive

    target = bench.folder / "archive"
    with open_store(bench.store) as store:
        write_archive(store.read_trace(), store.payloads, target, created_ms=1)
    for part in target.glob("*.parquet"):
        part.unlink()
    bench.store = str(target)


def _at(uri: str) -> Break:
    def point(bench: Bench) -> None:
        bench.store = uri

    return point


@contextlib.contextmanager
def locked(store: Path | str) -> Iterator[None]:
    """Another program writes to a SQLite file, and does not end."""
    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def _locked(bench: Bench) -> None:
    bench.stack.enter_context(locked(bench.store))


def _locked_runner(bench: Bench) -> None:
    """The runner's own store, for as long as GraphletGen reads it; else TFX itself would wait."""
    from tfx_graphlets.components import drivers

    run_task = drivers.run_task

    def within(*arguments: Any) -> dict[str, bytes]:
        with locked(bench.runner_store):
            return run_task(*arguments)

    bench.patch.setattr(drivers, "run_task", within)


@contextlib.contextmanager
def slow_server(drip: bytes) -> Iterator[int]:
    """A port that takes every connection and says nothing, or a byte of these every 0.2 s."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def talk(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                at = 0
                while not ended.wait(0.2):
                    connection.sendall(drip[at : at + 1])
                    at = (at + 1) % max(len(drip), 1)

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = server.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def _served(uri: str, drip: bytes) -> Break:
    def point(bench: Bench) -> None:
        port = bench.stack.enter_context(slow_server(drip))
        bench.store = uri.format(port=port)

    return point


_SERVERS: Final = {
    "gRPC": "grpc://127.0.0.1:{port}",
    "MySQL": "mysql://reader@127.0.0.1:{port}/metadata",
    "PostgreSQL": "postgresql://reader@127.0.0.1:{port}/metadata",
    "Kubeflow": "kfp+http://127.0.0.1:{port}",
}


def _stores() -> Iterator[Cell]:
    for row, code, breaks in (
        ("no store at the path", Fault.STORE_NOT_FOUND, _gone),
        ("a FIFO in place of the store", Fault.STORE_MALFORMED, _fifo),
        ("a store cut in half", Fault.STORE_MALFORMED, _cut),
        ("a store that is no database", Fault.STORE_MALFORMED, _no_database),
        (
            "a store of a newer schema",
            Fault.STORE_MALFORMED,
            _in_store("UPDATE MLMDEnv SET schema_version = 99"),
        ),
        ("a store without a table", Fault.STORE_MALFORMED, _in_store("DROP TABLE EventPath")),
        ("a store without executions", Fault.NO_HISTORY, _in_store("DELETE FROM Execution")),
        ("an archive without its parts", Fault.STORE_MALFORMED, _archive_without_parts),
        ("a server's port that is closed", Fault.STORE_NOT_FOUND, _at("grpc://127.0.0.1:1")),
    ):
        for column in (NAMED, COMMAND):
            yield Cell(row, column, str(code), breaks)
    row = "a store that another program locks"
    yield Cell(row, DRIVER, str(Fault.TIMEOUT), _locked_runner, hangs=True)
    for column in (NAMED, COMMAND):
        yield Cell(row, column, str(Fault.TIMEOUT), _locked, hangs=True)
    for name, uri in _SERVERS.items():
        breaks = _served(uri, b"")
        for column in (NAMED, COMMAND):
            row = f"a silent server ({name})"
            yield Cell(row, column, str(Fault.TIMEOUT), breaks, hangs=True)
        row, drips = f"a server that drips ({name})", _served(uri, _DRIPS[name])
        # gRPC sees with the first bytes that this is no server of its kind.
        code = Fault.STORE_NOT_FOUND if name == "gRPC" else Fault.TIMEOUT
        yield Cell(row, NAMED, str(code), drips, hangs=code is Fault.TIMEOUT)


# What each protocol takes for the beginning of something long; MySQL's packets begin with their
# length, three bytes, and their number.
_DRIPS: Final = {"gRPC": b"\0", "MySQL": b"\x4a\0\0\0", "PostgreSQL": b"E", "Kubeflow": b"H"}


# -- waste models and Graphlets artifacts ---------------------------------------------


def _no_model(bench: Bench) -> None:
    shutil.rmtree(bench.model)


def _forest_cut(bench: Bench) -> None:
    files = [place for place in bench.model.rglob("*") if place.is_file()]
    largest = max(files, key=lambda place: place.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def _manifest(content: bytes) -> Break:
    def write(bench: Bench) -> None:
        (bench.model / "manifest.json").write_bytes(content)

    return write


def _model_fifo(bench: Bench) -> None:
    (bench.model / "manifest.json").unlink()
    os.mkfifo(bench.model / "manifest.json")


def _graphlets(damage: Callable[[Path], None]) -> Break:
    """Damages GraphletGen's files as soon as it has ended."""

    def after(bench: Bench) -> None:
        from tfx_graphlets.components import executors

        set_properties = executors.set_properties

        def then(artifact: Any, properties: Any) -> None:
            set_properties(artifact, properties)
            if "num_graphlets" in properties:
                damage(Path(artifact.uri))

        bench.patch.setattr(executors, "set_properties", then)

    return after


def _replaced_by_fifo(folder: Path) -> None:
    (folder / "history.parquet").unlink()
    os.mkfifo(folder / "history.parquet")


def _no_parquet(folder: Path) -> None:
    (folder / "history.parquet").write_bytes(b"PAR1")


def _files() -> Iterator[Cell]:
    for row, code, breaks, hangs in (
        ("no waste model", Fault.MODEL_DAMAGED, _no_model, False),
        ("a waste model cut in half", Fault.MODEL_DAMAGED, _forest_cut, False),
        ("a waste model's manifest that is no JSON", Fault.MODEL_DAMAGED, _manifest(b"\0"), False),
        ("a manifest of 100,000 levels", Fault.MODEL_DAMAGED, _manifest(b"[" * 100_000), False),
        ("a FIFO in the waste model", Fault.TIMEOUT, _model_fifo, True),
    ):
        for column in (GATE, COMMAND):
            yield Cell(row, column, str(code), breaks, hangs)
    damaged = str(Fault.GRAPHLETS_DAMAGED)
    yield Cell("GraphletGen's files are gone", GATE, damaged, _graphlets(shutil.rmtree))
    yield Cell(
        "GraphletGen's files are damaged",
        GATE,
        damaged,
        _graphlets(_no_parquet),
    )
    yield Cell(
        "a FIFO among GraphletGen's files",
        GATE,
        str(Fault.TIMEOUT),
        _graphlets(_replaced_by_fifo),
        hangs=True,
    )


# -- in the gate's own processes -------------------------------------------------------

# Functions that are broken; each row takes the next.
_PLACES: Final = {
    DRIVER: (
        "tfx_graphlets.gate.snapshot:collect",
        "tfx_graphlets.gate.latest_runs:read_recent",
        "tfx_graphlets.graphlets.current:current_graphlet",
        "tfx_graphlets.gate.graphlets_file:to_files",
        "tfx_graphlets.stores.sql.sqlite_file:SqliteStore.__init__",
        "tfx_graphlets.gate.request:Request.of",
    ),
    GATE: (
        "tfx_graphlets.gate.run:run_gate",
        "tfx_graphlets.waste_model.model:WasteModel.judge",
        "tfx_graphlets.supervision.tasks:decide",
        "tfx_graphlets.policy.decide:decide",
        "tfx_graphlets.gate.run:decision_properties",
    ),
    COMMAND: (
        "tfx_graphlets.supervision.tasks:decide_before_launch",
        "tfx_graphlets.stores.store:open_store",
        "tfx_graphlets.gate.snapshot:collect",
        "tfx_graphlets.gate.run:run_gate",
    ),
}
_RAISED: Final = {
    "zero": ("an error that nobody foresaw", Fault.BUG),
    "exit": ("SystemExit", Fault.BUG),
    "memory": ("MemoryError", Fault.OUT_OF_MEMORY),
    "recursion": ("RecursionError", Fault.BUG),
    "panic": ("a panic of Rust code", Fault.BUG),
    "system": ("an error of the file system", Fault.FILE_SYSTEM),
    "full": ("a full disk", Fault.DISK_FULL),
    "rights": ("no rights", Fault.NO_RIGHTS),
    "surrogate": ("an error whose text is no Unicode", Fault.BUG),
}
_NATIVE: Final = {
    "sleep": ("a function that never returns", Fault.TIMEOUT),
    "hang": ("native code that hangs and holds Python's lock", Fault.TIMEOUT),
    "chatter": ("native code that prints on and on", Fault.TIMEOUT),
    "abort": ("abort() in native code", Fault.ABORTED),
    "segfault": ("a segmentation fault", Fault.ABORTED),
    "exit_now": ("native code that ends the process", Fault.ABORTED),
    "hog": ("16 GB of memory", Fault.OUT_OF_MEMORY),
}


def _injected(place: str, fault: str) -> Break:
    def put(bench: Bench) -> None:
        inject(bench.patch, bench.folder / "fault", place, fault)
        if fault == "hog":
            bench.memory_mb = 700

    return put


def _processes() -> Iterator[Cell]:
    for number, (fault, (row, code)) in enumerate({**_RAISED, **_NATIVE}.items()):
        for column, places in _PLACES.items():
            place = places[number % len(places)]
            yield Cell(row, column, str(code), _injected(place, fault), code is Fault.TIMEOUT)


# -- in the runner's process -----------------------------------------------------------


def _op_error() -> BaseException:
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError(None, None, "no space left")  # type: ignore[no-any-return]


_ERRORS: Final[Mapping[str, Callable[[], BaseException]]] = {
    "SystemExit": lambda: SystemExit(3),
    "MemoryError": MemoryError,
    "RecursionError": lambda: RecursionError("too deep"),
    "a panic of Rust code": type("PanicException", (BaseException,), {}),
    "a full disk": lambda: OSError(28, "No space left on device"),
    "no rights": lambda: PermissionError(13, "Permission denied"),
    "an error of the file system": _op_error,
    "an error whose text is no Unicode": lambda: ValueError("half a pair \ud800"),
    "an error that nobody foresaw": ZeroDivisionError,
}
# Functions of the drivers and of publishing, and what their end costs.
_PUBLISHING: Final = {
    "components.drivers.write_files": None,
    "components.executors.write_files": DECIDES,
    "components.executors.set_properties": None,
    "components.executors.limits_of": None,
    "components.executors._put_verdict": DECIDES,
    "components.drivers.in_thread": None,
    "components.executors.read_files": None,
    "components.executors.run_task": None,
    "components.drivers.run_task": None,
    "components.executors.snapshot.graphlets_properties": None,
    "components.drivers.WasteGateDriver._verdict": DECIDES,
    "components.drivers.collecting_arguments": None,
}


def _patched(function: str, make: Callable[[], BaseException]) -> Break:
    def put(bench: Bench) -> None:
        def broken(*_: object, **__: object) -> None:
            raise make()

        bench.patch.setattr(f"tfx_graphlets.{function}", broken)

    return put


def _runner() -> Iterator[Cell]:
    functions = list(_PUBLISHING)
    for number, (row, make) in enumerate(_ERRORS.items()):
        for step in range(2):
            function = functions[(2 * number + step) % len(functions)]
            code = "named" if _PUBLISHING[function] is None else DECIDES
            part = function.rpartition(".")[2].strip("_")
            where = "driver" if "drivers" in function else "executor"
            yield Cell(row, PUBLISHING, code, _patched(function, make), part=f"{where}-{part}")


# -- limits of the machine ---------------------------------------------------------------

_AT_WORK: Final = {
    DRIVER: "components.drivers.GraphletGenDriver.run",
    NAMED: "components.executors.GraphletGenExecutor.Do",
    GATE: "components.executors.WasteGateExecutor.Do",
}


def _within(column: str, limit: Callable[[], contextlib.AbstractContextManager[None]]) -> Break:
    """A limit of the runner's process, and of those that it starts, while a node is at work."""

    def put(bench: Bench) -> None:
        bench.store = str(bench.runner_store)  # what a node named must hold the run
        name, _, function = _AT_WORK[column].rpartition(".")
        module, _, owner = name.rpartition(".")
        kind = getattr(importlib.import_module(f"tfx_graphlets.{module}"), owner)
        work = getattr(kind, function)

        def limited_work(*arguments: Any) -> Any:
            SPARE.end()  # it was started without the limit
            with limit():
                return work(*arguments)

        bench.patch.setattr(kind, function, limited_work)

    return put


def _full_root(bench: Bench) -> None:
    bench.store = str(bench.runner_store)
    bench.root = bench.stack.enter_context(limits.small_disk()) / "root"
    bench.root.mkdir()
    limits.fill(bench.root.parent)


def _full_root_of_the_gate(bench: Bench) -> None:
    bench.root = bench.stack.enter_context(limits.small_disk()) / "root"
    bench.root.mkdir()
    disk = bench.root.parent
    _graphlets(lambda _: None if (disk / "filler").exists() else limits.fill(disk))(bench)


def _full_temporary_files(bench: Bench) -> None:
    folder = bench.stack.enter_context(limits.small_disk())
    filler = limits.fill(folder)
    os.truncate(filler, filler.stat().st_size - 16_384)  # Python finds it good enough
    bench.patch.setenv("TMPDIR", str(folder))
    bench.patch.setattr(tempfile, "tempdir", None)


def _limits() -> Iterator[Cell]:
    full = str(Fault.DISK_FULL)
    row = "a full disk below the pipeline root"
    yield Cell(row, DRIVER, full, _full_root)
    yield Cell(row, NAMED, full, _full_root)
    yield Cell(row, GATE, DECIDES, _full_root_of_the_gate)
    row = "a full disk for temporary files"  # a forest is loaded from there
    yield Cell(row, GATE, full, _full_temporary_files)
    for row, kind, amount, code in (
        ("files of 1 KB at most (`ulimit -f`)", resource.RLIMIT_FSIZE, 1_024, full),
        (
            "200 MB of addresses (`ulimit -v`)",
            resource.RLIMIT_AS,
            200 << 20,
            str(Fault.OUT_OF_MEMORY),
        ),
    ):
        for column in (DRIVER, NAMED, GATE):
            limit = functools.partial(limits.limited, kind, amount)
            yield Cell(row, column, code, _within(column, limit))


CELLS: Final = (*_stores(), *_files(), *_processes(), *_runner(), *_limits())


def markdown() -> str:
    """The table."""
    lines = [
        "| what is broken | " + " | ".join(COLUMNS.values()) + " |",
        "|---|" + "---|" * len(COLUMNS),
    ]
    rows: dict[str, dict[str, list[Cell]]] = {}
    for cell in CELLS:
        rows.setdefault(cell.row, {}).setdefault(cell.column, []).append(cell)
    for row, by_column in rows.items():
        shown = []
        for column in COLUMNS:
            found = by_column.get(column, [])
            text = " ".join(dict.fromkeys(_shown(cell) for cell in found))
            shown.append(text or "")
        lines.append(f"| {row} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _shown(cell: Cell) -> str:
    return "proceeds" if cell.column == PUBLISHING else f"`{cell.code}`"


def run_command(
    store: str, model: Path, pipeline: str, *, limit_s: float, memory_mb: int
) -> tuple[int, str, str, float]:
    """``tfx-graphlets gate`` as a process: exit code, both outputs, seconds."""
    words = [sys.executable, "-m", "tfx_graphlets", "gate", store, "--pipeline", pipeline]
    words += ["--model", str(model), "--format", "json"]
    words += ["--time-limit", str(limit_s), "--memory-limit", str(memory_mb)]
    start = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start


if __name__ == "__main__":
    sys.stdout.write(markdown())
