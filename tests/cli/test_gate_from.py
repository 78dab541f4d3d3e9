"""The command ``gate``, before a pipeline is launched, from wherever the history is."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ydf")

from tests.components import waste_models
from tests.import_graph import ROOT
from tests.stores.kubeflow.retelling import as_system_rows, retold
from tests.stores.mlmd_files import write_store
from tests.stores.places import BACKENDS, Places, opened_places
from tfx_graphlets.cli import command, main
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.rows import RowBuilder

pytestmark = pytest.mark.server

PIPELINE = "flights-lga-linear-w1-value"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Servers of this module."""
    with opened_places(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


@pytest.fixture(scope="module")
def recorded() -> RowBuilder:
    """A recorded pipeline's rows."""
    with open_store(ROOT / "pipelines" / "flights" / "history" / PIPELINE / "archive") as store:
        return retold(store.read_trace())


@pytest.fixture(scope="module")
def expected() -> dict[float, dict[str, Any]]:
    """What the command says of the history that TFX kept in SQLite, by threshold; filled once."""
    return {}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a waste model."""
    return waste_models.saved(tmp_path_factory.mktemp("model") / "waste_model")


def decision(
    store: str, model: str, threshold: float, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """Exit code and document of the command."""
    words = ["gate", store, "--pipeline", PIPELINE, "--model", model, "--exploration", "0"]
    words += ["--threshold", str(threshold), "--max-hours-without-attempt", "48"]
    capsys.readouterr()
    code = main(words)
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("backend", "kept_by"),
    [
        pytest.param(backend, kept_by, id=f"{backend}-{kept_by}")
        for backend, kept_by in [
            *itertools.product(BACKENDS, ("tfx", "kubeflow")),
            *itertools.product(("sqlite",), ("run", "KfpRun")),
        ]
        # Kubeflow's API tells of runs of Kubeflow Pipelines alone.
        if (backend, kept_by) != ("kfp", "tfx")
    ],
)
def test_the_command_decides_the_same(
    backend: str, kept_by: str, places: Places, recorded: RowBuilder, model: str,
    expected: dict[float, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Both decisions are those over SQLite: exit code, probability and what was counted."""
    # An hour after the last run: the command looks at the clock.
    now_ms = max(recorded["Execution"]["update_ms"]) + 3_600_000
    monkeypatch.setattr(command, "_now_ms", lambda: now_ms)
    rows = recorded
    if kept_by == "kubeflow":
        rows = as_system_rows(recorded)
    elif kept_by != "tfx":
        rows = copy.deepcopy(recorded)
        types = [kept_by if one == "pipeline_run" else one for one in rows["Context"]["type"]]
        rows["Context"]["type"] = types
    store = places.uri(backend, write_store(tmp_path / "store.sqlite", rows), recorded)
    if not expected:
        told = str(write_store(tmp_path / "tfx.sqlite", recorded))
        for threshold in (0.001, 0.999):
            _, expected[threshold] = decision(told, model, threshold, capsys)
            assert 0 < expected[threshold]["probability"] < 1
    for threshold, code in ((0.001, 0), (0.999, 3)):
        found_code, found = decision(store, model, threshold, capsys)
        assert found_code == code
        assert found["proceed"] is (code == 0)
        # Ids and names of runs are others in Kubeflow's API.
        for name in found.keys() - ({"reason", "similar", "nodes"} if backend == "kfp" else set()):
            assert found[name] == expected[threshold][name], name
