"""What GraphletGen and WasteGate cost a small pipeline: python -m tests.benchmarks.nodes [RUNS]."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from tests.components import waste_models
from tests.components.runs import LightPipeline
from tests.components.test_gated_pipeline import by_directory
from tfx_graphlets.components import drivers


def main(runs: int) -> None:
    """Prints medians over the runs."""
    described: list[float] = []
    run_task = drivers.run_task

    def timed(*arguments: Any) -> Mapping[str, bytes]:
        start = time.monotonic()
        try:
            return run_task(*arguments)
        finally:
            described.append(time.monotonic() - start)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(drivers, "run_task", timed):
        gate = by_directory(waste_models.saved(Path(folder) / "model"), max_consecutive_skips=1000)
        pipeline = LightPipeline(Path(folder) / "pipeline")
        pipeline.folder.mkdir()
        for _ in range(runs):
            pipeline.run(gate, span=waste_models.WASTED_SPAN)
        decided = [float(str(one["seconds"])) for one in pipeline.decisions()]
    print(
        f"GraphletGen's process {statistics.median(described):.2f} s, "
        f"a decision {statistics.median(decided):.2f} s (medians of {runs} runs)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
