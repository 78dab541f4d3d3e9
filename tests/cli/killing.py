"""A process that runs commands in forks of its own, and kills them at the n-th step on the disk.

The process has imported what the commands need, and computes each of their results once:
what is tried is how they write.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import mock

from tests.import_graph import ROOT

# Raised by Python before it touches the disk, with the path as the first argument.
_EVENTS: Final = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"})
_LONG: Final = (
    "tfx_graphlets.waste_model.train_waste_model",
    "tfx_graphlets.cli.selection.dataset",
    "tfx_graphlets.cli.command.describe_store",
    "tfx_graphlets.report.view.view_of",
    "tfx_graphlets.study.run_study",
)
_IMPORTED: Final = (
    "matplotlib.pyplot",
    "pyarrow.parquet",
    "ydf",
    "tfx_graphlets.backtest.backtest",
    "tfx_graphlets.report.page",
    "tfx_graphlets.report.report",
    "tfx_graphlets.report.view",
    "tfx_graphlets.stores.archive.archive",
    "tfx_graphlets.stores.sql.sqlite_file",
    "tfx_graphlets.study.document",
    "tfx_graphlets.waste_model.training",
)
_WRITING: Final = os.O_WRONLY | os.O_RDWR


class Runner:
    """Runs commands, each in a process of its own; see ``running``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(
        self, *words: str, step: int = 0, seconds: float | None = None, here: bool = False
    ) -> int:
        """Runs a command; its exit code, -9 if it was killed.

        Args:
          words: of the command line.
          step: before which step on the disk it is killed; 0 for never.
          seconds: when it is killed; None for never.
          here: in the process that forks the others, which keeps what is computed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([words, step, seconds, here]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Runner]:
    """A process for commands that write below ``folder``; what they print is in ``folder``.log."""
    (folder / "tmp").mkdir(parents=True)
    code = f"from tests.cli.killing import serve; serve({str(folder)!r})"
    with folder.with_suffix(".log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")},
        )  # fmt: skip
        with process:
            try:
                yield Runner(process)
            finally:
                process.kill()


def serve(folder: str) -> None:
    """Takes words from standard input, and answers with exit codes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_what_commands_import()
    from tfx_graphlets import cli
    from tfx_graphlets.cli import command

    command._now_ms = lambda: 1_700_000_000_000
    for line in sys.stdin:
        words, step, seconds, here = json.loads(line)
        if here:
            with _keeping(words):
                code = _code(cli.main, words)
        else:
            child = os.fork()
            if not child:
                os.setsid()
                if step:
                    _kill_before(step, folder)
                with _keeping(words):
                    code = _code(cli.main, words)
                os._exit(code)
            code = _wait(child, seconds)
        answers.write(f"{code}\n")
        answers.flush()


_KEPT: Final[dict[tuple[str, ...], Any]] = {}  # by function and words


@contextlib.contextmanager
def _keeping(words: Sequence[str]) -> Iterator[None]:
    """Results of the long functions are those of the same words before."""
    with contextlib.ExitStack() as stack:
        for name in _LONG:
            module, _, function = name.rpartition(".")
            owner = importlib.import_module(module)
            compute = getattr(owner, function)

            def kept(
                *arguments: Any, _name: str = name, _compute: Any = compute, **more: Any
            ) -> Any:
                key = (_name, *words)
                if key not in _KEPT:
                    _KEPT[key] = _compute(*arguments, **more)
                return _KEPT[key]

            stack.enter_context(mock.patch.object(owner, function, kept))
        yield


def _code(main: Callable[[list[str]], int], words: list[str]) -> int:
    try:
        return main(words)
    except BaseException:  # noqa: BLE001 - as Python does; the process ends here
        import traceback

        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _wait(child: int, seconds: float | None) -> int:
    if seconds is not None:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_before(step: int, folder: str) -> None:
    """Has this process killed at its n-th step on the disk below the folder.

    A file that is opened to be written is two steps: it is not there yet, and it is half written.
    """
    left = [step]
    below = folder + os.sep

    def count() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def opened(path: str) -> None:
        count()
        if left[0] == 1:
            left[0] = 0  # this is the second step; what is written here counts no more
            Path(path).write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if left[0] <= 0 or (event not in _EVENTS and event not in ("open", "ctypes.dlsym")):
            return
        if event == "ctypes.dlsym":
            if arguments[1] == "renameat2":
                count()
            return
        path = str(Path(os.fsdecode(arguments[0])).absolute()) if _is_path(arguments[0]) else ""
        if not path.startswith(below):
            return
        if event != "open":
            count()
        elif arguments[2] & _WRITING:
            opened(path)

    sys.addaudithook(hook)
    import pyarrow.parquet

    synchronise, writer = os.fsync, pyarrow.parquet.ParquetWriter

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            count()
            return call(*arguments, **options)

        return wrapper

    os.fsync = counted(synchronise)
    for name in ("__init__", "write_table", "close"):  # native code tells of nothing
        setattr(writer, name, counted(getattr(writer, name)))


def _is_path(value: object) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def import_what_commands_import() -> None:
    """Once for all forks."""
    os.environ["MPLBACKEND"] = "agg"
    for name in _IMPORTED:
        importlib.import_module(name)
