"""The fault matrix, cell by cell: each fault for real, in a running pipeline or command."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tests.components import faults, waste_models
from tests.components.faults import COMMAND, DECIDES, DRIVER, GATE, NAMED, PUBLISHING, Bench, Cell
from tests.components.runs import PIPELINE, LightPipeline
from tests.components.test_gated_pipeline import BEFORE, GATED, by_directory
from tests.components.waste_models import PUSHED_SPAN, WASTED_SPAN
from tfx_graphlets.components.executors import GateError
from tfx_graphlets.errors import Fault

pytestmark = pytest.mark.tfx

USUAL_S = 60.0
# What the rest of a run may take on a busy machine: nodes, the other gate's processes.
AROUND_S = 25.0
_SOME = {
    "a_store_that_another_program_locks-driver",
    "a_FIFO_in_place_of_the_store-command",
    "a_silent_server_(gRPC)-command",
    "a_waste_model_cut_in_half-gate",
    "SystemExit-gate",
    "abort()_in_native_code-gate",
    "native_code_that_hangs_and_holds_Python's_lock-gate",
    "SystemExit-publishing-driver-write_files",
    "MemoryError-publishing-executor-set_properties",
}


class Records(logging.Handler):
    """The warnings of the package."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps those of ours."""
        if record.name.startswith("tfx_graphlets"):
            self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A waste model, and a pipeline that has run twice."""
    folder = tmp_path_factory.mktemp("faults")
    model = waste_models.saved(folder / "model")
    pipeline = LightPipeline(folder / "pipeline")
    pipeline.folder.mkdir()
    for span in (PUSHED_SPAN, WASTED_SPAN):
        pipeline.run(by_directory(model), span=span)
    assert [one["proceed"] for one in pipeline.decisions()] == [1, 0]
    return folder


@pytest.fixture
def bench(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Copies of the model and of the store, to be broken."""
    shutil.copytree(place / "model", tmp_path / "model")
    runner_store = place / "pipeline" / "metadata.sqlite"
    shutil.copy(runner_store, tmp_path / "store.sqlite")
    with contextlib.ExitStack() as stack:
        yield Bench(
            folder=tmp_path,
            model=tmp_path / "model",
            store=str(tmp_path / "store.sqlite"),
            runner_store=runner_store,
            patch=monkeypatch,
            stack=stack,
        )


def some(cells: tuple[Cell, ...]) -> list[object]:
    """The cells as parameters; all but a few are long."""
    assert {cell.id for cell in cells} >= _SOME
    assert len({cell.id for cell in cells}) == len(cells)
    return [
        pytest.param(cell, id=cell.id, marks=() if cell.id in _SOME else pytest.mark.long)
        for cell in cells
    ]


@pytest.mark.parametrize("cell", some(faults.CELLS))
def test_a_fault_is_named_and_stops_nothing(cell: Cell, place: Path, bench: Bench) -> None:
    """The run proceeds, the artifact and one warning name the fault, and the limit is kept."""
    limit = faults.SHORT_S if cell.hangs else USUAL_S
    cell.breaks(bench)
    if cell.column == COMMAND:
        _command(cell, bench, limit)
        return
    pipeline = LightPipeline(place / "pipeline", root=bench.root)
    options: dict[str, object] = {"time_limit_s": limit, "memory_limit_mb": bench.memory_mb}
    of_gate = options if cell.column in (GATE, PUBLISHING) else {}
    gate = by_directory(str(bench.model), max_consecutive_skips=10_000, **of_gate)
    generator = options if cell.column in (DRIVER, NAMED) else {}
    store = {"store": bench.store} if cell.column == NAMED else {}
    records = Records()
    logging.getLogger().addHandler(records)
    start = time.monotonic()
    try:
        pipeline.run(gate, span=WASTED_SPAN, **generator, **store)
    finally:
        logging.getLogger().removeHandler(records)
        bench.patch.undo()
        bench.stack.close()
    took = time.monotonic() - start
    decision, executions = pipeline.decisions()[-1], pipeline.executions()[-1]
    assert set(executions.values()) == {"COMPLETE"}
    if cell.code == DECIDES:
        assert (decision["proceed"], decision["failed_open"]) == (0, 0), decision["reason"]
        assert set(executions) == BEFORE
        return
    assert (decision["proceed"], decision["failed_open"]) == (1, 1), decision
    assert set(executions) == BEFORE | GATED
    assert decision["reason"]
    if cell.column == PUBLISHING:
        assert Fault(str(decision["fault"]))
        return
    assert decision["fault"] == cell.code, decision["reason"]
    assert took < (limit if cell.hangs else 0) + AROUND_S
    if cell.hangs:
        [seconds] = [decision["seconds"]] if cell.column == GATE else [limit]
        assert float(str(seconds)) < limit + 2.0
    line, *more = records.lines
    # Each node says which file it cannot write; the decision stands without its own.
    assert all("WasteGate cannot write its file" in one for one in more)
    told = "could not decide, the run" if cell.column == GATE else "GraphletGen has nothing for the"
    assert told in line


def _command(cell: Cell, bench: Bench, limit: float) -> None:
    """Exit code 1, which lets a run be launched; one line, and the fault in JSON."""
    environment = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    bench.patch.setenv("PYTHONPATH", environment)
    code, out, err, seconds = faults.run_command(
        bench.store, bench.model, PIPELINE, limit_s=limit, memory_mb=bench.memory_mb
    )
    assert code == 1, (out, err)
    [line] = err.splitlines()
    assert line.startswith("tfx-graphlets: ")
    error = json.loads(out)["error"]
    assert error["fault"] == cell.code, error
    assert seconds < (limit if cell.hangs else 0) + AROUND_S


@pytest.mark.parametrize("on_error", ["skip", "fail"])
@pytest.mark.parametrize("shadow", [False, True])
def test_on_error_is_the_authors_choice(
    bench: Bench, tmp_path: Path, on_error: str, shadow: bool
) -> None:
    """A gate that cannot decide skips, or stops the pipeline; in shadow mode it lets it run."""
    pipeline = LightPipeline(tmp_path / "own")
    pipeline.folder.mkdir()
    shutil.rmtree(bench.model)
    gate = by_directory(str(bench.model), on_error=on_error, shadow=shadow)
    if on_error == "fail" and not shadow:
        with pytest.raises(GateError):
            pipeline.run(gate)
        assert pipeline.executions()[0]["WasteGate"] == "FAILED"
        assert not set(pipeline.executions()[0]) & GATED
        return
    pipeline.run(gate)
    [decision] = pipeline.decisions()
    assert decision["fault"] == "model_damaged"
    assert (decision["proceed"], decision["failed_open"]) == (int(shadow), int(shadow))
    assert bool(set(pipeline.executions()[0]) & GATED) == shadow
    if not shadow:
        assert str(decision["reason"]).startswith("Skipped because the gate could not decide")


def test_an_interrupt_passes(place: Path, bench: Bench) -> None:
    """Ctrl-C is nobody's fault: the pipeline ends."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    bench.patch.setattr("tfx_graphlets.components.executors.run_task", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LightPipeline(place / "pipeline").run(by_directory(str(bench.model)))


def test_the_page_shows_the_matrix() -> None:
    """docs/reliability.md holds the table as it is printed, and it has at least 60 cells."""
    page = Path(__file__).parents[2] / "docs" / "reliability.md"
    assert faults.markdown() in page.read_text(encoding="utf-8")
    assert len(faults.CELLS) >= 60
