"""A process of the gate's own: its answer, its limits, and how it can end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.supervision.injection import inject
from tfx_graphlets.errors import Fault, InvalidArgumentError
from tfx_graphlets.supervision.parent import Limits, TaskError, in_thread, run_task
from tfx_graphlets.supervision.process import SPARE

# A task that fails by itself, and early.
ARGUMENTS = {
    "store": "no/such.sqlite", "model": "no/model", "pipeline": "p", "run": "", "nodes": [],
    "role_of_type": {}, "pushers": None, "code_known": {}, "settings": {}, "now_ms": 5,
}  # fmt: skip
PLACE = "tfx_graphlets.supervision.tasks:decide_before_launch"


def fails(limits: Limits | None = None) -> TaskError:
    """The error of the task."""
    with pytest.raises(TaskError) as caught:
        run_task("decide_before_launch", ARGUMENTS, limits or Limits(30.0))
    return caught.value


def test_an_error_of_ours_comes_back_with_its_words_and_its_code() -> None:
    """As if it had been raised here."""
    error = fails()
    assert (error.fault, error.kind) == (Fault.MODEL_DAMAGED, "ModelFormatError")
    assert str(error).startswith("no/model: ")
    assert not error.traceback


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("zero", Fault.BUG, "ZeroDivisionError: unforeseen"),
        ("exit", Fault.BUG, "SystemExit: 3"),
        ("memory", Fault.OUT_OF_MEMORY, "MemoryError"),
        ("recursion", Fault.BUG, "RecursionError"),
        ("panic", Fault.BUG, "PanicException"),
        ("generator", Fault.BUG, "GeneratorExit"),
        ("full", Fault.DISK_FULL, "No space left"),
        ("surrogate", Fault.BUG, "half a pair"),
        ("abort", Fault.ABORTED, "SIGABRT"),
        ("segfault", Fault.ABORTED, "SIGSEGV"),
        ("exit_now", Fault.ABORTED, "exit code 7"),
        ("print", Fault.BUG, "ZeroDivisionError: x"),
    ],
)
def test_whatever_it_raises_or_ends_by_is_an_error_with_a_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, code: Fault, words: str
) -> None:
    """SystemExit, panics and signals too; what native code prints is no part of the answer."""
    inject(monkeypatch, tmp_path, PLACE, fault)
    error = fails()
    assert error.fault is code
    assert words in str(error)
    str(error).encode()


@pytest.mark.parametrize("fault", ["sleep", "hang", "chatter"])
def test_a_hang_ends_at_the_time_limit_and_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    """Native code that holds Python's lock, and one that writes on and on, no less."""
    inject(monkeypatch, tmp_path, PLACE, fault)
    start = time.monotonic()
    error = fails(Limits(9.0))  # long enough for a busy machine to come to the place at all
    assert 8.9 < time.monotonic() - start < 60.0  # it would hang for hours
    assert error.fault is Fault.TIMEOUT
    assert "time limit of 9 s" in str(error)
    if fault != "chatter":
        assert "has passed (in " in str(error)


def test_memory_beyond_the_limit_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of 16 GB that it wants it gets little more than the limit."""
    inject(monkeypatch, tmp_path, PLACE, "hog")
    error = fails(Limits(60.0, memory_mb=400))
    assert error.fault is Fault.OUT_OF_MEMORY
    assert "400 MB" in str(error)


def test_a_process_that_is_killed_counts_as_one_without_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SIGKILL is what a machine without memory sends."""
    inject(monkeypatch, tmp_path, PLACE, "sleep")
    pids: list[int] = []
    popen = subprocess.Popen

    def started(*arguments: object, **more: object) -> subprocess.Popen[bytes]:
        process = popen(*arguments, **more)  # type: ignore[call-overload]
        pids.append(process.pid)
        threading.Timer(1.0, os.kill, (process.pid, signal.SIGKILL)).start()
        return process  # type: ignore[no-any-return]

    monkeypatch.setattr(subprocess, "Popen", started)
    assert fails().fault is Fault.OUT_OF_MEMORY
    assert not Path(f"/proc/{pids[0]}").exists()


def test_where_no_process_can_be_started_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with a limit of processes that is reached."""
    monkeypatch.setattr(sys, "executable", "/no/python")
    error = fails()
    assert error.fault is Fault.ABORTED
    assert "no process can be started" in str(error)


def test_an_interrupt_passes_and_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C ends the parent's waiting and the child."""
    inject(monkeypatch, tmp_path, PLACE, "sleep")
    before = _children_of(os.getpid())
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # others may have set one
    start = time.monotonic()
    try:
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            run_task("decide_before_launch", ARGUMENTS, Limits(30.0))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert time.monotonic() - start < 10.0
    assert set(_children_of(os.getpid())) <= set(before)


def test_a_child_whose_parent_is_killed_ends_by_itself(tmp_path: Path) -> None:
    """Soon after its time limit, whatever hangs."""
    with pytest.MonkeyPatch.context() as patch:
        inject(patch, tmp_path, PLACE, "hang")
        code = (
            "from tests.supervision.test_parent import ARGUMENTS\n"
            "from tfx_graphlets.supervision.parent import Limits, run_task\n"
            "run_task('decide_before_launch', ARGUMENTS, Limits(2.0))\n"
        )
        environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}:{tmp_path}"}
        patch.setenv("PYTHONPATH", environment["PYTHONPATH"])
        parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    time.sleep(1.5)
    children = _children_of(parent.pid)
    parent.kill()
    parent.wait()
    assert children
    wait_for_the_end(children, 8)


def _children_of(pid: int) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(place.parent.name))
    return found


def test_work_in_a_thread_is_waited_for_as_long_as_the_limit() -> None:
    """Its result, what it raises, or the limit."""
    assert in_thread(lambda: 3, Limits(5.0)) == 3
    with pytest.raises(SystemExit):
        in_thread(lambda: sys.exit(3), Limits(5.0))
    with pytest.raises(TaskError, match=r"time limit of 0\.2 s"):
        in_thread(lambda: time.sleep(5), Limits(0.2))


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "soon", []])
def test_a_limit_is_a_number_above_0(value: object) -> None:
    """Else the error names it."""
    with pytest.raises(InvalidArgumentError, match="time_limit_s"):
        Limits.of(value)


# -- a process that is kept for the next task ------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Runs the task that a decision follows, or the decision; the id of the process that did."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_KEPT_SITE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def ask(task: str = "collect_graphlets", **more: object) -> int:
        return int(run_task(task, more, Limits(30.0))["pid"])

    yield ask
    SPARE.end()


# Every task answers with the id of its process, and does what it is told before.
_KEPT_SITE = """
import os, sys, types


def answer(arguments):
    exec(arguments.get("code", ""))
    return {"pid": str(os.getpid()).encode()}


tasks = types.ModuleType("tfx_graphlets.supervision.tasks")
tasks.collect_graphlets = tasks.decide = answer
tasks.make_ready = lambda: None
sys.modules[tasks.__name__] = tasks
"""


def test_a_decision_is_made_by_the_process_that_described(asked: Callable[..., int]) -> None:
    """And that one ends with it: the next description is another one's."""
    first = asked()
    assert asked("decide") == first
    assert not Path(f"/proc/{first}").exists()
    assert asked("decide") != first


@pytest.mark.parametrize("what", ["environment", "folder", "path"])
def test_a_process_of_other_surroundings_is_not_asked(
    what: str, asked: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It would read another password, another relative path, another release."""
    first = asked()
    if what == "environment":
        monkeypatch.setenv("TFX_GRAPHLETS_DB_PASSWORD", "another")
    elif what == "folder":
        monkeypatch.chdir(tmp_path)
    else:
        monkeypatch.syspath_prepend(str(tmp_path / "other"))
    assert asked("decide") != first
    assert not Path(f"/proc/{first}").exists()


def test_a_process_that_was_kept_and_ended_is_replaced(asked: Callable[..., int]) -> None:
    """Whatever ended it, also while it is asked; what ends a fresh one, too, is an error."""
    first = asked()
    os.kill(first, signal.SIGKILL)
    assert asked("decide") != first
    asked()
    with pytest.raises(TaskError) as caught:
        asked("decide", code="os.abort()")
    assert caught.value.fault is Fault.ABORTED


def test_a_process_is_kept_after_a_task_that_went_well(asked: Callable[..., int]) -> None:
    """Not after an error, and not if its memory is most of what it may have."""
    with pytest.raises(TaskError):
        asked(code="1 / 0")
    assert SPARE.take() is None
    much = {"code": "global held; held = b'x' * (160 << 20)"}
    run_task("collect_graphlets", much, Limits(30.0, memory_mb=300))
    assert SPARE.take() is None


def test_a_process_is_kept_for_a_short_time(
    asked: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it ends, and leaves no zombie."""
    monkeypatch.setattr("tfx_graphlets.supervision.process.IDLE_SECONDS", 0.3)
    first = asked()
    wait_for_the_end([first], 5)


def test_what_is_kept_sees_a_hang_end_at_its_own_time_limit(asked: Callable[..., int]) -> None:
    """The limits are those of each task."""
    asked()
    start = time.monotonic()
    with pytest.raises(TaskError) as caught:
        run_task("decide", {"code": "import ctypes; ctypes.PyDLL(None).sleep(60)"}, Limits(1.5))
    assert caught.value.fault is Fault.TIMEOUT
    assert time.monotonic() - start < 5.0


@pytest.mark.parametrize("end", ["", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_what_is_kept_ends_with_its_parent(end: str, asked: Callable[..., int]) -> None:
    """However that ends, and also if a fork of it lives on."""
    code = f"""
import os, time
from tfx_graphlets.supervision.parent import Limits, run_task
print(run_task("collect_graphlets", {{}}, Limits(30.0))["pid"].decode(), flush=True)
if not os.fork():
    time.sleep(4)
    os._exit(0)
{end}
"""
    path = f"{Path.cwd()}{os.pathsep}{os.environ['PYTHONPATH']}"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.stdout.close()
    process.wait(5)
    wait_for_the_end([child], 3)


def test_a_fork_asks_a_process_of_its_own(asked: Callable[..., int]) -> None:
    """Two that speak to one process would read each other's answers."""
    first = asked()
    child = os.fork()
    if not child:
        os._exit(int(SPARE.take() is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asked("decide") == first


def wait_for_the_end(pids: list[int], seconds: float) -> None:
    """Fails if a process is there after so long, be it a zombie."""
    until = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
